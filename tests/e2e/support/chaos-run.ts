import { expect } from "bun:test";
import { Dice } from "../../sim/dice.ts";
import type { ChaosProxy } from "../../support/chaos-proxy.ts";
import { FULL } from "./settings.ts";
import type { World } from "./world.ts";

/** The promise: a cut every 0.2 to 1.5 s, a hundred of them. In the quick tier more often, so that ten fit into it. */
export const CUTS = FULL ? { least: 100, minMs: 200, maxMs: 1_500 } : { least: 10, minMs: 80, maxMs: 300 };

const MB = 1_000_000;

export function chaosOf({ chaos }: World): ChaosProxy {
  if (chaos === undefined) throw new Error("this world has no chaos proxy");
  return chaos;
}

export interface Struck<T> {
  readonly result: T;
  readonly cuts: number;
}

/**
 * Runs `work` while links are cut at random, then says on stderr how it went; `bytes` is what it moves. The path is
 * throttled to `bytesPerSecond`, because over loopback the work would be done before a hundred cuts.
 */
export async function underCuts<T>(
  world: World,
  { what, bytesPerSecond }: { readonly what: string; readonly bytesPerSecond: number },
  work: (cuts: () => number) => Promise<T>,
): Promise<Struck<T>> {
  const chaos = chaosOf(world);
  const seed = Number(process.env["CHAOS_SEED"] ?? Date.now() % 1_000_000);
  const dice = new Dice(seed);
  const before = { ...chaos.counts, reconnects: (await world.client.status()).reconnects };
  const startedAt = performance.now();
  chaos.throttle(bytesPerSecond);
  const stop = chaos.cutAtRandom({ minMs: CUTS.minMs, maxMs: CUTS.maxMs, random: () => dice.unit() });
  try {
    const result = await work(() => chaos.counts.cuts - before.cuts);
    const after = chaos.counts;
    const cuts = after.cuts - before.cuts;
    const reconnects = (await world.client.status()).reconnects - before.reconnects;
    const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
    const [up, down] = [after.up - before.up, after.down - before.down].map((b) => (b / MB).toFixed(1));
    process.stderr.write(
      `chaos: ${what}: ${cuts} cuts (CHAOS_SEED=${seed}), ${reconnects} reconnects, ${seconds} s, ` +
        `wire ${up} MB up and ${down} MB down at ${bytesPerSecond / MB} MB/s at most each way\n`,
    );
    // Somebody must have felt the cuts, or the work went another way.
    expect(reconnects).toBeGreaterThanOrEqual(cuts / 2);
    return { result, cuts };
  } finally {
    stop();
    chaos.throttle(0);
  }
}
