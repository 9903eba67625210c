import { describe, expect, test } from "bun:test";
import { handshakePadding } from "../../src/proto/index.ts";
import { TunnelPair } from "../support/tunnel-pair.ts";
import { seededRandom } from "./support/random.ts";

/** Lengths of the first message of each side on `count` links of one tunnel, without the policy's own padding. */
function firstLengths(count: number): { readonly hello: number[]; readonly accept: number[] } {
  const pair = new TunnelPair();
  const hello: number[] = [];
  const accept: number[] = [];
  for (let round = 0; round < count; round++) {
    const line = pair.offer(round === 0 ? "created" : "resumed");
    hello.push(line.up[0]?.length ?? 0);
    pair.deliverUp(line);
    accept.push(line.down[0]?.length ?? 0);
    pair.run();
    pair.cut(line);
  }
  return { hello, accept };
}

describe("the padding of handshake messages", () => {
  test("is 0 to 1,023 bytes, and reaches both ends", () => {
    const random = seededRandom("padding");
    const lengths = Array.from({ length: 20_000 }, () => handshakePadding(random));
    expect([Math.min(...lengths), Math.max(...lengths)]).toEqual([0, 1_023]);
    const mean = lengths.reduce((sum, length) => sum + length, 0) / lengths.length;
    expect(Math.abs(mean - 511.5)).toBeLessThan(10);
  });

  test("spreads the lengths of both sides' first packets, under the policy `none` too", () => {
    const lengths = firstLengths(100);
    for (const side of [lengths.hello, lengths.accept]) {
      const spread = Math.max(...side) - Math.min(...side);
      expect(spread).toBeGreaterThan(800);
      // Frames of one link vary by a few bytes at most: a spread of a kilobyte is the padding.
      expect(spread).toBeLessThan(1_100);
      expect(new Set(side).size).toBeGreaterThan(60);
    }
  });
});
