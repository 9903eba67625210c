import { describe, expect, test } from "bun:test";
import { ed25519 } from "@noble/curves/ed25519.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { concatBytes } from "../../../src/proto/crypto/octets.ts";
import {
  edwardsToMontgomery,
  isStrictEncoding,
  nativePrimitives,
  type Primitives,
  portablePrimitives,
} from "../../../src/proto/crypto/primitives/index.ts";
import { ascii, flipBit, hex, repeated, toHex } from "../support/bytes.ts";
import { protocolErrorOf } from "../support/errors.ts";
import { seededRandom } from "../support/random.ts";

const implementations: [string, Primitives][] = [
  ["native", nativePrimitives],
  ["portable", portablePrimitives],
];

const { Point } = ed25519;
const L = Point.Fn.ORDER;
/** A point of order 8; its multiples are the eight points of small order. */
const TORSION = Point.fromHex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05");
const SMALL_ORDER = Array.from({ length: 8 }, (_, k) => (k === 0 ? Point.ZERO : TORSION.multiply(BigInt(k))));

const P = 2n ** 255n - 19n;
/** Encodings of y in 0 … 18 as y + p, with either sign: no canonical encoding among them. */
const NON_CANONICAL = Array.from({ length: 19 }, (_, y) => [
  littleEndian(P + BigInt(y)),
  littleEndian(P + BigInt(y), 0x80),
]).flat();

function littleEndian(value: bigint, sign = 0): Uint8Array {
  const bytes = Uint8Array.from({ length: 32 }, (_, index) => Number((value >> BigInt(8 * index)) & 0xffn));
  bytes[31] = (bytes[31] ?? 0) | sign;
  return bytes;
}

function fromLittleEndian(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => value * 256n + BigInt(byte), 0n);
}

// RFC 8032 section 7.1: TEST 1, 2, 3 and SHA(abc).
const RFC_8032 = [
  [
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    "",
    `e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b`,
  ],
  [
    "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    "72",
    `92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00`,
  ],
  [
    "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
    "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
    "af82",
    `6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a`,
  ],
  [
    "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
    "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
    `ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f`,
    `dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704`,
  ],
] as const;

describe.each(implementations)("%s Ed25519", (_, primitives) => {
  const verify = (key: Uint8Array, message: Uint8Array, signature: Uint8Array) =>
    primitives.ed25519Verify(key, message, signature);

  test.each(RFC_8032)("RFC 8032 section 7.1, case %#", (seed, publicKey, message, signature) => {
    expect(toHex(primitives.ed25519PublicKey(hex(seed)))).toBe(publicKey);
    expect(toHex(primitives.ed25519Sign(hex(seed), hex(message)))).toBe(signature);
    expect(verify(hex(publicKey), hex(message), hex(signature))).toBe(true);
  });

  test("refuses a signature, message or key with any bit changed", () => {
    const [seed, publicKey] = RFC_8032[2].map(hex);
    const message = ascii("rvpn");
    const signature = primitives.ed25519Sign(seed ?? repeated(0, 0), message);
    const key = publicKey ?? repeated(0, 0);
    for (let bit = 0; bit < 512; bit += 7) expect(verify(key, message, flipBit(signature, bit))).toBe(false);
    for (let bit = 0; bit < 256; bit += 7) expect(verify(flipBit(key, bit), message, signature)).toBe(false);
    for (let bit = 0; bit < 32; bit++) expect(verify(key, flipBit(message, bit), signature)).toBe(false);
  });

  // Wycheproof's "signature malleability" cases: S + k·L signs the same in the equation.
  test.each([1n, 2n, 7n, 14n])("refuses S + %d times the group order", (times) => {
    const [, publicKey, message, signature] = RFC_8032[2].map(hex);
    if (!publicKey || !message || !signature) throw new Error("no vector");
    const s = fromLittleEndian(signature.subarray(32)) + times * L;
    const malleated = concatBytes(signature.subarray(0, 32), littleEndian(s));
    expect(verify(publicKey, message, malleated)).toBe(false);
  });

  test("refuses keys of small order, for which R and S of nothing would sign every message", () => {
    const zero = concatBytes(Point.ZERO.toBytes(), repeated(0, 32));
    for (const point of SMALL_ORDER) {
      expect(verify(point.toBytes(), ascii("anything"), zero)).toBe(false);
      for (const r of SMALL_ORDER) {
        expect(verify(point.toBytes(), ascii("x"), concatBytes(r.toBytes(), repeated(0, 32)))).toBe(false);
      }
    }
  });

  test("refuses the neutral point as a key, in either encoding, with an R that is in order", () => {
    // A = 0: the equation is S·B = R for every message.
    const signature = concatBytes(Point.BASE.multiply(77n).toBytes(), littleEndian(77n));
    const everyMessage = { zip215: true };
    for (const key of [littleEndian(1n), littleEndian(P + 1n)]) {
      expect(ed25519.verify(signature, ascii("anything"), key, everyMessage)).toBe(true);
      expect(verify(key, ascii("anything"), signature)).toBe(false);
    }
  });

  test("refuses R of small order, even where the equation holds", () => {
    const { scalar, point } = ed25519.utils.getExtendedPublicKey(repeated(5, 32));
    const key = point.toBytes();
    const r = Point.ZERO.toBytes();
    const message = ascii("r is zero");
    const k = Point.Fn.create(fromLittleEndian(sha512(concatBytes(r, key, message))));
    const signature = concatBytes(r, littleEndian(Point.Fn.mul(k, scalar)));
    expect(ed25519.verify(signature, message, key, { zip215: true })).toBe(true);
    expect(verify(key, message, signature)).toBe(false);
  });

  test.each(NON_CANONICAL.map(toHex))("refuses the non-canonical encoding %s as key and as R", (encoding) => {
    const [, publicKey, message, signature] = RFC_8032[2].map(hex);
    if (!publicKey || !message || !signature) throw new Error("no vector");
    expect(verify(hex(encoding), message, signature)).toBe(false);
    expect(verify(publicKey, message, concatBytes(hex(encoding), signature.subarray(32)))).toBe(false);
    expect(primitives.isPrimeOrderPoint(hex(encoding))).toBe(false);
  });

  test("knows the points of prime order from those with a torsion part", () => {
    const random = seededRandom("torsion");
    for (let round = 0; round < 6; round++) {
      const point = Point.fromBytes(ed25519.getPublicKey(random(32)));
      for (const [k, torsion] of SMALL_ORDER.entries()) {
        expect([round, k, primitives.isPrimeOrderPoint(point.add(torsion).toBytes())]).toEqual([
          round,
          k,
          k === 0,
        ]);
      }
    }
    for (const point of SMALL_ORDER) expect(primitives.isPrimeOrderPoint(point.toBytes())).toBe(false);
  });

  test("refuses y without an x", () => {
    let refused = 0;
    for (let y = 2; y < 40; y++) {
      const encoding = littleEndian(BigInt(y));
      if (isPoint(encoding)) continue;
      refused++;
      expect(primitives.isPrimeOrderPoint(encoding)).toBe(false);
      expect(verify(encoding, ascii("x"), repeated(1, 64))).toBe(false);
    }
    expect(refused).toBeGreaterThan(10);
  });

  test("an identity's X25519 form is the same from either half", () => {
    const random = seededRandom("birational");
    for (let round = 0; round < 10; round++) {
      const seed = random(32);
      const pair = primitives.x25519KeyPairOfSeed(seed);
      expect(toHex(pair.publicKey)).toBe(toHex(edwardsToMontgomery(primitives.ed25519PublicKey(seed))));
    }
  });
});

