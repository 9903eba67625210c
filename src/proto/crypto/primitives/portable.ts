import { gcm } from "@noble/ciphers/aes.js";
import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { ed25519, x25519 } from "@noble/curves/ed25519.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256, sha512 } from "@noble/hashes/sha2.js";
import { assert } from "../../assert.ts";
import { ProtocolError } from "../../errors.ts";
import { checkLength, concatBytes, equalBytes, wipe } from "../octets.ts";
import { isStrictEncoding } from "./edwards.ts";
import {
  KEY_BYTES,
  type OpenedParts,
  type Primitives,
  type SealedParts,
  SIGNATURE_BYTES,
  type Suite,
  TAG_BYTES,
  type X25519KeyPair,
  ZERO_NONCE,
} from "./types.ts";

const CIPHERS = { "aes-256-gcm": gcm, "chacha20-poly1305": chacha20poly1305 };
const EMPTY = new Uint8Array(0);

class PortableKeyPair implements X25519KeyPair {
  readonly publicKey: Uint8Array;
  #secret: Uint8Array | undefined;

  constructor(secret: Uint8Array) {
    checkLength("x25519 secret", secret, KEY_BYTES);
    this.#secret = Uint8Array.from(secret);
    this.publicKey = x25519.getPublicKey(secret);
  }

  agree(peerPublicKey: Uint8Array): Uint8Array {
    assert(this.#secret !== undefined, "X25519 key pair used after wipe");
    checkLength("x25519 public key", peerPublicKey, KEY_BYTES);
    try {
      return x25519.getSharedSecret(this.#secret, peerPublicKey);
    } catch (cause) {
      throw new ProtocolError("badKey", "X25519 with a point of small order", cause);
    }
  }

  wipe(): void {
    if (this.#secret !== undefined) wipe(this.#secret);
    this.#secret = undefined;
  }
}

/**
 * RFC 8032 section 5.1.7 without the cofactor: R' = S·B - k·A, compared with R as bytes. noble's own `verify`
 * multiplies by 8, and so accepts signatures that BoringSSL refuses.
 */
function verifyStrictly(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const { Point } = ed25519;
  const r = signature.subarray(0, 32);
  if (!isStrictEncoding(publicKey) || !isStrictEncoding(r)) return false;
  const s = fromLittleEndian(signature.subarray(32));
  if (s >= Point.Fn.ORDER) return false; // Else S + L would be a second signature of the same message.
  try {
    const a = Point.fromBytes(publicKey, false);
    const k = Point.Fn.create(fromLittleEndian(sha512(concatBytes(r, publicKey, message))));
    const expected = Point.BASE.multiplyUnsafe(s).subtract(a.multiplyUnsafe(k));
    return equalBytes(expected.toBytes(), r);
  } catch {
    return false; // The key is not a point.
  }
}

function fromLittleEndian(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

/** noble takes one array: the copy is lost in its 10 ns per byte. */
function sealParts(
  suite: Suite,
  key: Uint8Array,
  ad: Uint8Array,
  frames: Uint8Array,
  chunk?: Uint8Array,
  nonce: Uint8Array = ZERO_NONCE,
): SealedParts {
  checkLength("key", key, KEY_BYTES);
  const text = chunk === undefined ? frames : concatBytes(frames, chunk);
  const sealed = CIPHERS[suite](key, nonce, ad).encrypt(text);
  return {
    frames: sealed.subarray(0, frames.length),
    chunk: chunk === undefined ? undefined : sealed.subarray(frames.length, text.length),
    tag: sealed.subarray(text.length),
  };
}

function openParts(
  suite: Suite,
  key: Uint8Array,
  ad: Uint8Array,
  sealed: SealedParts,
  nonce = ZERO_NONCE,
): OpenedParts {
  checkLength("key", key, KEY_BYTES);
  checkLength("tag", sealed.tag, TAG_BYTES);
  const { frames, chunk } = sealed;
  const cipher = CIPHERS[suite](key, nonce, ad);
  const text = decryptOrThrow(cipher, concatBytes(frames, chunk ?? EMPTY, sealed.tag));
  return {
    frames: text.subarray(0, frames.length),
    chunk: chunk === undefined ? undefined : text.subarray(frames.length),
  };
}

function decryptOrThrow(cipher: ReturnType<typeof gcm>, sealed: Uint8Array): Uint8Array {
  try {
    return cipher.decrypt(sealed);
  } catch (cause) {
    throw new ProtocolError("badTag", undefined, cause);
  }
}

/** About 0.35 ms. */
function isPrimeOrderPoint(encoding: Uint8Array): boolean {
  checkLength("point", encoding, KEY_BYTES);
  if (!isStrictEncoding(encoding)) return false;
  try {
    return ed25519.Point.fromBytes(encoding, false).isTorsionFree();
  } catch {
    return false; // No x for this y: not on the curve.
  }
}

/** Pure JavaScript: the oracle that the native primitives are tested against, and the path where they do not exist. */
export const portablePrimitives: Primitives = {
  sha256,
  hmac: (key, message) => hmac(sha256, key, message),

  x25519KeyPair: (secret) => new PortableKeyPair(secret),
  x25519KeyPairOfSeed(seed) {
    checkLength("seed", seed, KEY_BYTES);
    const secret = ed25519.utils.toMontgomerySecret(seed);
    const pair = new PortableKeyPair(secret);
    wipe(secret);
    return pair;
  },

  isPrimeOrderPoint,
  ed25519PublicKey(seed) {
    checkLength("seed", seed, KEY_BYTES);
    return ed25519.getPublicKey(seed);
  },
  ed25519Sign(seed, message) {
    checkLength("seed", seed, KEY_BYTES);
    return ed25519.sign(message, seed);
  },
  ed25519Verify(publicKey, message, signature) {
    checkLength("publicKey", publicKey, KEY_BYTES);
    checkLength("signature", signature, SIGNATURE_BYTES);
    return verifyStrictly(publicKey, message, signature);
  },

  sealParts,
  openParts,
};
