import { concatBytes } from "@noble/hashes/utils.js";
import { formatPublicKey, formatSecretKey, identityFromSeed } from "../../../src/proto/crypto/identity.ts";
import type { Primitives } from "../../../src/proto/crypto/primitives/index.ts";
import { makeGateToken } from "../../../src/proto/gate.ts";
import { formatLink, inviteHash, type LinkKind, seatIdentity } from "../../../src/proto/link-text.ts";
import { decodeBase64url, encodeBase64url } from "../../../src/proto/text.ts";
import { flipBit, hex, repeated, toHex, withTorsion } from "../support/bytes.ts";
import { L } from "../support/oracle.ts";
import { seededRandom } from "../support/random.ts";

// Vectors of everything that is text: keys, links and gate tokens.

const SMALL_ORDER = hex(`01${"00".repeat(31)}`);
const NON_CANONICAL = hex(`f0${"ff".repeat(30)}7f`);

/** Text with its `index`th character replaced by another letter of the alphabet. */
function mistype(text: string, index: number): string {
  return text.slice(0, index) + (text[index] === "A" ? "B" : "A") + text.slice(index + 1);
}

/** prefix ‖ base64url(body ‖ first 4 bytes of H(label ‖ body)): any body at all, with its right checksum. */
function withChecksum(primitives: Primitives, prefix: string, label: string, body: Uint8Array): string {
  const checksum = primitives.sha256(concatBytes(L(label), body)).subarray(0, 4);
  return prefix + encodeBase64url(concatBytes(body, checksum));
}

export function makeIdentityVectors(primitives: Primitives) {
  const random = seededRandom("rvpn/2 identity vectors");
  const keys = Array.from({ length: 3 }, () => {
    const identity = identityFromSeed(random(32));
    return {
      seed: toHex(identity.seed),
      publicKey: toHex(identity.publicKey),
      x25519PublicKey: toHex(primitives.x25519KeyPairOfSeed(identity.seed).publicKey),
      publicText: formatPublicKey(identity.publicKey),
      secretText: formatSecretKey(identity),
    };
  });
  const { publicText = "", secretText = "", publicKey = "" } = keys[0] ?? {};
  const bad = (comment: string, text: string) => ({ comment, text, error: "TextFormatError" });
  const ofKey = (key: Uint8Array) => withChecksum(primitives, "rvpn-pk-", "rvpn/2 pk", key);
  return {
    description: "Key texts: prefix, base64url(32 bytes, checksum). bad…Texts do not parse.",
    keys,
    badPublicTexts: [
      bad("empty", ""),
      bad("a secret key", secretText),
      bad("the prefix in capitals", publicText.replace("rvpn-pk-", "RVPN-PK-")),
      bad("a changed character of the key", mistype(publicText, 20)),
      bad("a changed character of the checksum", mistype(publicText, 55)),
      bad("cut short", publicText.slice(0, -4)),
      bad("four characters too many", `${publicText}AAAA`),
      bad("padding behind it", `${publicText}=`),
      bad("a space in front", ` ${publicText}`),
      bad("checksum of another label", withChecksum(primitives, "rvpn-pk-", "rvpn/2 sk", hex(publicKey))),
      bad("the neutral point", ofKey(SMALL_ORDER)),
      bad("a non-canonical encoding", ofKey(NON_CANONICAL)),
      bad("a key with a torsion part", ofKey(withTorsion(hex(publicKey)))),
    ],
    badSecretTexts: [
      bad("a public key", publicText),
      bad("a changed character", mistype(secretText, 30)),
      bad("cut short", secretText.slice(0, -1)),
      bad("the other base64 alphabet", `${secretText.slice(0, 8)}+/${secretText.slice(10)}`),
    ],
  };
}

