import { check } from "./failure.ts";

// Prime, so that no chunk or window size divides it and shifted bytes never look right.
const RING_BYTES = 1_048_573;
const LONGEST_SLICE = 512 * 1024;

/** What streams carry: one fixed pattern, entered at another place by every stream and direction. */
const ring = makeRing();

function makeRing(): Uint8Array {
  const bytes = new Uint8Array(RING_BYTES + LONGEST_SLICE);
  let state = 0x2545f491;
  for (let at = 0; at < RING_BYTES; at++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[at] = state;
  }
  bytes.copyWithin(RING_BYTES, 0, LONGEST_SLICE);
  return bytes;
}

/** At most LONGEST_SLICE bytes of the stream `salt`, from `offset`; a view that nobody may change. */
export function content(salt: number, offset: number, length: number): Uint8Array {
  const start = (salt * 611_953 + offset) % RING_BYTES;
  return ring.subarray(start, start + Math.min(length, LONGEST_SLICE));
}

/** Whether `bytes` are exactly the stream `salt` from `offset`. */
export function checkContent(salt: number, offset: number, bytes: Uint8Array, who: () => string): void {
  const expected = content(salt, offset, bytes.length);
  check(Buffer.compare(expected, bytes) === 0, () => `${who()}: wrong bytes at offset ${offset}`);
}
