import { ed25519 } from "@noble/curves/ed25519.js";
import { ProtocolError } from "../../errors.ts";
import { checkLength } from "../octets.ts";
import { PointMemo } from "./point-memo.ts";
import { KEY_BYTES } from "./types.ts";

// Point arithmetic that no native library offers. Only public values pass here.

/**
 * The y coordinates of the eight points of small order, little-endian: 0, 1, -1 and the two of order 8. Those of order
 * 8 are from the table of "Taming the many EdDSAs" (Chalkias et al.), and a test derives all of them from the curve.
 */
const SMALL_ORDER_Y = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
].map((hex) => Uint8Array.fromHex(hex));

const SIGN_BIT = 0x80;

/**
 * Whether an Ed25519 encoding has y below p = 2^255 - 19 (RFC 8032 section 5.1.3, step 1) and is none of the points of
 * small order. Says nothing on whether it is a point at all.
 */
export function isStrictEncoding(encoding: Uint8Array): boolean {
  return isBelowPrime(encoding) && !SMALL_ORDER_Y.some((y) => hasY(encoding, y));
}

function isBelowPrime(encoding: Uint8Array): boolean {
  // p = ed ff … ff 7f: only y = p … 2^255 - 1 have all these bytes.
  if (((encoding[31] ?? 0) | SIGN_BIT) !== 0xff) return true;
  for (let index = 1; index < 31; index++) if (encoding[index] !== 0xff) return true;
  return (encoding[0] ?? 0) < 0xed;
}

function hasY(encoding: Uint8Array, y: Uint8Array): boolean {
  const last = (encoding[31] ?? 0) & ~SIGN_BIT;
  return last === y[31] && y.every((byte, index) => index === 31 || byte === encoding[index]);
}

/**
 * u = (1 + y) / (1 - y): the X25519 form of an Ed25519 public key (RFC 7748 section 4.1). The caller may keep it and
 * must not change it. ProtocolError badKey.
 */
export function edwardsToMontgomery(publicKey: Uint8Array): Uint8Array {
  checkLength("publicKey", publicKey, KEY_BYTES);
  return converted.get(publicKey, convert);
}

/** A conversion costs as much as three agreements, and every handshake of an identity needs it twice. */
const converted = new PointMemo<Uint8Array>();

function convert(publicKey: Uint8Array): Uint8Array {
  try {
    return ed25519.utils.toMontgomery(publicKey);
  } catch (cause) {
    throw new ProtocolError("badKey", "not a point of Ed25519", cause);
  }
}