export function makeLinkVectors(primitives: Primitives) {
  const random = seededRandom("rvpn/2 link vectors");
  const urls = ["wss://vpn.example.com/", "wss://[2001:db8::1]:8443/a/b", "ws://127.0.0.1:8080/"];
  const kinds: LinkKind[] = ["invite", "seat", "address"];
  const links = kinds.map((kind, index) => {
    const url = urls[index] ?? "";
    const serverKey = identityFromSeed(random(32)).publicKey;
    const gateKey = random(32);
    const secret = kind === "address" ? repeated(0, 16) : random(16);
    const seat = seatIdentity(secret, serverKey, primitives);
    return {
      text: formatLink({ url, kind, serverKey, gateKey, secret }),
      url,
      kind,
      serverKey: toHex(serverKey),
      gateKey: toHex(gateKey),
      secret: toHex(secret),
      inviteHash: toHex(inviteHash(secret, primitives)),
      seatSeed: toHex(seat.seed),
      seatPublicKey: toHex(seat.publicKey),
    };
  });
  return {
    description:
      "Links, the hash that the server keeps of an invite, and the identity of a seat. bad ones do not parse.",
    links,
    bad: badLinks(primitives, links[0]?.text ?? ""),
  };
}

function badLinks(primitives: Primitives, text: string) {
  const [url = "", fragment = ""] = text.split("#");
  const body = (decodeBase64url(fragment) ?? repeated(0, 85)).slice(0, 81);
  const bad = (comment: string, changed: string) => ({ comment, text: changed, error: "TextFormatError" });
  const patched = (at: number, put: Uint8Array) => {
    const copy = Uint8Array.from(body);
    copy.set(put, at);
    return withChecksum(primitives, `${url}#`, "rvpn/2 link", copy);
  };
  return [
    bad("no fragment", url),
    bad("an empty fragment", `${url}#`),
    bad("an unknown kind", patched(0, Uint8Array.of(3))),
    bad("an address with a secret", patched(0, Uint8Array.of(0))),
    bad("a server key of small order", patched(1, SMALL_ORDER)),
    bad("a server key that is not canonical", patched(1, NON_CANONICAL)),
    bad("a changed character of the gate key", mistype(text, url.length + 70)),
    bad("cut short", text.slice(0, -2)),
    bad("bits behind the last byte", text.slice(0, -1) + (text.endsWith("B") ? "C" : "B")),
    bad("padding", `${text}==`),
    bad("a line break at the end", `${text}\n`),
    bad("https", text.replace("wss:", "https:")),
    bad("a user name in the address", text.replace("wss://", "wss://user@")),
    bad("a query in the address", text.replace("#", "?a=b#")),
    bad("a host in capitals", text.replace("vpn", "VPN")),
    bad("the default port", text.replace(".com/", ".com:443/")),
  ];
}

export function makeGateVectors(primitives: Primitives) {
  const random = seededRandom("rvpn/2 gate vectors");
  const tokens = Array.from({ length: 3 }, () => {
    const gateKey = random(32);
    const nonce = random(16);
    const token = makeGateToken(gateKey, () => Uint8Array.from(nonce), primitives);
    return { gateKey: toHex(gateKey), nonce: toHex(nonce), token };
  });
  const { gateKey = "", token = "" } = tokens[0] ?? {};
  const bytes = decodeBase64url(token) ?? repeated(0, 32);
  const bad = (comment: string, changed: string, key = gateKey) => ({
    comment,
    gateKey: key,
    token: changed,
  });
  return {
    description:
      "Gate tokens: base64url(nonce, first 16 bytes of the MAC). bad ones open nothing with the key beside them.",
    tokens,
    bad: [
      bad("another key", token, tokens[1]?.gateKey),
      bad("a changed nonce", encodeBase64url(flipBit(bytes, 0))),
      bad("a changed MAC", encodeBase64url(flipBit(bytes, 255))),
      bad("the nonce alone", encodeBase64url(bytes.subarray(0, 16))),
      bad("the MAC cut to 15 bytes", encodeBase64url(bytes.subarray(0, 31))),
      bad("33 bytes", encodeBase64url(concatBytes(bytes, repeated(0, 1)))),
      bad("bits behind the last byte", token.slice(0, -1) + (token.endsWith("B") ? "C" : "B")),
      bad("padding", `${token}=`),
      bad("zero bytes", encodeBase64url(repeated(0, 32))),
      bad("empty", ""),
    ],
  };
}
