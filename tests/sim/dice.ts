import type { Random } from "../../src/proto/index.ts";

/** All chance of a simulation, from one seed (sfc32 by Chris Doty-Humphrey, which passes PractRand and is fast). */
export class Dice {
  #a = 0;
  #b = 0;
  #c = 0;
  #counter = 1;

  constructor(seed: number) {
    this.#a = seed >>> 0;
    this.#b = Math.floor(seed / 2 ** 32) >>> 0;
    this.#c = 0x9e3779b9;
    for (let i = 0; i < 15; i++) this.#next();
  }

  #next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    return sum >>> 0;
  }

  /** In [0, 1). */
  unit(): number {
    return this.#next() / 2 ** 32;
  }

  /** In [0, below), whole. */
  int(below: number): number {
    return Math.floor(this.unit() * below);
  }

  /** In [low, high). */
  between(low: number, high: number): number {
    return low + this.unit() * (high - low);
  }

  /** Between `low` and `high`, every order of magnitude alike. */
  spread(low: number, high: number): number {
    return Math.round(low * (high / low) ** this.unit());
  }

  chance(probability: number): boolean {
    return this.unit() < probability;
  }

  pick<T>(choices: readonly [T, ...T[]]): T {
    return choices[this.int(choices.length)] ?? choices[0];
  }

  /** The randomness port of the protocol core. */
  readonly random: Random = (length) => {
    const bytes = new Uint8Array(length);
    const view = new DataView(bytes.buffer);
    let at = 0;
    for (; at + 4 <= length; at += 4) view.setUint32(at, this.#next());
    for (; at < length; at++) bytes[at] = this.#next();
    return bytes;
  };

  /** Dice of their own for a part of the world, so that a change there does not move everything else. */
  fork(): Dice {
    return new Dice(this.#next() * 2 ** 20 + (this.#next() >>> 12));
  }
}
