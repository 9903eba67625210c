import { type Bench, type Case, newResults, rounds } from "../lib/bench.ts";
import { HttpGetter } from "../lib/http-get.ts";
import { inParallel, within } from "../lib/pool.ts";
import type { Results } from "../lib/results.ts";
import { type Route, Wire } from "../lib/wire.ts";

/** As many as a browser with a few tabs has under way at once. */
const PARALLEL = 16;
const WARM_UP = 100;
/** v2ray 4.34 loses about one connection in some thousands, for good: that is counted, and does not end its run. */
const ANSWER_MS = 2_000;
const MAX_LOST_SHARE = 0.01;

/** What a page with many small things costs, or a build that asks a registry for a thousand packages. */
export const connections: Case = {
  name: "connections",
  summary: "new connections per second, each with one tiny request",
  run,
};

async function run(bench: Bench): Promise<readonly Results[]> {
  const count = bench.isQuick ? 500 : 5_000;
  const results = newResults(`connections: ${count} new ones, ${PARALLEL} at a time, a tiny answer on each`, [
    { key: "rate", title: "connections", unit: "1/s", ratio: true },
    { key: "cpu", title: "CPU", unit: "ms each", ratio: true },
    { key: "cpuClient", title: "client", unit: "ms", plain: true },
    { key: "cpuServer", title: "server", unit: "ms", plain: true },
    { key: "lost", title: "lost", unit: "per round with any" },
  ]);
  await rounds(bench, {
    label: "connections",
    contestants: bench.contestants,
    rounds: bench.isQuick ? 3 : 7,
    results: [results],
    prepare: async (running) => void (await burst(await running.route(bench.origin.http), WARM_UP)),
    measure: async (running) => {
      const route = await running.route(bench.origin.http);
      const { value, cpuSeconds } = await running.measure(() => burst(route, count));
      results.add(running.name, "rate", value.answered / value.seconds);
      if (value.answered < count) results.add(running.name, "lost", count - value.answered);
      if (running.ends.server.length === 0) return;
      const perConnection = (cpu: number) => (cpu * 1000) / count;
      results.add(running.name, "cpu", perConnection(cpuSeconds.client + cpuSeconds.server));
      results.add(running.name, "cpuServer", perConnection(cpuSeconds.server));
      if (running.ends.client.length > 0)
        results.add(running.name, "cpuClient", perConnection(cpuSeconds.client));
    },
  });
  return [results];
}

interface Burst {
  readonly answered: number;
  /** Until the last answer: the wait for a lost one is not the speed of the others. */
  readonly seconds: number;
}

/** So many connections. Throws when more than a few get no answer. */
async function burst(route: Route, count: number): Promise<Burst> {
  const started = performance.now();
  let answered = 0;
  let lastAt = started;
  await inParallel(count, PARALLEL, async () => {
    if (!(await requestOnce(route))) return;
    answered += 1;
    lastAt = performance.now();
  });
  const lost = count - answered;
  if (lost > count * MAX_LOST_SHARE) throw new Error(`${lost} of ${count} connections got no answer`);
  return { answered, seconds: (lastAt - started) / 1000 };
}

/** Whether the answer came in time. */
async function requestOnce(route: Route): Promise<boolean> {
  const wire = await Wire.open(route);
  try {
    await within("an answer", ANSWER_MS, new HttpGetter(wire).get("/tiny"));
    return true;
  } catch {
    return false;
  } finally {
    wire.end();
  }
}
