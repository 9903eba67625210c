/** Bytes of a hex text; spaces and line breaks in it are for the reader. */
export function hex(text: string): Uint8Array {
  return Uint8Array.fromHex(text.replaceAll(/\s/g, ""));
}

/** The plain hex text of bytes, also of a Buffer. */
export function toHex(bytes: Uint8Array): string {
  return bytes.toHex();
}

export function ascii(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** `count` bytes of `value`. */
export function repeated(value: number, count: number): Uint8Array {
  return new Uint8Array(count).fill(value);
}

/** first, first + 1, … last. */
export function range(first: number, last: number): Uint8Array {
  return Uint8Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

/** A copy with one bit of it flipped. */
export function flipBit(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return copy;
}

/** The encoding of P plus the point (0, -1) of order 2: the point (-x, -y). */
export function withTorsion(encoding: Uint8Array): Uint8Array {
  const p = 2n ** 255n - 19n;
  const value = encoding.reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n);
  const y = p - (value & (2n ** 255n - 1n));
  const changed = y | ((1n - (value >> 255n)) << 255n);
  return Uint8Array.from({ length: 32 }, (_, index) => Number((changed >> BigInt(8 * index)) & 0xffn));
}
