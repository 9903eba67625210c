import { checkLength, concatBytes, wipe } from "./octets.ts";
import type { Primitives } from "./primitives/index.ts";

const HASH_BYTES = 32;
const MAX_BLOCKS = 255;

/** HKDF-Extract with SHA-256 (RFC 5869 section 2.2). */
export function hkdfExtract(primitives: Primitives, salt: Uint8Array, inputKey: Uint8Array): Uint8Array {
  return primitives.hmac(salt, inputKey);
}

/** HKDF-Expand with SHA-256 (RFC 5869 section 2.3): `length` bytes, at most 8,160. */
export function hkdfExpand(
  primitives: Primitives,
  prk: Uint8Array,
  info: Uint8Array,
  length: number,
): Uint8Array {
  checkLength("prk", prk, HASH_BYTES);
  const blocks = Math.ceil(length / HASH_BYTES);
  if (blocks > MAX_BLOCKS) throw new RangeError(`length: expected at most 8160, got ${length}`);
  const output = new Uint8Array(length);
  let block: Uint8Array = new Uint8Array(0);
  for (let counter = 1; counter <= blocks; counter++) {
    // T(n) = HMAC(PRK, T(n-1) ‖ info ‖ n)
    const input = concatBytes(block, info, Uint8Array.of(counter));
    wipe(block);
    block = primitives.hmac(prk, input);
    const offset = (counter - 1) * HASH_BYTES;
    output.set(block.subarray(0, length - offset), offset);
    wipe(input);
  }
  wipe(block);
  return output;
}
