import { assert } from "./assert.ts";
import { release } from "./release.ts";

/**
 * The bytes of one stream direction that the peer has not acknowledged, as the chunks they came in. Offsets are counted
 * from the stream's first byte. Nothing is copied: `slice` returns views, `discard` drops whole chunks,
 * whose memory is given back: nobody else may have a use for it.
 */
export class ChunkQueue {
  #chunks: Uint8Array[] = [];
  /** Offset of the first byte of `#chunks[0]`. */
  #base = 0;
  #end = 0;
  // The chunk that the last slice came from: reads are sequential, so the next one starts here or at its neighbour.
  #cursor = 0;
  #cursorBase = 0;

  /** Offset behind the last byte. */
  get end(): number {
    return this.#end;
  }

  /** Bytes of the chunks held. */
  get heldBytes(): number {
    return this.#end - this.#base;
  }

  push(chunk: Uint8Array): void {
    assert(chunk.length > 0, "a chunk has bytes");
    this.#chunks.push(chunk);
    this.#end += chunk.length;
  }

  /** The contiguous bytes at `offset`, at most `max` of them; fewer where a chunk ends. */
  slice(offset: number, max: number): Uint8Array {
    assert(
      offset >= this.#base && offset < this.#end,
      `offset ${offset} outside of ${this.#base}..${this.#end}`,
    );
    if (offset < this.#cursorBase) this.#rewind();
    let chunk = this.#at(this.#cursor);
    while (offset >= this.#cursorBase + chunk.length) {
      this.#cursorBase += chunk.length;
      this.#cursor += 1;
      chunk = this.#at(this.#cursor);
    }
    const start = offset - this.#cursorBase;
    return chunk.subarray(start, Math.min(chunk.length, start + max));
  }

  /** Drops the chunks that end at or before `offset`. */
  discard(offset: number): void {
    let drop = 0;
    for (const chunk of this.#chunks) {
      if (this.#base + chunk.length > offset) break;
      this.#base += chunk.length;
      release(chunk);
      drop += 1;
    }
    if (drop === 0) return;
    this.#chunks.splice(0, drop);
    this.#cursor -= drop;
    if (this.#cursor < 0) this.#rewind();
  }

  /** Drops everything; for a stream that was reset. */
  clear(): void {
    for (const chunk of this.#chunks) release(chunk);
    this.#chunks = [];
    this.#base = this.#end;
    this.#rewind();
  }

  #rewind(): void {
    this.#cursor = 0;
    this.#cursorBase = this.#base;
  }

  #at(index: number): Uint8Array {
    const chunk = this.#chunks[index];
    assert(chunk !== undefined, `no chunk ${index}`);
    return chunk;
  }
}
