import { describe, expect, test } from "bun:test";
import { decodeBase64url, encodeBase64url } from "../../src/proto/text.ts";
import { ascii, hex } from "./support/bytes.ts";
import { below, seededRandom } from "./support/random.ts";

describe("base64url", () => {
  // RFC 4648 section 10, without the padding.
  test.each([
    ["", ""],
    ["f", "Zg"],
    ["fo", "Zm8"],
    ["foo", "Zm9v"],
    ["foob", "Zm9vYg"],
    ["fooba", "Zm9vYmE"],
    ["foobar", "Zm9vYmFy"],
  ])("RFC 4648 section 10: %j is %j", (text, encoded) => {
    expect(encodeBase64url(ascii(text))).toBe(encoded);
    expect(decodeBase64url(encoded)).toEqual(ascii(text));
  });

  test("uses the URL-safe alphabet", () => {
    expect(encodeBase64url(hex("fbff bf"))).toBe("-_-_");
  });

  test.each([
    ["padding", "Zg=="],
    ["set bits behind the last byte", "Zh"],
    ["set bits behind the last byte", "Zm9"],
    ["a single character", "Z"],
    ["five characters", "Zm9vY"],
    ["the other alphabet", "+/+/"],
    ["a space", "Zm 9v"],
    ["a line break at the end", "Zm9v\n"],
    ["a letter that looks like another", "Zm9\u043e"],
  ])("refuses %s: %j", (_, text) => {
    expect(decodeBase64url(text)).toBeUndefined();
  });

  test("what decodes is what was encoded, and what was encoded decodes", () => {
    const random = seededRandom("base64url");
    const alphabet = "ABCZabcz0189-_=+/ ";
    let decoded = 0;
    for (let round = 0; round < 2_000; round++) {
      const bytes = random(below(random, 40));
      expect(decodeBase64url(encodeBase64url(bytes))).toEqual(bytes);
      const text = [...random(below(random, 8))].map((byte) => alphabet[byte % alphabet.length]).join("");
      const parsed = decodeBase64url(text);
      if (parsed === undefined) continue;
      decoded++;
      expect(encodeBase64url(parsed)).toBe(text);
    }
    expect(decoded).toBeGreaterThan(100);
  });
});
