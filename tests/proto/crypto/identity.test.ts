import { describe, expect, test } from "bun:test";
import { inspect } from "node:util";
import {
  formatPublicKey,
  formatSecretKey,
  generateIdentity,
  identityFromSeed,
  isAcceptablePublicKey,
  parsePublicKey,
  parseSecretKey,
} from "../../../src/proto/crypto/identity.ts";
import { TextFormatError } from "../../../src/proto/text.ts";
import { repeated, toHex } from "../support/bytes.ts";
import { seededRandom } from "../support/random.ts";

const random = seededRandom("identities");
const identity = generateIdentity(random);
const publicText = formatPublicKey(identity.publicKey);
const secretText = formatSecretKey(identity);

describe("an identity", () => {
  test("is the same from the same seed, and does not share the caller's bytes", () => {
    const seed = random(32);
    const first = identityFromSeed(seed);
    const copy = toHex(seed);
    seed.fill(0);
    expect(toHex(first.seed)).toBe(copy);
    expect(toHex(identityFromSeed(first.seed).publicKey)).toBe(toHex(first.publicKey));
  });

  test("shows its seed neither in JSON nor when it is printed", () => {
    const seed = identity.seed;
    for (const shown of [
      JSON.stringify(identity),
      inspect(identity),
      Bun.inspect(identity),
      String(identity),
    ]) {
      expect(shown).not.toContain(toHex(seed));
      expect(shown).not.toContain(seed.subarray(0, 6).join(","));
      expect(shown).not.toContain(seed.subarray(0, 6).join(", "));
    }
  });

  test("keys that no identity can have are told apart by length, form and order", () => {
    expect(isAcceptablePublicKey(identity.publicKey)).toBe(true);
    expect(isAcceptablePublicKey(identity.publicKey.subarray(1))).toBe(false);
    expect(isAcceptablePublicKey(repeated(0, 32))).toBe(false);
    expect(isAcceptablePublicKey(repeated(0xff, 32))).toBe(false);
  });
});

describe("key texts", () => {
  test("parse to the key they were made of", () => {
    expect(publicText).toMatch(/^rvpn-pk-[A-Za-z0-9_-]{48}$/);
    expect(secretText).toMatch(/^rvpn-sk-[A-Za-z0-9_-]{48}$/);
    expect(toHex(parsePublicKey(publicText))).toBe(toHex(identity.publicKey));
    expect(toHex(parseSecretKey(secretText).seed)).toBe(toHex(identity.seed));
    expect(toHex(parseSecretKey(secretText).publicKey)).toBe(toHex(identity.publicKey));
  });

  test.each([
    ["", "not a public key: it does not begin with rvpn-pk-"],
    [secretText, "not a public key: it does not begin with rvpn-pk-"],
    [` ${publicText}`, "not a public key: it does not begin with rvpn-pk-"],
    [`${publicText}\n`, "the public key has characters that it cannot have"],
    [`${publicText.slice(0, -1)}=`, "the public key has characters that it cannot have"],
    [publicText.slice(0, -4), "the public key is 52 characters long instead of 56"],
    [`${publicText}AAAA`, "the public key is 60 characters long instead of 56"],
    [
      publicText.replace("pk-", "pk-A").slice(0, -1),
      "the public key has a typing error: its checksum is wrong",
    ],
    [formatPublicKey(repeated(0, 32)), "this public key is well written, but no identity can have it"],
  ])("public key %j", (text, message) => {
    expect(() => parsePublicKey(text)).toThrow(new TextFormatError(message));
  });

  test("a changed character anywhere is found, and never repeated", () => {
    for (let index = 8; index < secretText.length; index++) {
      const other = secretText[index] === "A" ? "B" : "A";
      const changed = secretText.slice(0, index) + other + secretText.slice(index + 1);
      expect(() => parseSecretKey(changed)).toThrow(
        "the secret key has a typing error: its checksum is wrong",
      );
    }
  });

  test("a public key's checksum is not a secret key's", () => {
    expect(() => parseSecretKey(publicText.replace("-pk-", "-sk-"))).toThrow(
      "the secret key has a typing error: its checksum is wrong",
    );
  });

  test("keys of a wrong length are refused by name", () => {
    expect(() => formatPublicKey(repeated(1, 31))).toThrow("public key: expected 32 bytes, got 31");
    expect(() => identityFromSeed(repeated(1, 33))).toThrow("seed: expected 32 bytes, got 33");
  });
});
