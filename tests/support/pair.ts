import type { Random } from "../../src/proto/index.ts";

/** Deterministic randomness for tests: xorshift128 seeded by a number. Never for secrets. */
export function seededRandom(seed: number): Random {
  const state = new Uint32Array([seed >>> 0, 0x9e3779b9, 0x243f6a88, 0xb7e15162]);
  const next = (): number => {
    let [t = 0, a = 0, b = 0, c = 0] = state;
    t ^= t << 11;
    t ^= t >>> 8;
    state.set([a, b, c, t ^ c ^ (c >>> 19)]);
    return state[3] ?? 0;
  };
  for (let i = 0; i < 20; i++) next();
  return (length) => Uint8Array.from({ length }, () => next() & 0xff);
}
