/**
 * The test payload: any length, never held in memory, and different at every offset, so that a byte lost, repeated or
 * moved changes the hash. Block n is the same noise with n written into its first eight bytes.
 */
export const BLOCK_BYTES = 256 * 1024;

const noise = makeNoise();

function makeNoise(): Uint8Array {
  const bytes = new Uint8Array(BLOCK_BYTES);
  const view = new DataView(bytes.buffer);
  // xorshift32: incompressible, the same in every process.
  for (let offset = 0, x = 0x9e3779b9; offset < bytes.length; offset += 4) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    view.setInt32(offset, x);
  }
  return bytes;
}

/** The payload of `size` bytes, block by block. */
export function* pattern(size: number): Generator<Uint8Array> {
  for (let offset = 0, index = 0n; offset < size; offset += BLOCK_BYTES, index++) {
    const block = noise.slice(0, Math.min(BLOCK_BYTES, size - offset));
    if (block.length >= 8) new DataView(block.buffer).setBigUint64(0, index);
    yield block;
  }
}

/** SHA-256 of the payload of `size` bytes, in hex. */
export function patternHash(size: number): string {
  const hash = new Bun.CryptoHasher("sha256");
  for (const block of pattern(size)) hash.update(block);
  return hash.digest("hex");
}

/** Writes the payload of `size` bytes to a file. */
export async function writePattern(path: string, size: number): Promise<void> {
  const writer = Bun.file(path).writer();
  for (const block of pattern(size)) {
    writer.write(block);
    await writer.flush();
  }
  await writer.end();
}

/** SHA-256 of a file, in hex. */
export async function fileHash(path: string): Promise<string> {
  const hash = new Bun.CryptoHasher("sha256");
  for await (const chunk of Bun.file(path).stream()) hash.update(chunk);
  return hash.digest("hex");
}
