import { afterEach, describe, expect, test } from "bun:test";
import { BROKEN, type Broken } from "./broken.ts";
import { runSeed } from "./simulation.ts";

/** A bug that hides from so many seeds would be a hole in the simulator. The rarest shows in one of 60. */
const SEEDS = 400;

let repair = () => {};
afterEach(() => repair());

describe("the simulator notices when", () => {
  for (const broken of BROKEN) {
    test(broken.name, () => {
      repair = broken.apply();
      expect(firstFailure(broken)).toBeDefined();
    }, 120_000);
  }
});

function firstFailure({ options }: Broken): string | undefined {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { failure } = runSeed({ ...options, seed });
    if (failure !== undefined) return failure;
  }
  return undefined;
}
