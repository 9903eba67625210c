import { type Bench, type Case, newResults, rounds } from "../lib/bench.ts";
import { Echo } from "../lib/echo.ts";
import { timeToFirstByte } from "../lib/first-byte.ts";
import { HttpGetter } from "../lib/http-get.ts";
import { within } from "../lib/pool.ts";
import type { Column, Results } from "../lib/results.ts";
import type { Running } from "../lib/running.ts";
import { median, quantile } from "../lib/stats.ts";
import { Wire } from "../lib/wire.ts";
import { startPath } from "../path/path.ts";

const ROUND_TRIPS_MS = [50, 100, 200];
const FAST_MBIT = 1_000;
const SLOW_MBIT = 20;
const SLOW_RTT_MS = 50;
/** As a home router has it: 26 ms at 20 Mbit/s. */
const SLOW_QUEUE_BYTES = 64 * 1024;
const FIRST_BYTES = 3;
const TIMEOUT_MS = 120_000;
const TAIL = 0.99;

/** What distance does: windows that are too small, and round trips that a design spends. */
export const rtt: Case = {
  name: "rtt",
  summary: "first byte and one stream over paths of 50, 100 and 200 ms, and over 20 Mbit/s",
  run: async (bench) => {
    const paths = bench.isQuick ? [100] : ROUND_TRIPS_MS;
    const tables: Results[] = [];
    for (const rttMs of paths) tables.push(await farPath(bench, rttMs));
    return [...tables, await slowPath(bench)];
  },
};

const FAR_COLUMNS: readonly Column[] = [
  { key: "first", title: "first byte", unit: "ms", ratio: true },
  { key: "trips", title: "in round trips", unit: "", plain: true },
  { key: "stream", title: "one stream", unit: "Mbit/s", ratio: true },
  { key: "late", title: "its second half", unit: "Mbit/s", plain: true },
];

async function farPath(bench: Bench, rttMs: number): Promise<Results> {
  const streamMs = bench.isQuick ? 1_200 : 8_000;
  const title = `rtt: ${rttMs} ms, ${FAST_MBIT} Mbit/s, no loss; one stream from its first byte on for ${streamMs} ms`;
  const results = newResults(title, FAR_COLUMNS);
  const path = await startPath(bench.processes, { rttMs, mbitPerSecond: FAST_MBIT });
  await rounds(bench, {
    label: `rtt ${rttMs} ms`,
    rounds: bench.isQuick ? 1 : 3,
    layPath: path.lay,
    results: [results],
    measure: async (running) => {
      const route = await running.route(bench.origin.http);
      for (let index = 0; index < FIRST_BYTES; index += 1) {
        const first = await within("first byte", TIMEOUT_MS, timeToFirstByte(route));
        results.add(running.name, "first", first);
        results.add(running.name, "trips", first / rttMs);
      }
      const { whole, secondHalf } = await streamFor(running, bench.origin.http, streamMs);
      results.add(running.name, "stream", whole);
      results.add(running.name, "late", secondHalf);
    },
  });
  await path.end();
  return results;
}

/** Mbit/s of a download over `durationMs`, and of the second half of that time, when windows have grown. */
async function streamFor(running: Running, port: number, durationMs: number) {
  const wire = await Wire.open(await running.route(port));
  const getter = new HttpGetter(wire);
  const transfer = getter.get(`/bytes/${1e12}`);
  transfer.catch(() => {});
  const firstByte = async () => {
    while (getter.received === 0) await Bun.sleep(1);
  };
  await within("the stream", TIMEOUT_MS, Promise.race([firstByte(), transfer]));
  await Bun.sleep(durationMs / 2);
  const half = getter.received;
  await Bun.sleep(durationMs / 2);
  const whole = getter.received;
  wire.close();
  const mbit = (bytes: number, ms: number) => (bytes * 8) / 1_000 / ms;
  return { whole: mbit(whole, durationMs), secondHalf: mbit(whole - half, durationMs / 2) };
}

/** A slow line: whether typing can be done beside a download, or drowns in what is queued before it. */
async function slowPath(bench: Bench): Promise<Results> {
  const durationMs = bench.isQuick ? 1_500 : 10_000;
  const title = `rtt: ${SLOW_RTT_MS} ms, ${SLOW_MBIT} Mbit/s, queue of ${SLOW_QUEUE_BYTES / 1024} KiB`;
  const results = newResults(title, [
    { key: "idle", title: "echo alone", unit: "ms" },
    { key: "beside", title: "echo beside a download", unit: "ms", ratio: true },
    { key: "besideTail", title: "p99", unit: "ms" },
    { key: "rate", title: "the download", unit: "Mbit/s", ratio: true },
  ]);
  const path = await startPath(bench.processes, {
    rttMs: SLOW_RTT_MS,
    mbitPerSecond: SLOW_MBIT,
    queueBytes: SLOW_QUEUE_BYTES,
  });
  await rounds(bench, {
    label: "rtt slow path",
    rounds: bench.isQuick ? 1 : 3,
    layPath: path.lay,
    results: [results],
    measure: (running) => within("slow path", TIMEOUT_MS, slowOne(bench, running, durationMs, results)),
  });
  await path.end();
  return results;
}

async function slowOne(bench: Bench, running: Running, durationMs: number, results: Results): Promise<void> {
  const { http, echo: echoPort } = bench.origin;
  const echo = new Echo(await Wire.open(await running.route(echoPort)));
  results.add(running.name, "idle", median(await echo.measure({ count: 5 })));
  const wire = await Wire.open(await running.route(http));
  const getter = new HttpGetter(wire);
  getter.get(`/bytes/${1e12}`).catch(() => {});
  const started = performance.now();
  const times = await echo.measure({ durationMs });
  // The last echo may have come well after the time was over.
  const elapsedMs = performance.now() - started;
  results.add(running.name, "beside", median(times));
  results.add(running.name, "besideTail", quantile(times, TAIL));
  results.add(running.name, "rate", (getter.received * 8) / 1_000 / elapsedMs);
  wire.close();
  echo.close();
}
