import { assert } from "../../proto/index.ts";

export const EMPTY = new Uint8Array(0);

const INITIAL_CAPACITY = 512;

/**
 * The first bytes of a connection, copied together up to a limit and never beyond it. Bytes that do not fit stay with
 * the caller: whatever lies behind the request is always the tail of the chunk that completed it.
 */
export class Input {
  readonly #limit: number;
  #buffer: Uint8Array;
  #length = 0;

  constructor(limitBytes: number) {
    this.#limit = limitBytes;
    this.#buffer = new Uint8Array(Math.min(INITIAL_CAPACITY, limitBytes));
  }

  get length(): number {
    return this.#length;
  }

  get full(): boolean {
    return this.#length === this.#limit;
  }

  /** A view, good until the next `append`. */
  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  append(bytes: Uint8Array): void {
    const fitting = bytes.subarray(0, this.#limit - this.#length);
    this.#reserve(this.#length + fitting.length);
    this.#buffer.set(fitting, this.#length);
    this.#length += fitting.length;
    assert(this.#length <= this.#limit, "input stays below its limit");
  }

  /** Doubles, so that a head that comes byte by byte is not copied once per byte. */
  #reserve(bytes: number): void {
    if (bytes <= this.#buffer.length) return;
    const capacity = Math.min(this.#limit, Math.max(bytes, this.#buffer.length * 2));
    const larger = new Uint8Array(capacity);
    larger.set(this.bytes);
    this.#buffer = larger;
  }
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts);
}

/** One character per byte, both ways, so that header bytes above 0x7f survive. TextDecoder's "latin1" is not that. */
export function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

export function bytesOf(text: string): Uint8Array {
  return Buffer.from(text, "latin1");
}
