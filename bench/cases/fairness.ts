import { type Bench, type Case, newResults, rounds } from "../lib/bench.ts";
import { HttpGetter } from "../lib/http-get.ts";
import type { Results } from "../lib/results.ts";
import { jainIndex } from "../lib/stats.ts";
import { type Route, Wire } from "../lib/wire.ts";
import { startPath } from "../path/path.ts";
import type { Lay } from "../peers/contestant.ts";

const DOWNLOADS = 8;
/** Here the tunnel decides who is served; at full speed the origin does, as the row `direct` shows. */
const SLOW_PATH = { rttMs: 50, mbitPerSecond: 20, queueBytes: 64 * 1024 };

/** Whether equals are treated alike. */
export const fairness: Case = {
  name: "fairness",
  summary: "eight equal downloads: how equally they share (Jain's index; 1 is equal)",
  run,
};

async function run(bench: Bench): Promise<readonly Results[]> {
  const full = await table(bench, "at full speed");
  const path = await startPath(bench.processes, SLOW_PATH);
  const slow = await table(bench, `over ${SLOW_PATH.mbitPerSecond} Mbit/s, ${SLOW_PATH.rttMs} ms`, path.lay);
  await path.end();
  return [full, slow];
}

async function table(bench: Bench, where: string, layPath?: () => Lay): Promise<Results> {
  const durationMs = bench.isQuick ? 500 : 5_000;
  const title = `fairness: ${DOWNLOADS} equal downloads ${where}, looked at after ${durationMs} ms`;
  const results = newResults(title, [
    { key: "jain", title: "Jain index", unit: "", ratio: true },
    { key: "least", title: "least : most", unit: "", plain: true },
    { key: "sum", title: "sum", unit: "MB/s", plain: true },
  ]);
  await rounds(bench, {
    label: `fairness ${where}`,
    rounds: bench.isQuick ? 2 : 5,
    ...(layPath === undefined ? {} : { layPath }),
    results: [results],
    measure: async (running) => {
      const shares = await share(await running.route(bench.origin.http), durationMs);
      results.add(running.name, "jain", jainIndex(shares));
      results.add(running.name, "least", Math.min(...shares) / Math.max(...shares));
      results.add(running.name, "sum", shares.reduce((sum, bytes) => sum + bytes, 0) / 1_000 / durationMs);
    },
  });
  return results;
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