function isPoint(encoding: Uint8Array): boolean {
  try {
    Point.fromBytes(encoding);
    return true;
  } catch {
    return false;
  }
}

describe("Ed25519 points", () => {
  test("the table of small-order encodings is all of them", () => {
    expect(new Set(SMALL_ORDER.map((point) => point.toHex())).size).toBe(8);
    for (const point of SMALL_ORDER) expect(isStrictEncoding(point.toBytes())).toBe(false);
    for (const encoding of NON_CANONICAL) expect(isStrictEncoding(encoding)).toBe(false);
    expect(isStrictEncoding(Point.BASE.toBytes())).toBe(true);
    expect(isStrictEncoding(littleEndian(P - 2n))).toBe(true);
    expect(isStrictEncoding(littleEndian(2n, 0x80))).toBe(true);
  });

  test("the scalar that finds torsion is 5L - 1, which X25519 does not clamp", () => {
    const probe = 5n * L - 1n;
    expect(toHex(littleEndian(probe))).toBe(
      "a023cdd083ef5bb82f10d62e59e15a6800000000000000000000000000000050",
    );
    expect(probe % 8n).toBe(0n);
    expect(probe >> 254n).toBe(1n);
  });

  test("an encoding that is no point has no X25519 form", () => {
    expect(protocolErrorOf(() => edwardsToMontgomery(littleEndian(2n)))).toBe("badKey");
    expect(protocolErrorOf(() => edwardsToMontgomery(littleEndian(P + 3n)))).toBe("badKey");
  });

  // A' = A + T: the equation with a cofactor holds for every message, the one without for one in eight.
  test("both implementations leave the cofactor out, and so accept the same signatures", () => {
    const { scalar, point } = ed25519.utils.getExtendedPublicKey(repeated(7, 32));
    const mixed = point.add(TORSION).toBytes();
    const nonce = 123456789n;
    const r = Point.BASE.multiply(nonce).toBytes();
    const counts = { accepted: 0, refused: 0 };
    for (let index = 0; index < 64; index++) {
      const message = ascii(`message ${index}`);
      const k = Point.Fn.create(fromLittleEndian(sha512(concatBytes(r, mixed, message))));
      const signature = concatBytes(r, littleEndian(Point.Fn.create(nonce + k * scalar)));
      expect(ed25519.verify(signature, message, mixed, { zip215: true })).toBe(true);
      const accepted = portablePrimitives.ed25519Verify(mixed, message, signature);
      expect(nativePrimitives.ed25519Verify(mixed, message, signature)).toBe(accepted);
      expect(accepted).toBe(k % 8n === 0n);
      counts[accepted ? "accepted" : "refused"]++;
    }
    expect(counts.accepted).toBeGreaterThan(0);
    expect(counts.refused).toBeGreaterThan(40);
  });
});
