/** Below this the collector is cheaper. */
const WORTH_BYTES = 16 * 1024;

/**
 * Gives the memory of bytes back at once that nobody needs any more; without it they wait for the collector, and every
 * new chunk goes to memory that no cache has seen. Only a whole buffer of its own is given back, never part of one.
 * Afterwards every view of it is empty.
 */
export function release(bytes: Uint8Array): void {
  if (bytes.length < WORTH_BYTES || bytes.length !== bytes.buffer.byteLength) return;
  if (bytes.buffer instanceof ArrayBuffer) bytes.buffer.transfer(0);
}
