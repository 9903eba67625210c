import { describe, expect, test } from "bun:test";
import { describeFailure, explain, runSeed } from "./simulation.ts";

const ONE = process.env["SEED"];
const SEEDS = Number(process.env["SIM_SEEDS"] ?? 60);
/** Where to begin, so that CI can take other seeds with every commit. */
const FIRST = Number(process.env["SIM_FROM"] ?? 1);

describe("streams survive whatever happens to links", () => {
  if (ONE !== undefined) {
    test(`in seed ${ONE}`, () => {
      const { failed, text } = explain({ seed: Number(ONE) });
      expect(failed ? text : "").toBe("");
    }, 120_000);
    return;
  }

  test(`in ${SEEDS} seeds from ${FIRST}`, () => {
    expect(failuresOf(Array.from({ length: SEEDS }, (_, at) => FIRST + at))).toEqual([]);
  }, 600_000);

  test("and a seed is the same every time", () => {
    const first = runSeed({ seed: 7 });
    expect(runSeed({ seed: 7 })).toEqual(first);
  });
});

function failuresOf(seeds: readonly number[]): string[] {
  const outcomes = seeds.map((seed) => runSeed({ seed }));
  return outcomes.flatMap(({ seed, failure }) =>
    failure === undefined ? [] : [describeFailure(seed, failure)],
  );
}
