import { type Bench, type Case, newResults, rounds } from "../lib/bench.ts";
import { eventually } from "../lib/ports.ts";
import type { Results } from "../lib/results.ts";
import type { Running } from "../lib/running.ts";

/** How long the server is away: a client has then tried in vain and waits for its next attempt. */
const OUTAGES_MS = [0, 2_000];
const QUICK_OUTAGES_MS = [0];
const GIVE_UP_MS = 20_000;
const QUICK_GIVE_UP_MS = 3_000;
const ATTEMPT_MS = 5_000;

/** How soon everything works again after a server crashed. */
export const reconnection: Case = {
  name: "reconnection",
  summary: "kill -9 of the server and a new start: time to the first request that succeeds",
  run,
};

async function run(bench: Bench): Promise<readonly Results[]> {
  const outages = bench.isQuick ? QUICK_OUTAGES_MS : OUTAGES_MS;
  const results = newResults(
    "reconnection: kill -9 of the server, a new start after a while, requests one after the other until one succeeds",
    outages.map((outageMs) => ({
      key: `after-${outageMs}`,
      title: outageMs === 0 ? "restart at once" : `restart after ${outageMs / 1000} s`,
      unit: "ms",
      ratio: true,
    })),
  );
  results.notes.push(
    "From the new start of the server, its own start-up included, to the end of the first success.",
  );
  await rounds(bench, {
    label: "reconnection",
    rounds: bench.isQuick ? 1 : 3,
    // Of the bounds there is nothing to restart. What does not come back by itself fails here and is out.
    contestants: bench.brief.filter(({ role }) => role !== "bound"),
    results: [results],
    measure: async (running) => {
      for (const outageMs of outages) {
        const ms = await outage(bench, running, outageMs);
        results.add(running.name, `after-${outageMs}`, ms);
      }
    },
  });
  return [results];
}

async function outage(bench: Bench, running: Running, outageMs: number): Promise<number> {
  const { http } = bench.origin;
  await running.probe(http, ATTEMPT_MS);
  for (const daemon of running.ends.server) await daemon.end("SIGKILL");
  // A user's request in mid-outage, as there always is one; it may fail.
  const lost = running.probe(http, ATTEMPT_MS).catch(() => {});
  await Bun.sleep(outageMs);
  const started = performance.now();
  for (const daemon of running.ends.server) daemon.start();
  const giveUpMs = bench.isQuick ? QUICK_GIVE_UP_MS : GIVE_UP_MS;
  await eventually("the first success", giveUpMs, () => running.probe(http, ATTEMPT_MS), 10);
  const ms = performance.now() - started;
  await lost;
  return ms;
}
