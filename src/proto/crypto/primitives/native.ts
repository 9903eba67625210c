import { Buffer } from "node:buffer";
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hash,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";
import { assert } from "../../assert.ts";
import { ProtocolError } from "../../errors.ts";
import { checkLength, equalBytes, wipe } from "../octets.ts";
import { edwardsToMontgomery, isStrictEncoding } from "./edwards.ts";
import { PointMemo } from "./point-memo.ts";
import { portablePrimitives } from "./portable.ts";
import {
  KEY_BYTES,
  type OpenedParts,
  type Primitives,
  type SealedParts,
  SIGNATURE_BYTES,
  TAG_BYTES,
  type X25519KeyPair,
  ZERO_NONCE,
} from "./types.ts";

// RFC 8410 sections 4 and 7: all of the DER of a key but its 32 bytes. A JWK imports as fast, but would need the secret
// as a string, which cannot be wiped.
const PRIVATE_PREFIX = {
  x25519: Buffer.from("302e020100300506032b656e04220420", "hex"),
  ed25519: Buffer.from("302e020100300506032b657004220420", "hex"),
};
const PUBLIC_PREFIX = {
  x25519: Buffer.from("302a300506032b656e032100", "hex"),
  ed25519: Buffer.from("302a300506032b6570032100", "hex"),
};
type KeyType = keyof typeof PRIVATE_PREFIX;

const GCM = "aes-256-gcm";
const GCM_OPTIONS = { authTagLength: TAG_BYTES };

function importPrivateKey(type: KeyType, secret: Uint8Array): KeyObject {
  checkLength(`${type} secret`, secret, KEY_BYTES);
  const der = Buffer.concat([PRIVATE_PREFIX[type], secret]);
  const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  wipe(der);
  return key;
}

/** An import costs 16 µs: a seed that is kept, as an identity's is, has one for signing and one for agreeing. */
const signingKeys = new WeakMap<Uint8Array, KeyObject>();
const agreeingKeys = new WeakMap<Uint8Array, KeyObject>();

/** `make` is called once for each seed, which must not change meanwhile. */
function keyOfSeed(
  known: WeakMap<Uint8Array, KeyObject>,
  seed: Uint8Array,
  make: () => KeyObject,
): KeyObject {
  const old = known.get(seed);
  if (old !== undefined) return old;
  const key = make();
  known.set(seed, key);
  return key;
}

// Not clamped here: X25519 does that itself (RFC 7748 section 5), in the same way as RFC 8032 section 5.1.5.
function agreeingKey(seed: Uint8Array): KeyObject {
  const expanded = createHash("sha512").update(seed).digest();
  const key = importPrivateKey("x25519", expanded.subarray(0, KEY_BYTES));
  wipe(expanded);
  return key;
}

function importPublicKey(type: KeyType, publicKey: Uint8Array): KeyObject {
  checkLength(`${type} public key`, publicKey, KEY_BYTES);
  const der = Buffer.concat([PUBLIC_PREFIX[type], publicKey]);
  return createPublicKey({ key: der, format: "der", type: "spki" });
}

function publicBytes(key: KeyObject): Uint8Array {
  const der = createPublicKey(key).export({ format: "der", type: "spki" });
  return new Uint8Array(der.subarray(PUBLIC_PREFIX.x25519.length));
}

class NativeKeyPair implements X25519KeyPair {
  #key: KeyObject | undefined;
  #publicKey: Uint8Array | undefined;

  constructor(key: KeyObject) {
    this.#key = key;
  }

