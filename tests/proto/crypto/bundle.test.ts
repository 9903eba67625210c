import { describe, expect, test } from "bun:test";
import { type Bundle, encodeBundle, openBundle, signBundle } from "../../../src/proto/crypto/bundle.ts";
import { identityFromSeed } from "../../../src/proto/crypto/identity.ts";
import { nativePrimitives } from "../../../src/proto/crypto/primitives/index.ts";
import { repeated, toHex } from "../support/bytes.ts";
import { protocolErrorOf } from "../support/errors.ts";
import { fuzzIterations } from "../support/iterations.ts";
import { below, seededRandom } from "../support/random.ts";

const random = seededRandom("bundles");
const server = identityFromSeed(random(32));
const bundle: Bundle = {
  versions: [2],
  suites: [1, 2],
  boot: random(16),
  serverKey: server.publicKey,
  rotations: [],
  prekey: random(32),
  kemPublicKey: random(1184),
  padding: random(100),
};

const ascending = (count: number) => [...new Set(random(count))].sort((a, b) => a - b);

describe("a bundle", () => {
  test("decodes to what was encoded, whatever is in it", () => {
    for (let round = 0; round < 200; round++) {
      const drawn: Bundle = {
        ...bundle,
        versions: ascending(1 + below(random, 8)),
        suites: ascending(1 + below(random, 8)),
        rotations: Array.from({ length: below(random, 9) }, () => ({
          oldKey: random(32),
          newKey: random(32),
          sequence: below(random, 2 ** 32),
          oldSignature: random(64),
          newSignature: random(64),
        })),
        padding: random(below(random, 1024)),
      };
      const opened = openBundle(nativePrimitives, signBundle(nativePrimitives, server, encodeBundle(drawn)));
      expect(asHex(opened)).toBe(asHex(drawn));
    }
  });

  // Signed anew, so that the decoder is reached: what decodes must encode to the same bytes.
  test("that decodes at all has one encoding", () => {
    const body = encodeBundle({ ...bundle, versions: [1, 2], suites: [1, 2, 3], padding: random(3) });
    let decoded = 0;
    for (let round = 0; round < fuzzIterations(); round++) {
      const changed = Uint8Array.from(body);
      // The lists are at the front, and the length is left as it is.
      for (let count = below(random, 3); count >= 0; count--)
        changed[2 + below(random, 7)] = below(random, 12);
      const message = signBundle(nativePrimitives, server, changed);
      let opened: Bundle | undefined;
      const reason = protocolErrorOf(() => {
        opened = openBundle(nativePrimitives, message);
      });
      if (opened === undefined) {
        expect(["malformed", "notCanonical", "tooLarge", "badSignature"]).toContain(reason);
        continue;
      }
      decoded++;
      expect(toHex(encodeBundle(opened))).toBe(toHex(changed));
    }
    expect(decoded).toBeGreaterThan(fuzzIterations() / 100);
  }, 600_000);

  test.each<[string, Partial<Bundle>, string]>([
    ["no versions", { versions: [] }, "versions: expected 1 to 8 in ascending order"],
    ["suites out of order", { suites: [2, 1] }, "suites: expected 1 to 8 in ascending order"],
    ["nine suites", { suites: [1, 2, 3, 4, 5, 6, 7, 8, 9] }, "suites: expected at most 8, got 9"],
    ["too much padding", { padding: repeated(0, 1024) }, "padding: expected at most 1023, got 1024"],
    ["a short boot", { boot: repeated(0, 15) }, "boot: expected 16 bytes, got 15"],
    ["a short key", { serverKey: repeated(0, 31) }, "serverKey: expected 32 bytes, got 31"],
    ["a short prekey", { prekey: repeated(0, 31) }, "prekey: expected 32 bytes, got 31"],
    ["a short KEM key", { kemPublicKey: repeated(0, 31) }, "kemPublicKey: expected 1184 bytes, got 31"],
  ])("is not encoded with %s", (_, change, message) => {
    expect(() => encodeBundle({ ...bundle, ...change })).toThrow(message);
  });
});

function asHex(value: Bundle): string {
  return JSON.stringify(value, (_, each: unknown) => (each instanceof Uint8Array ? toHex(each) : each));
}
