import { describe, expect, test } from "bun:test";
import { identityFromSeed } from "../../src/proto/crypto/identity.ts";
import { portablePrimitives } from "../../src/proto/crypto/primitives/index.ts";
import {
  formatLink,
  inviteHash,
  type LinkKind,
  parseLink,
  parseServerUrl,
  type ServerLink,
  seatIdentity,
} from "../../src/proto/link-text.ts";
import { TextFormatError } from "../../src/proto/text.ts";
import { repeated, toHex } from "./support/bytes.ts";
import { below, pick, seededRandom } from "./support/random.ts";

const random = seededRandom("links");
const link: ServerLink = {
  url: "wss://vpn.example.com/",
  kind: "invite",
  serverKey: identityFromSeed(random(32)).publicKey,
  gateKey: random(32),
  secret: random(16),
};
const text = formatLink(link);

describe("a link's text", () => {
  test.each<LinkKind>(["address", "invite", "seat"])("parses to what was formatted (%s)", (kind) => {
    const secret = kind === "address" ? repeated(0, 16) : link.secret;
    expect(parseLink(formatLink({ ...link, kind, secret }))).toEqual({ ...link, kind, secret });
  });

  test.each([
    "wss://vpn.example.com/",
    "wss://vpn.example.com:8443/deep/path",
    "ws://127.0.0.1:8080/",
    "wss://[2001:db8::1]/x",
    "wss://xn--bcher-kva.example/",
  ])("keeps the address %s", (url) => {
    expect(parseLink(formatLink({ ...link, url })).url).toBe(url);
  });

  test("is written with the address in its one form", () => {
    expect(formatLink({ ...link, url: "wss://VPN.Example.com:443" })).toBe(text);
  });

  test("has all that is secret behind the #, and no character that a shell or a URL would mind", () => {
    expect(text.split("#")[0]).toBe("wss://vpn.example.com/");
    expect(text.split("#")[1]).toMatch(/^[A-Za-z0-9_-]{114}$/);
  });

  test("what parses is what formatting gives", () => {
    const alphabet = "ABab09-_#/:. ";
    let parsed = 0;
    for (let round = 0; round < 1_000; round++) {
      const at = below(random, text.length);
      const character = pick(random, [...alphabet]);
      const changed = text.slice(0, at) + character + text.slice(at + below(random, 2));
      const result = tryParse(changed);
      if (result === undefined) continue;
      parsed++;
      expect(formatLink(result)).toBe(changed);
    }
    // Letters of the address may be changed; nothing behind the # may.
    expect(parsed).toBeGreaterThan(10);
    expect(parsed).toBeLessThan(300);
  });
});

function tryParse(changed: string): ServerLink | undefined {
  try {
    return parseLink(changed);
  } catch (error) {
    if (error instanceof TextFormatError) return undefined;
    throw error;
  }
}

function fragment(change: (bytes: Uint8Array) => void): string {
  const body = parseLinkBody();
  change(body);
  const checksum = portablePrimitives
    .sha256(Uint8Array.from([...new TextEncoder().encode("rvpn/2 link\0"), ...body]))
    .subarray(0, 4);
  const all = Uint8Array.from([...body, ...checksum]);
  return `${link.url}#${all.toBase64({ alphabet: "base64url", omitPadding: true })}`;
}

function parseLinkBody(): Uint8Array {
  const bytes = Uint8Array.fromBase64(text.split("#")[1] ?? "", { alphabet: "base64url" });
  return bytes.slice(0, 81);
}

