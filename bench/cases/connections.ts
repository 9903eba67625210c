import { type Bench, type Case, newResults, rounds } from "../lib/bench.ts";
import { HttpGetter } from "../lib/http-get.ts";
import { inParallel, within } from "../lib/pool.ts";
import type { Results } from "../lib/results.ts";
import { type Route, Wire } from "../lib/wire.ts";

/** As many as a browser with a few tabs has under way at once. */
const PARALLEL = 16;
const WARM_UP = 100;
const TIMEOUT_MS = 30_000;

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
  ]);
  await rounds(bench, {
    label: "connections",
    contestants: bench.contestants,
    rounds: bench.isQuick ? 3 : 7,
    results: [results],
    prepare: async (running) => burst(await running.route(bench.origin.http), WARM_UP),
    measure: async (running) => {
      const route = await running.route(bench.origin.http);
      const { seconds, cpuSeconds } = await running.measure(() => burst(route, count));
      results.add(running.name, "rate", count / seconds);
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

function burst(route: Route, count: number): Promise<void> {
  const all = inParallel(count, PARALLEL, () => requestOnce(route));
  return within(`${count} connections`, TIMEOUT_MS, all);
}

async function requestOnce(route: Route): Promise<void> {
  const wire = await Wire.open(route);
  await new HttpGetter(wire).get("/tiny");
  wire.end();
}
