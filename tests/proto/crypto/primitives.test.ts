import { describe, expect, test } from "bun:test";
import { hkdfExpand, hkdfExtract } from "../../../src/proto/crypto/hkdf.ts";
import {
  nativePrimitives,
  type Primitives,
  portablePrimitives,
} from "../../../src/proto/crypto/primitives/index.ts";
import { ascii, hex, range, repeated, toHex } from "../support/bytes.ts";

// Published vectors, held against both implementations.

const implementations: [string, Primitives][] = [
  ["native", nativePrimitives],
  ["portable", portablePrimitives],
];

describe.each(implementations)("%s primitives", (_, primitives) => {
  test("SHA-256 of FIPS 180-4 examples", () => {
    const digest = (text: string) => toHex(primitives.sha256(ascii(text)));
    expect(digest("abc")).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect(digest("")).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  });

  // RFC 4231 sections 4.2, 4.3 and 4.7 (a key longer than a block).
  test.each([
    [repeated(0x0b, 20), "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"],
    [
      ascii("Jefe"),
      "what do ya want for nothing?",
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ],
    [
      repeated(0xaa, 131),
      "Test Using Larger Than Block-Size Key - Hash Key First",
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ],
  ])("HMAC-SHA256 of RFC 4231, case %#", (key, text, mac) => {
    expect(toHex(primitives.hmac(key, ascii(text)))).toBe(mac);
  });

  // RFC 5869 appendix A.1 to A.3.
  test.each([
    {
      key: repeated(0x0b, 22),
      salt: range(0x00, 0x0c),
      info: range(0xf0, 0xf9),
      prk: "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
      okm: "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    },
    {
      key: range(0x00, 0x4f),
      salt: range(0x60, 0xaf),
      info: range(0xb0, 0xff),
      prk: "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
      okm: `b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09
            da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87`,
    },
    {
      key: repeated(0x0b, 22),
      salt: repeated(0, 0),
      info: repeated(0, 0),
      prk: "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
      okm: "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    },
  ])("HKDF-SHA256 of RFC 5869 appendix A, case %#", ({ key, salt, info, prk, okm }) => {
    const extracted = hkdfExtract(primitives, salt, key);
    expect(toHex(extracted)).toBe(prk);
    const expected = hex(okm);
    expect(hkdfExpand(primitives, extracted, info, expected.length)).toEqual(expected);
  });

  test("HKDF refuses more than 255 blocks", () => {
    const prk = repeated(1, 32);
    expect(hkdfExpand(primitives, prk, repeated(0, 0), 8160)).toHaveLength(8160);
    expect(() => hkdfExpand(primitives, prk, repeated(0, 0), 8161)).toThrow(
      "length: expected at most 8160, got 8161",
    );
  });
});

describe.each(implementations)("%s arguments of a wrong length", (_, primitives) => {
  const short = repeated(1, 31);
  const key = repeated(1, 32);
  const actions: [string, () => unknown][] = [
    ["an X25519 secret", () => primitives.x25519KeyPair(short)],
    ["an X25519 public key", () => primitives.x25519KeyPair(key).agree(short)],
    ["a seed to agree with", () => primitives.x25519KeyPairOfSeed(short)],
    ["a seed", () => primitives.ed25519PublicKey(short)],
    ["a seed to sign with", () => primitives.ed25519Sign(short, key)],
    ["a key to verify with", () => primitives.ed25519Verify(short, key, repeated(1, 64))],
    ["a point", () => primitives.isPrimeOrderPoint(short)],
    ["an AEAD key", () => primitives.sealParts("aes-256-gcm", short, key, key)],
  ];
  test.each(actions)("%s of 31 bytes is refused by name", (_, action) => {
    expect(action).toThrow(/expected 32 bytes, got 31/);
  });

  test("a signature of 63 bytes is refused by name", () => {
    expect(() => primitives.ed25519Verify(key, key, repeated(1, 63))).toThrow(
      "signature: expected 64 bytes, got 63",
    );
  });
});
