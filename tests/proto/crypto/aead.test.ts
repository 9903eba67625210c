import { describe, expect, test } from "bun:test";
import {
  nativePrimitives,
  type Primitives,
  portablePrimitives,
  type Suite,
} from "../../../src/proto/crypto/primitives/index.ts";
import { ascii, flipBit, hex, range, repeated, toHex } from "../support/bytes.ts";
import { protocolErrorOf } from "../support/errors.ts";

const implementations: [string, Primitives][] = [
  ["native", nativePrimitives],
  ["portable", portablePrimitives],
];

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
