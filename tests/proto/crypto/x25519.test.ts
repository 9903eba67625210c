import { describe, expect, test } from "bun:test";
import {
  nativePrimitives,
  type Primitives,
  portablePrimitives,
} from "../../../src/proto/crypto/primitives/index.ts";
import { hex, repeated, toHex } from "../support/bytes.ts";
import { protocolErrorOf } from "../support/errors.ts";

const implementations: [string, Primitives][] = [
  ["native", nativePrimitives],
  ["portable", portablePrimitives],
];

// Inputs and results of RFC 7748 section 5.2.
const X25519_SHARED = [
  [
    "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
    "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
    "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
  ],
  [
    "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
    "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
    "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
  ],
] as const;

/** Points of order 1, 2, 4 and 8 and their non-canonical encodings: Wycheproof's "low order public key" cases. */
const X25519_SMALL_ORDER = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "0000000000000000000000000000000000000000000000000000000000000080",
  "0100000000000000000000000000000000000000000000000000000000000080",
  "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b880",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f11d7",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
];

describe.each(implementations)("%s X25519", (_, primitives) => {
  test.each(X25519_SHARED)("RFC 7748 section 5.2, case %#", (secret, u, shared) => {
    expect(toHex(primitives.x25519KeyPair(hex(secret)).agree(hex(u)))).toBe(shared);
  });

  test("RFC 7748 section 5.2, iterated 1,000 times", () => {
    let secret: Uint8Array = hex("0900000000000000000000000000000000000000000000000000000000000000");
    let u = secret;
    for (let round = 1; round <= 1000; round++) {
      const next = primitives.x25519KeyPair(secret).agree(u);
      u = secret;
      secret = next;
      if (round === 1) {
        expect(toHex(secret)).toBe("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
      }
    }
    expect(toHex(secret)).toBe("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
  }, 30_000);

  test("RFC 7748 section 6.1", () => {
    const alice = primitives.x25519KeyPair(
      hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"),
    );
    const bob = primitives.x25519KeyPair(
      hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"),
    );
    expect(toHex(alice.publicKey)).toBe("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
    expect(toHex(bob.publicKey)).toBe("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
    const shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
    expect(toHex(alice.agree(bob.publicKey))).toBe(shared);
    expect(toHex(bob.agree(alice.publicKey))).toBe(shared);
  });

  test.each(X25519_SMALL_ORDER)("refuses the small-order point %s", (u) => {
    const pair = primitives.x25519KeyPair(repeated(0x42, 32));
    expect(protocolErrorOf(() => pair.agree(hex(u)))).toBe("badKey");
  });

  test("takes a non-canonical u for its value modulo p (RFC 7748 section 5)", () => {
    const pair = primitives.x25519KeyPair(repeated(0x42, 32));
    // p + 3 and 3, and both with the bit that is to be ignored.
    const canonical = toHex(pair.agree(hex(`03${"00".repeat(31)}`)));
    expect(toHex(pair.agree(hex(`f0${"ff".repeat(30)}7f`)))).toBe(canonical);
    expect(toHex(pair.agree(hex(`f0${"ff".repeat(31)}`)))).toBe(canonical);
    expect(toHex(pair.agree(hex(`03${"00".repeat(30)}80`)))).toBe(canonical);
  });

  test("a wiped pair agrees no more", () => {
    const pair = primitives.x25519KeyPair(repeated(0x42, 32));
    pair.wipe();
    expect(() => pair.agree(pair.publicKey)).toThrow("used after wipe");
  });
});
