/** AEAD suites by name; wire numbers are in crypto/suites.ts. Both have 32-byte keys and 16-byte tags. */
export type Suite = "aes-256-gcm" | "chacha20-poly1305";

export const KEY_BYTES = 32;
export const TAG_BYTES = 16;
export const SIGNATURE_BYTES = 64;
/** 0^12. */
export const ZERO_NONCE = new Uint8Array(12);

/**
 * One AEAD message in the pieces in which it travels: `frames` ‖ `chunk` is the text, and neither is ever copied to
 * stand beside the other.
 */
export interface SealedParts {
  readonly frames: Uint8Array;
  readonly chunk: Uint8Array | undefined;
  readonly tag: Uint8Array;
}

/** What `SealedParts` opens to. */
export interface OpenedParts {
  readonly frames: Uint8Array;
  readonly chunk: Uint8Array | undefined;
}

/**
 * An X25519 key pair (RFC 7748). An object, not bytes, because a native key costs 15 µs to import and an agreement
 * only 35 µs, and ratchet keys and prekeys are used two or three times.
 */
export interface X25519KeyPair {
  readonly publicKey: Uint8Array;
  /**
   * The shared secret with a peer's 32-byte public key. ProtocolError badKey if it is all zero, as it is for every
   * point of small order (RFC 7748 section 6.1): such a secret is known to everybody.
   */
  agree(peerPublicKey: Uint8Array): Uint8Array;
  /** Forgets the secret; any further `agree` throws. */
  wipe(): void;
}

/**
 * The synchronous primitives of the protocol. Two implementations: `nativePrimitives` (BoringSSL through node:crypto)
 * and `portablePrimitives` (noble, pure JavaScript), the oracle of the tests. Byte arguments of a wrong length are our
 * fault and throw RangeError. Results are new arrays of the caller, perhaps Buffers: use `subarray`, never `slice`.
 */
export interface Primitives {
  sha256(message: Uint8Array): Uint8Array;
  /** HMAC-SHA256 (RFC 2104). */
  hmac(key: Uint8Array, message: Uint8Array): Uint8Array;

  /** A key pair of 32 random bytes, which are copied: the caller wipes them. */
  x25519KeyPair(secret: Uint8Array): X25519KeyPair;
  /** The X25519 key pair of the same scalar as an Ed25519 seed's (RFC 8032 section 5.1.5, steps 1 and 2). */
  x25519KeyPairOfSeed(seed: Uint8Array): X25519KeyPair;

  /**
   * Whether 32 bytes are the canonical Ed25519 encoding of a point other than the neutral one in the group of prime
   * order. Any other point may share its X25519 form's agreements with a second encoding.
   */
  isPrimeOrderPoint(encoding: Uint8Array): boolean;
  ed25519PublicKey(seed: Uint8Array): Uint8Array;
  /** A 64-byte signature (RFC 8032 section 5.1.6). */
  ed25519Sign(seed: Uint8Array, message: Uint8Array): Uint8Array;
  /**
   * RFC 8032 section 5.1.7 in its strictest reading: the equation without cofactor, S below the group order, and key
   * and R canonical and not of small order. Both implementations accept exactly the same signatures.
   */
  ed25519Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;

  /**
   * Seals `frames` ‖ `chunk` with associated data `ad`. The nonce is 0^12, for every key of this protocol seals one
   * message only; others are for published vectors.
   */
  sealParts(
    suite: Suite,
    key: Uint8Array,
    ad: Uint8Array,
    frames: Uint8Array,
    chunk?: Uint8Array,
    nonce?: Uint8Array,
  ): SealedParts;
  /** The inverse. ProtocolError badTag if anything at all differs from what was sealed. */
  openParts(
    suite: Suite,
    key: Uint8Array,
    ad: Uint8Array,
    sealed: SealedParts,
    nonce?: Uint8Array,
  ): OpenedParts;
}
