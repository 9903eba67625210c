import type { Random } from "../random.ts";
import { decodeBase64url, encodeBase64url, TextFormatError } from "../text.ts";
import { checkLength, concatBytes, equalBytes, label, wipe } from "./octets.ts";
import { defaultPrimitives, KEY_BYTES } from "./primitives/index.ts";

/** A long-term Ed25519 key pair. Its X25519 form, by the birational map, takes part in X3DH. */
export interface Identity {
  /** 32 bytes, the secret of RFC 8032. */
  readonly seed: Uint8Array;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
}

const CHECKSUM_BYTES = 4;
const PUBLIC_KEY = { prefix: "rvpn-pk-", label: label("rvpn/2 pk"), what: "public key" };
const SECRET_KEY = { prefix: "rvpn-sk-", label: label("rvpn/2 sk"), what: "secret key" };
type KeyText = typeof PUBLIC_KEY;

/** The seed is behind a getter, so that no log line and no JSON shows it by accident. */
class SeedIdentity implements Identity {
  readonly publicKey: Uint8Array;
  readonly #seed: Uint8Array;

  constructor(seed: Uint8Array) {
    this.#seed = Uint8Array.from(seed);
    this.publicKey = defaultPrimitives.ed25519PublicKey(seed);
  }

  get seed(): Uint8Array {
    return this.#seed;
  }
}

export function generateIdentity(random: Random): Identity {
  const seed = random(KEY_BYTES);
  const identity = identityFromSeed(seed);
  wipe(seed);
  return identity;
}

/** The identity of a 32-byte seed, which is copied. */
export function identityFromSeed(seed: Uint8Array): Identity {
  checkLength("seed", seed, KEY_BYTES);
  return new SeedIdentity(seed);
}

/**
 * Whether a key may be somebody's identity: 32 bytes, canonical, of prime order. Keys are compared as bytes, so a
 * second encoding or a torsion part would give one secret several identities, and revoking one would leave the others.
 */
export function isAcceptablePublicKey(key: Uint8Array): boolean {
  return key.length === KEY_BYTES && defaultPrimitives.isPrimeOrderPoint(key);
}

/** `rvpn-pk-` and 48 characters: the key and a checksum, so that a mistyped key is not just another key. */
export function formatPublicKey(key: Uint8Array): string {
  return formatKey(PUBLIC_KEY, key);
}

/** The 32 bytes of a public key's text. TextFormatError says what is wrong with it. */
export function parsePublicKey(text: string): Uint8Array {
  const key = parseKey(PUBLIC_KEY, text);
  if (!isAcceptablePublicKey(key)) {
    throw new TextFormatError("this public key is well written, but no identity can have it");
  }
  return key;
}

/** `rvpn-sk-` and 48 characters. Whoever reads them is this identity. */
export function formatSecretKey(identity: Identity): string {
  return formatKey(SECRET_KEY, identity.seed);
}

/** The identity of a secret key's text. TextFormatError says what is wrong with it, without repeating it. */
export function parseSecretKey(text: string): Identity {
  const seed = parseKey(SECRET_KEY, text);
  const identity = identityFromSeed(seed);
  wipe(seed);
  return identity;
}

function checksum(kind: KeyText, key: Uint8Array): Uint8Array {
  return defaultPrimitives.sha256(concatBytes(kind.label, key)).subarray(0, CHECKSUM_BYTES);
}

function formatKey(kind: KeyText, key: Uint8Array): string {
  checkLength(kind.what, key, KEY_BYTES);
  return kind.prefix + encodeBase64url(concatBytes(key, checksum(kind, key)));
}

function parseKey(kind: KeyText, text: string): Uint8Array {
  if (!text.startsWith(kind.prefix)) {
    throw new TextFormatError(`not a ${kind.what}: it does not begin with ${kind.prefix}`);
  }
  const bytes = decodeBase64url(text.slice(kind.prefix.length));
  if (bytes === undefined) throw new TextFormatError(`the ${kind.what} has characters that it cannot have`);
  if (bytes.length !== KEY_BYTES + CHECKSUM_BYTES) {
    throw new TextFormatError(`the ${kind.what} is ${text.length} characters long instead of 56`);
  }
  const key = bytes.subarray(0, KEY_BYTES);
  if (!equalBytes(bytes.subarray(KEY_BYTES), checksum(kind, key))) {
    throw new TextFormatError(`the ${kind.what} has a typing error: its checksum is wrong`);
  }
  return key;
}
