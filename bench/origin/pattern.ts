/**
 * The bytes of every download: pseudo-random and with a period that is prime, so that a chunk lost, repeated or moved
 * shows in a hash. They lie in memory ready to be written: the origin's own cost must not hide a proxy's.
 */

const PERIOD = 1_000_003;
/** Largest piece that is handed to the kernel at once: above 1 MiB a write gains nothing (measured). */
const MAX_PIECE = 1024 * 1024;
const SEED = 0x2545f491;

const pattern = fillPattern();

function fillPattern(): Uint8Array {
  const bytes = new Uint8Array(PERIOD + MAX_PIECE);
  // xorshift32: cheap, and good enough for nothing to compress.
  for (let index = 0, word = SEED; index < PERIOD; index += 1) {
    word ^= word << 13;
    word ^= word >>> 17;
    word ^= word << 5;
    bytes[index] = word;
  }
  for (let filled = PERIOD; filled < bytes.length; filled += PERIOD) bytes.copyWithin(filled, 0, PERIOD);
  return bytes;
}

/** What a file has at `position`: up to `length` bytes, a view that is not to be written to. */
export function pieceAt(position: number, length: number): Uint8Array {
  const start = position % PERIOD;
  return pattern.subarray(start, start + Math.min(length, MAX_PIECE));
}

/** SHA-256 of a file of `size` bytes, as hex. */
export function patternHash(size: number): string {
  const hash = new Bun.CryptoHasher("sha256");
  for (let position = 0; position < size; ) {
    const piece = pieceAt(position, size - position);
    hash.update(piece);
    position += piece.length;
  }
  return hash.digest("hex");
}
