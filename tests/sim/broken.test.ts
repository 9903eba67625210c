import { afterEach, describe, expect, test } from "bun:test";
import { BROKEN, type Broken, CALM } from "./broken.ts";
import { runSeed } from "./simulation.ts";

/** Each variant's plan makes its bug so likely that most show within ten seeds; one that hides longer is a hole. */
const SEEDS = 40;

let repair = () => {};
afterEach(() => repair());

describe("the simulator notices when", () => {
  for (const broken of BROKEN) {
    test(broken.name, () => {
      repair = broken.apply();
      expect(firstFailure(broken)).toBeDefined();
    }, 120_000);
  }

  // Else a plan that is broken itself would show anything.
  test("and not where nothing is broken", () => {
    repair = () => {};
    for (const { plan } of BROKEN) expect(firstFailure({ plan }, 5)).toBeUndefined();
  }, 120_000);
});

function firstFailure(
  { plan, options }: Pick<Broken, "plan" | "options">,
  seeds = SEEDS,
): string | undefined {
  for (let seed = 1; seed <= seeds; seed++) {
    const { failure } = runSeed({ ...options, plan: { ...CALM, ...plan }, seed });
    if (failure !== undefined) return failure;
  }
  return undefined;
}
