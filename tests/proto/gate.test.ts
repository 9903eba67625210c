import { describe, expect, spyOn, test } from "bun:test";
import { nativePrimitives, type Primitives } from "../../src/proto/crypto/primitives/index.ts";
import { checkGateToken, makeGateToken } from "../../src/proto/gate.ts";
import { repeated } from "./support/bytes.ts";
import { below, seededRandom } from "./support/random.ts";

const random = seededRandom("gate");
const current = random(32);
const previous = random(32);

describe("the gate's token", () => {
  test("is 43 characters and gives its nonce back under its key, current or previous", () => {
    for (const key of [current, previous]) {
      const nonce = random(16);
      const token = makeGateToken(key, () => nonce);
      expect(token).toMatch(/^[A-Za-z0-9_-]{43}$/);
      expect(checkGateToken(token, [current, previous])).toEqual(nonce);
    }
  });

  test("is another one each time", () => {
    expect(makeGateToken(current, random)).not.toBe(makeGateToken(current, random));
  });

  test("opens nothing under another key, or under none", () => {
    const token = makeGateToken(random(32), random);
    expect(checkGateToken(token, [current, previous])).toBeUndefined();
    expect(checkGateToken(token, [])).toBeUndefined();
  });

  test("opens nothing with any character changed, left out or added", () => {
    const token = makeGateToken(current, random);
    for (let index = 0; index < token.length; index++) {
      const other = token[index] === "A" ? "B" : "A";
      for (const text of [
        token.slice(0, index) + other + token.slice(index + 1),
        token.slice(0, index) + token.slice(index + 1),
        token.slice(0, index) + other + token.slice(index),
      ]) {
        expect(checkGateToken(text, [current])).toBeUndefined();
      }
    }
  });

  test.each([
    "",
    "=",
    "a".repeat(42),
    "a".repeat(44),
    "a".repeat(100_000),
    "é".repeat(43),
    `${"A".repeat(42)}B`,
  ])("text that is no token opens nothing (case %#)", (text) => {
    expect(checkGateToken(text, [current, previous])).toBeUndefined();
  });

  test("the zero nonce and MAC that stand in for a bad token open nothing", () => {
    expect(checkGateToken("A".repeat(43), [current])).toBeUndefined();
  });

  test("costs one decoding, whatever the text", () => {
    const decode = spyOn(Uint8Array, "fromBase64");
    const token = makeGateToken(random(32), random);
    for (const text of [token, "!".repeat(token.length), "\xff".repeat(token.length), `${token}A`, ""]) {
      decode.mockClear();
      checkGateToken(text, [current, previous]);
      expect([text, decode.mock.calls.length]).toEqual([text, 1]);
    }
    decode.mockRestore();
  });

  test("costs one HMAC per key, whatever the text", () => {
    const good = makeGateToken(current, random);
    for (const text of [
      good,
      makeGateToken(previous, random),
      makeGateToken(random(32), random),
      "",
      "no token",
    ]) {
      let macs = 0;
      const counting: Primitives = {
        ...nativePrimitives,
        hmac(key, message) {
          macs++;
          return nativePrimitives.hmac(key, message);
        },
      };
      checkGateToken(text, [current, previous], counting);
      expect(macs).toBe(2);
    }
  });

  test("random texts open nothing and throw nothing", () => {
    for (let round = 0; round < 1_000; round++) {
      const text = String.fromCharCode(...random(below(random, 60)));
      expect(checkGateToken(text, [current])).toBeUndefined();
    }
  });

  test("a gate key of a wrong length is refused by name", () => {
    expect(() => makeGateToken(repeated(1, 31), random)).toThrow("gateKey: expected 32 bytes, got 31");
  });
});
