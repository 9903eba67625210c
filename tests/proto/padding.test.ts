import { describe, expect, test } from "bun:test";
import { LIMITS } from "../../src/proto/limits.ts";
import { paddingFor, padme } from "../../src/proto/padding.ts";

/** Algorithm 1 of Nikitin et al. 2019, "Reducing Metadata Leakage from Encrypted Files", in integers as printed. */
function padmeOfThePaper(length: number): number {
  const L = BigInt(length);
  const bits = (value: bigint) => value.toString(2).length;
  const E = bits(L) - 1;
  const S = bits(BigInt(E));
  const z = BigInt(E - S);
  const mask = (1n << (z > 0n ? z : 0n)) - 1n;
  return Number((L + mask) & ~mask);
}

describe("PADMÉ", () => {
  test("is that of the paper, for every length of a packet and around every power of two", () => {
    const lengths = Array.from({ length: LIMITS.paddedBelowBytes + 2 }, (_, length) => length).slice(2);
    for (let power = 15; power < 31; power++) lengths.push(2 ** power - 1, 2 ** power, 2 ** power + 1);
    expect(lengths.filter((length) => padme(length) !== padmeOfThePaper(length))).toEqual([]);
  });

  test("leaves lengths below 2 alone", () => {
    expect([padme(0), padme(1)]).toEqual([0, 1]);
  });

  test.each([
    [2, 2],
    [9, 10],
    [100, 104],
    [1_000, 1_024],
    [1_400, 1_408],
    [16_383, 16_384],
  ])("rounds %d up to %d", (length, padded) => {
    expect(padme(length)).toBe(padded);
  });

  test("never shrinks, never falls, settles at once, and costs at most 12 %", () => {
    for (let length = 1, before = 0; length <= 70_000; length++) {
      const padded = padme(length);
      if (padded < length || padded < before || padme(padded) !== padded) throw new Error(`padme(${length})`);
      if (padded > length * 1.12) throw new Error(`padme(${length}) costs ${padded / length - 1}`);
      before = padded;
    }
  });

  test("leaves few lengths to see", () => {
    const seen = new Set(Array.from({ length: LIMITS.paddedBelowBytes }, (_, length) => padme(length)));
    expect(seen.size).toBeLessThan(150);
  });
});

describe("paddingFor", () => {
  const padded = (length: number) => length + paddingFor(length, "padme");

  test("makes every small packet 96 bytes", () => {
    expect(new Set(Array.from({ length: 96 }, (_, length) => padded(length + 1)))).toEqual(new Set([96]));
    expect(padded(97)).toBe(padme(97));
  });

  test("pads below 16 KiB to PADMÉ's length, and above not at all", () => {
    for (let length = 97; length < LIMITS.paddedBelowBytes; length++)
      expect(padded(length)).toBe(padme(length));
    expect(paddingFor(LIMITS.paddedBelowBytes, "padme")).toBe(0);
    expect(paddingFor(LIMITS.paddedBelowBytes + 1_001, "padme")).toBe(0);
  });

  test("does nothing under the policy `none`", () => {
    expect([21, 96, 1_000, 20_000].map((length) => paddingFor(length, "none"))).toEqual([0, 0, 0, 0]);
  });
});
