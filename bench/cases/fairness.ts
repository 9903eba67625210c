import { type Bench, type Case, newResults, rounds } from "../lib/bench.ts";
import { HttpGetter } from "../lib/http-get.ts";
import type { Results } from "../lib/results.ts";
import { jainIndex } from "../lib/stats.ts";
import { type Route, Wire } from "../lib/wire.ts";

const DOWNLOADS = 8;

/** Whether equals are treated alike. */
export const fairness: Case = {
  name: "fairness",
  summary: "eight equal downloads: how equally they share (Jain's index; 1 is equal)",
  run,
};

async function run(bench: Bench): Promise<readonly Results[]> {
  const durationMs = bench.isQuick ? 500 : 5_000;
  const results = newResults(`fairness: ${DOWNLOADS} equal downloads, looked at after ${durationMs} ms`, [
    { key: "jain", title: "Jain index", unit: "", ratio: true },
    { key: "least", title: "least : most", unit: "", plain: true },
    { key: "sum", title: "sum", unit: "MB/s", plain: true },
  ]);
  await rounds(bench, {
    label: "fairness",
    rounds: bench.isQuick ? 2 : 5,
    results: [results],
    measure: async (running) => {
      const shares = await share(await running.route(bench.origin.http), durationMs);
      results.add(running.name, "jain", jainIndex(shares));
      results.add(running.name, "least", Math.min(...shares) / Math.max(...shares));
      results.add(running.name, "sum", shares.reduce((sum, bytes) => sum + bytes, 0) / 1_000 / durationMs);
    },
  });
  return [results];
}

/** Bytes that each of the downloads got in the same time. */
async function share(route: Route, durationMs: number): Promise<number[]> {
  const wires = await Promise.all(Array.from({ length: DOWNLOADS }, () => Wire.open(route)));
  const getters = wires.map((wire) => new HttpGetter(wire));
  for (const getter of getters) getter.get(`/bytes/${1e12}`).catch(() => {});
  await Bun.sleep(durationMs);
  const shares = getters.map(({ received }) => received);
  for (const wire of wires) wire.close();
  return shares;
}
