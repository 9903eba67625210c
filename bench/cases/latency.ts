import { type Bench, type Case, newResults, rounds } from "../lib/bench.ts";
import { Curl } from "../lib/curl.ts";
import { Echo } from "../lib/echo.ts";
import { timeToFirstByte } from "../lib/first-byte.ts";
import { within } from "../lib/pool.ts";
import type { Column, Results } from "../lib/results.ts";
import type { Running } from "../lib/running.ts";
import { median, quantile } from "../lib/stats.ts";
import { Wire } from "../lib/wire.ts";

const TAIL = 0.99;
/** Until the bulk transfer is at its speed. */
const SETTLE_MS = 150;
const TIMEOUT_MS = 60_000;
/** What "a bulk transfer beside it" sends, in MB/s: below what every contestant can do, above what a line has. */
const LIMITED_RATE = 100;

const COLUMNS: readonly Column[] = [
  { key: "first", title: "first byte", unit: "ms", ratio: true },
  { key: "echo", title: "echo", unit: "ms", ratio: true },
  { key: "echoTail", title: "echo p99", unit: "ms" },
  { key: "besideTail", title: `p99 beside ${LIMITED_RATE} MB/s`, unit: "ms", ratio: true },
  { key: "fullTail", title: "p99 beside full speed", unit: "ms" },
];

/** What somebody who types or clicks feels. */
export const latency: Case = {
  name: "latency",
  summary: "first byte of a new connection, echo on an open one, the same beside a bulk transfer",
  run,
};

interface Plan {
  readonly firstBytes: number;
  readonly echoes: number;
  readonly besideMs: number;
}

async function run(bench: Bench): Promise<readonly Results[]> {
  const plan: Plan = bench.isQuick
    ? { firstBytes: 30, echoes: 300, besideMs: 400 }
    : { firstBytes: 200, echoes: 3_000, besideMs: 3_000 };
  const results = newResults(
    `latency: medians of ${plan.firstBytes} connections and ${plan.echoes} echoes of 1 byte, one at a time`,
    COLUMNS,
  );
  await rounds(bench, {
    label: "latency",
    rounds: bench.isQuick ? 2 : 5,
    results: [results],
    measure: async (running) => {
      const one = measureOne(bench, running, plan, results);
      await within("latency", TIMEOUT_MS, one);
    },
  });
  return [results];
}

async function measureOne(bench: Bench, running: Running, plan: Plan, results: Results): Promise<void> {
  const http = await running.route(bench.origin.http);
  const firsts: number[] = [];
  for (let index = 0; index < plan.firstBytes; index += 1) firsts.push(await timeToFirstByte(http));
  results.add(running.name, "first", median(firsts));
  const echo = new Echo(await Wire.open(await running.route(bench.origin.echo)));
  const idle = await echo.measure({ count: plan.echoes });
  results.add(running.name, "echo", median(idle));
  results.add(running.name, "echoTail", quantile(idle, TAIL));
  for (const [key, rate] of [
    ["besideTail", `?rate=${LIMITED_RATE}`],
    ["fullTail", ""],
  ] as const) {
    // Longer than it will be listened to; its end is ours to make.
    const bulk = new Curl(bench.processes).background(http, `/bytes/${1e12}${rate}`);
    await Bun.sleep(SETTLE_MS);
    results.add(running.name, key, quantile(await echo.measure({ durationMs: plan.besideMs }), TAIL));
    if (!bulk.isRunning) throw new Error("the bulk transfer beside the echo broke");
    await bulk.end();
  }
  echo.close();
}
