import { MAX_ROTATIONS, type Rotation } from "./bundle.ts";
import type { Identity } from "./identity.ts";
import { concatBytes, equalBytes, label } from "./octets.ts";
import { defaultPrimitives, type Primitives } from "./primitives/index.ts";

// docs/PROTOCOL.md section 4, "Rotation of the server's identity". A statement is signed by both keys over
//   L"rvpn/2 rotation" ‖ old 32 ‖ new 32 ‖ seq u32

const ROTATION_LABEL = label("rvpn/2 rotation");
const MAX_SEQUENCE = 0xffff_ffff;

/** The server's identity as a client knows it. */
export interface Pin {
  /** 32 bytes. */
  readonly key: Uint8Array;
  /** How often the server had renewed its identity when it took this one; 0 if only a link told of the key. */
  readonly sequence: number;
}

/** Where a chain of statements has led. */
export interface Successor extends Pin {
  /** The keys that were left on the way, the pinned one first. */
  readonly former: readonly Uint8Array[];
}

/** The statement that `to` follows `from` as a server's identity. RangeError if `sequence` is not 1 to 2^32 − 1. */
export function signRotation(
  from: Identity,
  to: Identity,
  sequence: number,
  primitives: Primitives = defaultPrimitives,
): Rotation {
  if (!Number.isInteger(sequence) || sequence < 1 || sequence > MAX_SEQUENCE) {
    throw new RangeError(`sequence: expected 1 to ${MAX_SEQUENCE}, got ${sequence}`);
  }
  const text = textOf(from.publicKey, to.publicKey, sequence);
  return {
    oldKey: from.publicKey,
    newKey: to.publicKey,
    sequence,
    oldSignature: primitives.ed25519Sign(from.seed, text),
    newSignature: primitives.ed25519Sign(to.seed, text),
  };
}

/**
 * Follows statements from a pinned key to `key`. A string, which says what is wrong, if they do not lead there: no
 * statement of the pinned key, a gap, a sequence that does not rise, a key that comes back, a signature that does not
 * verify. Statements before that of the pinned key are not looked at. The result holds copies.
 */
export function followRotations(
  pin: Pin,
  rotations: readonly Rotation[],
  key: Uint8Array,
  primitives: Primitives = defaultPrimitives,
): Successor | string {
  const start = rotations.findIndex(({ oldKey }) => equalBytes(oldKey, pin.key));
  if (start < 0) return "no statement of the pinned key";
  if (rotations.length > MAX_ROTATIONS) return `${rotations.length} statements`;
  let at: Pin = pin;
  const former: Uint8Array[] = [];
  for (const rotation of rotations.slice(start)) {
    former.push(Uint8Array.from(at.key));
    const problem = problemOf(rotation, at, former, primitives);
    if (problem !== undefined) return `rotation ${rotation.sequence}: ${problem}`;
    at = { key: Uint8Array.from(rotation.newKey), sequence: rotation.sequence };
  }
  if (!equalBytes(at.key, key)) return "the statements lead to another key";
  return { ...at, former };
}

function problemOf(
  { oldKey, newKey, sequence, oldSignature, newSignature }: Rotation,
  at: Pin,
  former: readonly Uint8Array[],
  primitives: Primitives,
): string | undefined {
  if (!equalBytes(oldKey, at.key)) return "it is of another key than the one before led to";
  if (sequence <= at.sequence) return `its sequence is not above ${at.sequence}`;
  if (former.some((key) => equalBytes(key, newKey))) return "it leads back to a former key";
  if (!primitives.isPrimeOrderPoint(newKey)) return "its new key is not acceptable";
  const text = textOf(oldKey, newKey, sequence);
  if (!primitives.ed25519Verify(oldKey, text, oldSignature)) return "the old key has not signed it";
  if (!primitives.ed25519Verify(newKey, text, newSignature)) return "the new key has not signed it";
  return undefined;
}

function textOf(oldKey: Uint8Array, newKey: Uint8Array, sequence: number): Uint8Array {
  const number = new Uint8Array(4);
  new DataView(number.buffer).setUint32(0, sequence);
  return concatBytes(ROTATION_LABEL, oldKey, newKey, number);
}