describe("a text that is no link says why", () => {
  const [address = "", secretPart = ""] = text.split("#");
  test.each([
    ["", 'the link has no "#": its secret part is missing'],
    [address, 'the link has no "#": its secret part is missing'],
    [`${address}#`, 'the part of the link behind the "#" is cut short or too long'],
    [text.slice(0, -2), 'the part of the link behind the "#" is cut short or too long'],
    [`${text}AAAA`, 'the part of the link behind the "#" is cut short or too long'],
    [`${text}\n`, "the link has a space or a line break in it"],
    [`${text}=`, 'the link has characters behind the "#" that it cannot have'],
    [text.replace(/.$/, "B"), 'the link has characters behind the "#" that it cannot have'],
    [`vpn.example.com#${secretPart}`, "the server's address is not a URL: write wss://host/"],
    [`https://vpn.example.com/#${secretPart}`, "the server's address begins with https:// instead of wss://"],
    [`wss://me:pw@vpn.example.com/#${secretPart}`, "the server's address has a user name or password in it"],
    [`wss://vpn.example.com/?a=b#${secretPart}`, 'the server\'s address has a part behind "?" or "#"'],
    [`wss://vpn.example.com/?#${secretPart}`, 'the server\'s address has a part behind "?" or "#"'],
    [`wss://VPN.example.com/#${secretPart}`, "the link's address must be written as wss://vpn.example.com/"],
    [` ${text}`, "the link's address must be written as wss://vpn.example.com/"],
    [
      `wss://vpn.example.com:443/#${secretPart}`,
      "the link's address must be written as wss://vpn.example.com/",
    ],
    [`wss://vpn.example.com/${"a".repeat(2048)}#${secretPart}`, "the link is too long to be one"],
  ])("%j", (changed, message) => {
    expect(() => parseLink(changed)).toThrow(new TextFormatError(message));
  });

  test("a changed character behind the # is a typing error, and is not repeated", () => {
    for (let index = address.length + 1; index < text.length - 1; index++) {
      const other = text[index] === "A" ? "B" : "A";
      const changed = text.slice(0, index) + other + text.slice(index + 1);
      expect(() => parseLink(changed)).toThrow("the link has a typing error: its checksum is wrong");
    }
  });

  test("an unknown kind", () => {
    const changed = fragment((body) => {
      body[0] = 3;
    });
    expect(() => parseLink(changed)).toThrow("the link is of a kind that this version does not know");
  });

  test("an address with a secret", () => {
    const changed = fragment((body) => {
      body[0] = 0;
    });
    expect(() => parseLink(changed)).toThrow("the link is an address, but carries a secret");
    expect(() => formatLink({ ...link, kind: "address" })).toThrow(
      "the link is an address, but carries a secret",
    );
  });

  test("a server key that nobody can have", () => {
    const changed = fragment((body) => body.fill(0, 1, 33));
    expect(() => parseLink(changed)).toThrow("the link's server key is one that no server can have");
    expect(() => formatLink({ ...link, serverKey: repeated(0, 32) })).toThrow(TextFormatError);
  });

  test("fields of a wrong length are our fault", () => {
    expect(() => formatLink({ ...link, secret: repeated(1, 15) })).toThrow(
      "secret: expected 16 bytes, got 15",
    );
    expect(() => formatLink({ ...link, gateKey: repeated(1, 33) })).toThrow(
      "gateKey: expected 32 bytes, got 33",
    );
    expect(() => formatLink({ ...link, serverKey: repeated(1, 0) })).toThrow(
      "serverKey: expected 32 bytes, got 0",
    );
  });
});

describe("a server's address", () => {
  test.each([
    ["wss://vpn.example.com", "wss://vpn.example.com/"],
    ["WSS://VPN.EXAMPLE.COM:443/a/../b", "wss://vpn.example.com/b"],
    ["ws://127.1:80/", "ws://127.0.0.1/"],
    ["wss://bücher.example/", "wss://xn--bcher-kva.example/"],
  ])("%s is written %s", (written, url) => {
    expect(parseServerUrl(written)).toBe(url);
    expect(parseServerUrl(url)).toBe(url);
  });
});

describe("a link's secret", () => {
  test("an invite's hash depends on every bit of it", () => {
    expect(inviteHash(link.secret)).toHaveLength(32);
    expect(toHex(inviteHash(repeated(1, 16)))).not.toBe(toHex(inviteHash(repeated(2, 16))));
    expect(() => inviteHash(repeated(1, 32))).toThrow("secret: expected 16 bytes, got 32");
  });

  test("a seat is another identity at another server", () => {
    const here = seatIdentity(link.secret, link.serverKey);
    const there = seatIdentity(link.secret, identityFromSeed(repeated(9, 32)).publicKey);
    expect(toHex(here.publicKey)).toBe(toHex(seatIdentity(link.secret, link.serverKey).publicKey));
    expect(toHex(here.publicKey)).not.toBe(toHex(there.publicKey));
  });
});