  /** Derived when somebody asks: of an identity nobody does. */
  get publicKey(): Uint8Array {
    if (this.#publicKey !== undefined) return this.#publicKey;
    assert(this.#key !== undefined, "X25519 key pair used after wipe");
    this.#publicKey = publicBytes(this.#key);
    return this.#publicKey;
  }

  agree(peerPublicKey: Uint8Array): Uint8Array {
    assert(this.#key !== undefined, "X25519 key pair used after wipe");
    const publicKey = importPublicKey("x25519", peerPublicKey);
    try {
      // BoringSSL's X25519 fails on an all-zero result, so that nothing is left to check here; a test holds it to that.
      return diffieHellman({ privateKey: this.#key, publicKey });
    } catch (cause) {
      throw new ProtocolError("badKey", "X25519 with a point of small order", cause);
    }
  }

  /** Drops the reference: BoringSSL overwrites what it frees, when the collector gets to it. */
  wipe(): void {
    this.#key = undefined;
  }
}

/**
 * 5L - 1, L being the group order: X25519 takes it as it is, for it is divisible by 8 and its highest bit is 2^254. It
 * maps P + T, T of small order, to -P, whose u is that of P. So u stays the same exactly if T was the neutral point,
 * and one agreement (35 µs) answers what noble needs 350 µs for.
 */
const TORSION_PROBE = "a023cdd083ef5bb82f10d62e59e15a6800000000000000000000000000000050";
const torsionProbe = new NativeKeyPair(importPrivateKey("x25519", Buffer.from(TORSION_PROBE, "hex")));

const primeOrder = new PointMemo<boolean>();

function isPrimeOrderPoint(encoding: Uint8Array): boolean {
  if (!isStrictEncoding(encoding)) return false;
  try {
    const u = edwardsToMontgomery(encoding);
    return equalBytes(torsionProbe.agree(u), u);
  } catch (error) {
    if (error instanceof ProtocolError) return false; // Not on the curve.
    throw error;
  }
}

function sealGcm(
  key: Uint8Array,
  nonce: Uint8Array,
  ad: Uint8Array,
  frames: Uint8Array,
  chunk: Uint8Array | undefined,
): SealedParts {
  const cipher = createCipheriv(GCM, key, nonce, GCM_OPTIONS).setAAD(ad);
  const sealedFrames = cipher.update(frames);
  const sealedChunk = chunk === undefined ? undefined : cipher.update(chunk);
  cipher.final();
  return { frames: sealedFrames, chunk: sealedChunk, tag: cipher.getAuthTag() };
}

function openGcm(key: Uint8Array, nonce: Uint8Array, ad: Uint8Array, sealed: SealedParts): OpenedParts {
  const decipher = createDecipheriv(GCM, key, nonce, GCM_OPTIONS).setAAD(ad).setAuthTag(sealed.tag);
  const frames = decipher.update(sealed.frames);
  const chunk = sealed.chunk === undefined ? undefined : decipher.update(sealed.chunk);
  try {
    decipher.final();
  } catch (cause) {
    throw new ProtocolError("badTag", undefined, cause);
  }
  return { frames, chunk };
}

/** BoringSSL, as Bun has it built in. ChaCha20-Poly1305 is noble's: Bun's node:crypto has none. */
export const nativePrimitives: Primitives = {
  sha256: (message) => new Uint8Array(hash("sha256", message, "buffer")),
  hmac: (key, message) => createHmac("sha256", key).update(message).digest(),

  x25519KeyPair: (secret) => new NativeKeyPair(importPrivateKey("x25519", secret)),
  x25519KeyPairOfSeed(seed) {
    checkLength("seed", seed, KEY_BYTES);
    return new NativeKeyPair(keyOfSeed(agreeingKeys, seed, () => agreeingKey(seed)));
  },

  isPrimeOrderPoint(encoding) {
    checkLength("point", encoding, KEY_BYTES);
    return primeOrder.get(encoding, isPrimeOrderPoint);
  },
  ed25519PublicKey: (seed) => publicBytes(importPrivateKey("ed25519", seed)),
  ed25519Sign(seed, message) {
    const key = keyOfSeed(signingKeys, seed, () => importPrivateKey("ed25519", seed));
    return sign(null, message, key);
  },
  ed25519Verify(publicKey, message, signature) {
    checkLength("publicKey", publicKey, KEY_BYTES);
    checkLength("signature", signature, SIGNATURE_BYTES);
    // BoringSSL checks S < L and compares R as bytes, but takes any encoding of the key.
    if (!isStrictEncoding(publicKey) || !isStrictEncoding(signature.subarray(0, 32))) return false;
    return verify(null, message, importPublicKey("ed25519", publicKey), signature);
  },

  sealParts(suite, key, ad, frames, chunk, nonce = ZERO_NONCE) {
    checkLength("key", key, KEY_BYTES);
    if (suite === GCM) return sealGcm(key, nonce, ad, frames, chunk);
    return portablePrimitives.sealParts(suite, key, ad, frames, chunk, nonce);
  },
  openParts(suite, key, ad, sealed, nonce = ZERO_NONCE) {
    checkLength("key", key, KEY_BYTES);
    checkLength("tag", sealed.tag, TAG_BYTES);
    if (suite === GCM) return openGcm(key, nonce, ad, sealed);
    return portablePrimitives.openParts(suite, key, ad, sealed, nonce);
  },
};
