import { describe, expect, test } from "bun:test";
import type { Plan } from "./plan.ts";
import { Simulation } from "./simulation.ts";

const HOUR = 3_600_000;

/** A calm world: streams that stay open for all of it, others now and then, and nothing that breaks. */
const CALM: Partial<Plan> = {
  path: { delayMs: 20, jitterMs: 5, bytesPerMs: 10_000, gatherMs: 0 },
  faults: [],
  dialFailureShare: 0,
  linkAgeMs: 12 * HOUR,
  resumeWindowMs: 300_000,
  detachedBytes: 1024 ** 3,
  requests: 20,
  mix: {
    smallBytes: 64 * 1024,
    bigShare: 0.2,
    resetShare: 0,
    slowShare: 0,
    lateShare: 0.5,
    dialFailureShare: 0,
  },
};

describe("links grow old and are replaced", () => {
  test.each([
    [1, 1],
    [2, 1],
    [3, 3],
  ])(
    "every 12 h ± a fifth of virtual time, and nothing is lost: seed %i, %i links",
    (seed, slots) => {
      const simulation = new Simulation({ seed, plan: { ...CALM, slots, activeMs: 60 * HOUR } });
      simulation.run();
      const { aged, ups } = simulation.world.client;
      // 60 h hold four to six lives of 9.6 to 14.4 h.
      expect(aged).toBeWithin(4 * slots, 6 * slots + 1);
      expect(ups).toBe(slots + aged);
    },
    60_000,
  );

  test("however often, where a test makes it hasten: a fresh link each 10 s under transfers", () => {
    const simulation = new Simulation({
      seed: 4,
      plan: { ...CALM, slots: 2, linkAgeMs: 10_000, activeMs: 120_000, requests: 60 },
    });
    simulation.run();
    const { aged, ups } = simulation.world.client;
    expect(aged).toBeGreaterThan(20);
    expect(ups).toBe(2 + aged);
  }, 60_000);
});
