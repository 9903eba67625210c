import { assert } from "./assert.ts";
import { ProtocolError } from "./errors.ts";

/** Largest varint value: JavaScript's exact integers end here, well below the 2^62 of RFC 9000. */
export const MAX_VARINT = Number.MAX_SAFE_INTEGER;

const TWO_BYTE_LIMIT = 1 << 6;
const FOUR_BYTE_LIMIT = 1 << 14;
const EIGHT_BYTE_LIMIT = 2 ** 30;
const TWO_POW_32 = 2 ** 32;

/** Bytes that `value` takes as a varint: 1, 2, 4 or 8 (RFC 9000 section 16). */
export function varintLength(value: number): 1 | 2 | 4 | 8 {
  if (value < TWO_BYTE_LIMIT) return 1;
  if (value < FOUR_BYTE_LIMIT) return 2;
  return value < EIGHT_BYTE_LIMIT ? 4 : 8;
}

/** Bytes that `values` take as varints, one behind another. */
export function varintsLength(...values: number[]): number {
  let sum = 0;
  for (const value of values) sum += varintLength(value);
  return sum;
}

/**
 * Writes fields one after another into a buffer of fixed size. The caller has checked that values and lengths fit:
 * anything else throws, because a number that wraps would be another number to the peer.
 */
export class Writer {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #length = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get length(): number {
    return this.#length;
  }

  get free(): number {
    return this.#bytes.length - this.#length;
  }

  /** What was written so far: a view, valid until the writer is used again. */
  written(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  clear(): void {
    this.#length = 0;
  }

  u8(value: number): void {
    assert((value & 0xff) === value, "not a u8");
    this.#view.setUint8(this.#length, value);
    this.#length += 1;
  }

  u16(value: number): void {
    assert((value & 0xffff) === value, "not a u16");
    this.#view.setUint16(this.#length, value);
    this.#length += 2;
  }

  u32(value: number): void {
    assert(value >>> 0 === value, "not a u32");
    this.#view.setUint32(this.#length, value);
    this.#length += 4;
  }

  varint(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, `not a varint value: ${value}`);
    switch (varintLength(value)) {
      case 1:
        return this.u8(value);
      case 2:
        return this.u16(0x4000 | value);
      case 4:
        return this.u32(0x8000_0000 + value);
      case 8:
        this.u32(0xc000_0000 + Math.floor(value / TWO_POW_32));
        return this.u32(value % TWO_POW_32);
    }
  }

  bytes(value: Uint8Array): void {
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  /** A field that always has `length` bytes. */
  fixed(value: Uint8Array, length: number): void {
    assert(value.length === length, "a field of another length");
    this.bytes(value);
  }

  zeros(count: number): void {
    assert(count >= 0 && count <= this.free, "zeros beyond the end");
    this.#bytes.fill(0, this.#length, this.#length + count);
    this.#length += count;
  }
}

/** Reads fields one after another. Reading past the end is the peer's fault: `ProtocolError` malformed. */
export class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  u8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#advance(2));
  }

  u32(): number {
    return this.#view.getUint32(this.#advance(4));
  }

  /** A varint in its shortest form; a longer form is refused, so that a value has one encoding. */
  varint(): number {
    const start = this.#offset;
    const first = this.u8();
    const length = 1 << (first >> 6);
    let value = first & 0x3f;
    if (length === 2) value = (value << 8) | this.u8();
    else if (length === 4) value = value * 0x100_0000 + this.u8() * 0x1_0000 + this.u16();
    else if (length === 8) value = this.#eightBytes(value);
    if (varintLength(value) !== length) throw new ProtocolError("notCanonical", `varint at byte ${start}`);
    return value;
  }

  #eightBytes(top: number): number {
    const high = top * 0x100_0000 + this.u8() * 0x1_0000 + this.u16();
    const value = high * TWO_POW_32 + this.u32();
    if (value > MAX_VARINT) throw new ProtocolError("tooLarge", "varint above 2^53 - 1");
    return value;
  }

  /** A view of the next `length` bytes, not a copy. */
  bytes(length: number): Uint8Array {
    const start = this.#advance(length);
    return this.#bytes.subarray(start, start + length);
  }

  /** Takes all that is left and says whether every byte of it is zero. */
  restIsZero(): boolean {
    const rest = this.bytes(this.remaining);
    return rest.every((byte) => byte === 0);
  }

  #advance(length: number): number {
    const start = this.#offset;
    if (length > this.#bytes.length - start) {
      throw new ProtocolError(
        "malformed",
        `${length} bytes wanted at byte ${start} of ${this.#bytes.length}`,
      );
    }
    this.#offset = start + length;
    return start;
  }
}
