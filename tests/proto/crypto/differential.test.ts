import { describe, expect, test } from "bun:test";
import {
  nativePrimitives,
  portablePrimitives,
  type SealedParts,
} from "../../../src/proto/crypto/primitives/index.ts";
import { flipBit, toHex } from "../support/bytes.ts";
import { protocolErrorOf } from "../support/errors.ts";
import { fuzzIterations } from "../support/iterations.ts";
import { below, seededRandom } from "../support/random.ts";

// Native against noble on random input. noble's curves take milliseconds, so that they get a hundredth of the rounds.
// No decoders: what is promised of those in millions would only take long here.
const CHEAP = Math.min(fuzzIterations(), 10_000);
const DEAR = Math.ceil(CHEAP / 100);

describe("native and portable primitives agree", () => {
  test("on hashes and MACs", () => {
    const random = seededRandom("hashes");
    for (let round = 0; round < CHEAP; round++) {
      const key = random(below(random, 200));
      const message = random(below(random, 300));
      expect(toHex(nativePrimitives.sha256(message))).toBe(toHex(portablePrimitives.sha256(message)));
      expect(toHex(nativePrimitives.hmac(key, message))).toBe(toHex(portablePrimitives.hmac(key, message)));
    }
  });

  test("on X25519", () => {
    const random = seededRandom("x25519");
    for (let round = 0; round < DEAR; round++) {
      const secret = random(32);
      const peer = random(32);
      const native = nativePrimitives.x25519KeyPair(secret);
      const portable = portablePrimitives.x25519KeyPair(secret);
      expect(toHex(native.publicKey)).toBe(toHex(portable.publicKey));
      expect(toHex(native.agree(peer))).toBe(toHex(portable.agree(peer)));
    }
  });

  test("on Ed25519 and its X25519 form", () => {
    const random = seededRandom("ed25519");
    for (let round = 0; round < DEAR; round++) {
      const seed = random(32);
      const message = random(below(random, 2_000));
      const key = nativePrimitives.ed25519PublicKey(seed);
      expect(toHex(key)).toBe(toHex(portablePrimitives.ed25519PublicKey(seed)));
      const signature = nativePrimitives.ed25519Sign(seed, message);
      expect(toHex(signature)).toBe(toHex(portablePrimitives.ed25519Sign(seed, message)));
      const changed = below(random, 2) === 0 ? signature : flipBit(signature, below(random, 512));
      expect(nativePrimitives.ed25519Verify(key, message, changed)).toBe(
        portablePrimitives.ed25519Verify(key, message, changed),
      );
      expect(toHex(nativePrimitives.x25519KeyPairOfSeed(seed).publicKey)).toBe(
        toHex(portablePrimitives.x25519KeyPairOfSeed(seed).publicKey),
      );
    }
  });

  test("on which random encodings are points of prime order", () => {
    const random = seededRandom("encodings");
    let accepted = 0;
    for (let round = 0; round < DEAR * 4; round++) {
      const encoding = random(32);
      const verdict = portablePrimitives.isPrimeOrderPoint(encoding);
      expect(nativePrimitives.isPrimeOrderPoint(encoding)).toBe(verdict);
      accepted += Number(verdict);
    }
    // One in two is on the curve, one in eight of those of prime order.
    if (DEAR >= 20) expect(accepted).toBeGreaterThan(0);
  });

  test.each(["aes-256-gcm", "chacha20-poly1305"] as const)("on %s, whole and in parts", (suite) => {
    const random = seededRandom(suite);
    for (let round = 0; round < CHEAP / 4; round++) {
      const key = random(32);
      const ad = random(below(random, 80));
      const frames = random(below(random, 200));
      const chunk = below(random, 2) === 0 ? undefined : random(1 + below(random, 600));
      const native = nativePrimitives.sealParts(suite, key, ad, frames, chunk);
      expect(textOf(native)).toEqual(textOf(portablePrimitives.sealParts(suite, key, ad, frames, chunk)));
      const opened = portablePrimitives.openParts(suite, key, ad, native);
      expect([toHex(opened.frames), opened.chunk?.toHex()]).toEqual([toHex(frames), chunk?.toHex()]);
      const forged = forge(native, below(random, 8 * 16 + 8 * frames.length));
      expect(protocolErrorOf(() => nativePrimitives.openParts(suite, key, ad, forged))).toBe("badTag");
      expect(protocolErrorOf(() => portablePrimitives.openParts(suite, key, ad, forged))).toBe("badTag");
    }
  });
});

function textOf(sealed: SealedParts): readonly (string | undefined)[] {
  return [toHex(sealed.frames), sealed.chunk?.toHex(), toHex(sealed.tag)];
}

function forge(sealed: SealedParts, bit: number): SealedParts {
  if (bit < 128) return { ...sealed, tag: flipBit(sealed.tag, bit) };
  return { ...sealed, frames: flipBit(sealed.frames, bit - 128) };
}
