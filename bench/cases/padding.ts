import { type Bench, type Case, newResults, rounds } from "../lib/bench.ts";
import { Echo } from "../lib/echo.ts";
import { HttpGetter } from "../lib/http-get.ts";
import { within } from "../lib/pool.ts";
import type { Results } from "../lib/results.ts";
import type { Running } from "../lib/running.ts";
import { median } from "../lib/stats.ts";
import { Wire } from "../lib/wire.ts";
import { type Path, startPath } from "../path/path.ts";
import { rvpnContestant } from "../peers/rvpn.ts";

const PADDED = rvpnContestant({ name: "padme" });
const PLAIN = rvpnContestant({ name: "none", flags: { both: ["--padding", "none"] } });
const TIMEOUT_MS = 60_000;
const SMALL_BYTES = 2_000;

/** What hiding the lengths of small packets costs in bytes and in time. */
export const padding: Case = {
  name: "padding",
  summary: "bytes on the wire and time with padding padme (the default) and none",
  run,
};

async function run(bench: Bench): Promise<readonly Results[]> {
  const echoes = bench.isQuick ? 300 : 3_000;
  const requests = bench.isQuick ? 100 : 1_000;
  const bulkBytes = bench.isQuick ? 30e6 : 300e6;
  const results = newResults(
    `padding: ${echoes} echoes of 1 byte, ${requests} answers of ${SMALL_BYTES} bytes, ${bulkBytes / 1e6} MB of bulk`,
    [
      { key: "echoMs", title: "echo", unit: "ms", ratio: true },
      { key: "echoBytes", title: "wire", unit: "bytes each way" },
      { key: "requestMs", title: "answer", unit: "ms", ratio: true },
      { key: "requestBytes", title: "wire", unit: "bytes both ways" },
      { key: "bulk", title: "bulk", unit: "MB/s", ratio: true },
      { key: "overhead", title: "wire", unit: "% over payload" },
    ],
    PLAIN.name,
  );
  const path = await startPath(bench.processes, { rttMs: 0 });
  await rounds(bench, {
    label: "padding",
    rounds: bench.isQuick ? 1 : 5,
    contestants: [PADDED, PLAIN],
    layPath: path.lay,
    results: [results],
    measure: async (running) => {
      const { http, echo } = bench.origin;
      await within("echoes", TIMEOUT_MS, measureEchoes(running, echo, path, echoes, results));
      await within("answers", TIMEOUT_MS, measureRequests(running, http, path, requests, results));
      await within("bulk", TIMEOUT_MS, measureBulk(running, http, path, bulkBytes, results));
    },
  });
  await path.end();
  return [results];
}

async function measureEchoes(running: Running, port: number, path: Path, count: number, results: Results) {
  const echo = new Echo(await Wire.open(await running.route(port)));
  const before = await path.bytes();
  results.add(running.name, "echoMs", median(await echo.measure({ count })));
  const after = await path.bytes();
  results.add(running.name, "echoBytes", (after.up + after.down - before.up - before.down) / 2 / count);
  echo.close();
}

async function measureRequests(running: Running, port: number, path: Path, count: number, results: Results) {
  const wire = await Wire.open(await running.route(port));
  const getter = new HttpGetter(wire);
  const before = await path.bytes();
  const times: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const started = performance.now();
    await getter.get(`/bytes/${SMALL_BYTES}`);
    times.push(performance.now() - started);
  }
  const after = await path.bytes();
  results.add(running.name, "requestMs", median(times));
  results.add(running.name, "requestBytes", (after.up + after.down - before.up - before.down) / count);
  wire.end();
}

async function measureBulk(running: Running, port: number, path: Path, bytes: number, results: Results) {
  const wire = await Wire.open(await running.route(port));
  const before = await path.bytes();
  const { seconds } = await running.measure(() => new HttpGetter(wire).get(`/bytes/${bytes}`));
  const after = await path.bytes();
  results.add(running.name, "bulk", bytes / 1e6 / seconds);
  results.add(running.name, "overhead", (100 * (after.down - before.down - bytes)) / bytes);
  wire.end();
}
