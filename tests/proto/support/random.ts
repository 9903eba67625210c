import { sha256 } from "@noble/hashes/sha2.js";
import type { Random } from "../../../src/proto/random.ts";

/** A generator that gives the same bytes for the same seed: SHA-256 of the seed and a counter. */
export function seededRandom(seed: string): Random {
  let counter = 0;
  let rest = new Uint8Array(0);
  return (length) => {
    const bytes = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      if (rest.length === 0) rest = sha256(new TextEncoder().encode(`${seed}/${counter++}`));
      const part = rest.subarray(0, length - filled);
      bytes.set(part, filled);
      filled += part.length;
      rest = rest.subarray(part.length);
    }
    return bytes;
  };
}

/** A whole number from 0 up to but not including `limit`. The bias of the modulus does not matter to a test. */
export function below(random: Random, limit: number): number {
  const [a = 0, b = 0, c = 0, d = 0] = random(4);
  return (((a << 24) | (b << 16) | (c << 8) | d) >>> 0) % limit;
}

/** One of the items. */
export function pick<T>(random: Random, items: readonly T[]): T {
  const item = items[below(random, items.length)];
  if (item === undefined) throw new RangeError("nothing to pick from");
  return item;
}

/** Gives the listed values, in order, and checks that each is as long as it was asked for. */
export function scriptedRandom(values: readonly Uint8Array[]): Random {
  const left = [...values];
  return (length) => {
    const value = left.shift();
    if (value?.length !== length) {
      throw new RangeError(`scripted randomness: asked for ${length} bytes, next value has ${value?.length}`);
    }
    return Uint8Array.from(value);
  };
}
