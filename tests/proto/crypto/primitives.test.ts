import { describe, expect, test } from "bun:test";
import { hkdfExpand, hkdfExtract } from "../../../src/proto/crypto/hkdf.ts";
import {
  nativePrimitives,
  type Primitives,
  portablePrimitives,
  type Suite,
} from "../../../src/proto/crypto/primitives/index.ts";
import { ascii, flipBit, hex, range, repeated, toHex } from "../support/bytes.ts";
import { protocolErrorOf } from "../support/errors.ts";

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

describe.each(implementations)("%s AEAD", (_, primitives) => {
  const seal = (suite: Suite, key: string, nonce: string, ad: string, text: string) => {
    const sealed = primitives.sealParts(suite, hex(key), hex(ad), hex(text), undefined, hex(nonce));
    return [toHex(sealed.frames), toHex(sealed.tag)];
  };
  const key = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
  const text = `d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72
                1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255`;
  const sealedText = `522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa
                      8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad`;

  // McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B; and one of NIST's gcmEncryptExtIV256.
  test.each([
    ["test case 13", "00".repeat(32), "00".repeat(12), "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"],
    [
      "test case 14",
      "00".repeat(32),
      "00".repeat(12),
      "",
      "00".repeat(16),
      "cea7403d4d606b6e074ec5d3baf39d18",
      "d0d1c8a799996bf0265b98b5d48ab919",
    ],
    [
      "test case 15",
      key,
      "cafebabefacedbaddecaf888",
      "",
      text,
      sealedText,
      "b094dac5d93471bdec1a502270e3cc6c",
    ],
    [
      "test case 16",
      key,
      "cafebabefacedbaddecaf888",
      "feedfacedeadbeeffeedfacedeadbeefabaddad2",
      toHex(hex(text).subarray(0, 60)),
      toHex(hex(sealedText).subarray(0, 60)),
      "76fc6ece0f4e1768cddf8853bb2d551b",
    ],
    [
      "NIST CAVP, no text and no associated data, count 0",
      "b52c505a37d78eda5dd34f20c22540ea1b58963cf8e5bf8ffa85f9f2492505b4",
      "516c33929df5a3284ff463d7",
      "",
      "",
      "",
      "bdc1ac884d332457a1d2664f168c76f0",
    ],
  ])("AES-256-GCM, %s", (_, key, nonce, ad, text, ciphertext, tag) => {
    expect(seal("aes-256-gcm", key, nonce, ad, text)).toEqual([toHex(hex(ciphertext)), tag]);
  });

  test("ChaCha20-Poly1305 of RFC 8439 section 2.8.2", () => {
    const text = toHex(
      ascii(
        "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, " +
          "sunscreen would be it.",
      ),
    );
    const ciphertext = `d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b
      1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc
      3ff4def08e4b7a9de576d26586cec64b6116`;
    const [sealed, tag] = seal(
      "chacha20-poly1305",
      toHex(range(0x80, 0x9f)),
      "070000004041424344454647",
      "50515253c0c1c2c3c4c5c6c7",
      text,
    );
    expect(sealed).toBe(toHex(hex(ciphertext)));
    expect(tag).toBe("1ae10b594f09e26a7e902ecbd0600691");
  });

  test("ChaCha20-Poly1305 of RFC 8439 appendix A.5", () => {
    const text =
      "Internet-Drafts are draft documents valid for a maximum of six months and may be updated, replaced, or " +
      "obsoleted by other documents at any time. It is inappropriate to use Internet-Drafts as reference " +
      "material or to cite them other than as /\u201cwork in progress./\u201d";
    const ciphertext = `64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb24c6cfc18755d43eea09ee94e382d26b0
      bdb7b73c321b0100d4f03b7f355894cf332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c855
      9797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4b9166c767b804d46a59b5216cde7a4e9
      9040c5a40433225ee282a1b0a06c523eaf4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273f548271a
      0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a1049e617d91d361094fa68f0ff77987130
      305beaba2eda04df997b714d6c6f2c29a6ad5cb4022b02709b`;
    const sealed = {
      frames: hex(ciphertext),
      chunk: undefined,
      tag: hex("eead9d67890cbb22392336fea1851f38"),
    };
    const opened = primitives.openParts(
      "chacha20-poly1305",
      hex("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0"),
      hex("f33388860000000000004e91"),
      sealed,
      hex("000000000102030405060708"),
    );
    expect(new TextDecoder().decode(opened.frames)).toBe(text);
  });

  // Wycheproof's "modified tag" cases.
  test.each(["aes-256-gcm", "chacha20-poly1305"] as const)(
    "%s refuses a tag with any bit changed",
    (suite) => {
      const key = range(0, 31);
      const ad = ascii("associated");
      const sealed = primitives.sealParts(suite, key, ad, ascii("frames"), ascii("chunk"));
      for (let bit = 0; bit < 128; bit++) {
        const forged = { ...sealed, tag: flipBit(sealed.tag, bit) };
        expect(protocolErrorOf(() => primitives.openParts(suite, key, ad, forged))).toBe("badTag");
      }
      for (const tag of [repeated(0, 16), repeated(0xff, 16), sealed.tag.map((byte) => byte ^ 0xff)]) {
        expect(protocolErrorOf(() => primitives.openParts(suite, key, ad, { ...sealed, tag }))).toBe(
          "badTag",
        );
      }
    },
  );

  test.each(["aes-256-gcm", "chacha20-poly1305"] as const)("%s takes no shortened tag", (suite) => {
    const key = range(0, 31);
    const sealed = primitives.sealParts(suite, key, ascii("ad"), ascii("frames"));
    for (const length of [0, 4, 8, 12, 15]) {
      const short = { ...sealed, tag: sealed.tag.subarray(0, length) };
      expect(() => primitives.openParts(suite, key, ascii("ad"), short)).toThrow(
        `tag: expected 16 bytes, got ${length}`,
      );
    }
  });

  test.each(["aes-256-gcm", "chacha20-poly1305"] as const)("%s: frames and chunk are one text", (suite) => {
    const key = range(0, 31);
    const whole = primitives.sealParts(suite, key, ascii("ad"), ascii("framechunk"));
    const parts = primitives.sealParts(suite, key, ascii("ad"), ascii("frame"), ascii("chunk"));
    expect(toHex(parts.frames) + toHex(parts.chunk ?? repeated(0, 0))).toBe(toHex(whole.frames));
    expect(toHex(parts.tag)).toBe(toHex(whole.tag));
    const opened = primitives.openParts(suite, key, ascii("ad"), parts);
    expect(opened.chunk?.toHex()).toBe(toHex(ascii("chunk")));
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
