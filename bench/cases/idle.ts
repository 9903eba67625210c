import { startCrowd } from "../clients/crowd.ts";
import { type Bench, type Case, newResults, rounds } from "../lib/bench.ts";
import { inParallel, within } from "../lib/pool.ts";
import { memoryBytes } from "../lib/proc.ts";
import type { Results } from "../lib/results.ts";
import type { Running } from "../lib/running.ts";
import { Wire } from "../lib/wire.ts";

const MB = 1e6;
const PARALLEL = 32;
const TIMEOUT_MS = 120_000;
/** For the garbage of setting up to be collected. */
const SETTLE_MS = 3_000;

/** What costs memory though nothing moves: chats, mail, terminals of many, for hours. */
export const idle: Case = {
  name: "idle",
  summary: "memory of 10,000 idle streams and of 1,000 idle clients",
  run: async (bench) => [await idleStreams(bench), await idleClients(bench)],
};

async function idleStreams(bench: Bench): Promise<Results> {
  const count = bench.isQuick ? 1_000 : 10_000;
  const results = newResults(
    `idle: ${count} open streams that say nothing; memory above what it was before`,
    [
      { key: "client", title: "client", unit: "MB", ratio: true },
      { key: "server", title: "server", unit: "MB", ratio: true },
      { key: "each", title: "both", unit: "KB per stream" },
      { key: "opened", title: "opened in", unit: "s" },
    ],
  );
  await rounds(bench, {
    label: "idle streams",
    rounds: 1,
    contestants: bench.brief.filter(({ role }) => role !== "bound"),
    results: [results],
    measure: (running) => holdStreams(bench, running, count, results),
  });
  return results;
}

async function holdStreams(bench: Bench, running: Running, count: number, results: Results): Promise<void> {
  const before = running.memoryBytes();
  const route = await running.route(bench.origin.echo);
  const wires: Wire[] = [];
  const started = performance.now();
  try {
    const opening = inParallel(count, PARALLEL, async () => void wires.push(await Wire.open(route)));
    await within(`${count} streams`, TIMEOUT_MS, opening);
    results.add(running.name, "opened", (performance.now() - started) / 1000);
    await Bun.sleep(bench.isQuick ? SETTLE_MS / 6 : SETTLE_MS);
    const after = running.memoryBytes();
    const client = after.client - before.client;
    const server = after.server - before.server;
    results.add(running.name, "client", client / MB);
    results.add(running.name, "server", server / MB);
    results.add(running.name, "each", (client + server) / 1000 / count);
  } finally {
    for (const wire of wires) wire.close();
  }
}

async function idleClients(bench: Bench): Promise<Results> {
  const count = bench.isQuick ? 100 : 1_000;
  const results = newResults(`idle: ${count} clients with a link and no stream`, [
    { key: "server", title: "server above before", unit: "MB" },
    { key: "each", title: "per client", unit: "KB" },
  ]);
  const crowd = await startCrowd(bench, "idle");
  const { pid } = crowd.server.daemon;
  const before = memoryBytes([pid]);
  bench.progress.show(`idle: ${count} clients`);
  await within(`${count} clients`, TIMEOUT_MS, crowd.ask(`hold ${count}`));
  await Bun.sleep(bench.isQuick ? SETTLE_MS / 6 : SETTLE_MS);
  const added = memoryBytes([pid]) - before;
  results.add("rvpn", "server", added / MB);
  results.add("rvpn", "each", added / 1000 / count);
  await crowd.end();
  return results;
}
