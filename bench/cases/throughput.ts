import { rmSync } from "node:fs";
import { join } from "node:path";
import { type Bench, type Case, newResults, rounds } from "../lib/bench.ts";
import { Curl, type Transfer } from "../lib/curl.ts";
import { writePattern } from "../lib/pattern-file.ts";
import type { Column, Results } from "../lib/results.ts";
import { verifyBytes } from "../lib/right-bytes.ts";
import type { Measured, Running } from "../lib/running.ts";

const MB = 1e6;
const VERIFIED_BYTES = 20 * MB;

/** One stream, as curl has it: what most people mean by how fast a proxy is. */
export const throughput: Case = {
  name: "throughput",
  summary: "one stream of curl through SOCKS5, down and up",
  run,
};

function columns(sizes: readonly number[]): Column[] {
  return [
    ...sizes.map((size) => ({ key: `rate-${size}`, title: sizeName(size), unit: "MB/s", ratio: true })),
    { key: "cpu", title: "CPU", unit: "s/GB", ratio: true },
    { key: "cpuClient", title: "client", unit: "s/GB", plain: true },
    { key: "cpuServer", title: "server", unit: "s/GB", plain: true },
    { key: "peakClient", title: "peak client", unit: "MB", plain: true },
    { key: "peakServer", title: "peak server", unit: "MB", plain: true },
  ];
}

async function run(bench: Bench): Promise<readonly Results[]> {
  const sizes = bench.isQuick ? [100 * MB] : [100 * MB, 1000 * MB];
  const down = newResults("throughput, download: one stream, curl through SOCKS5", columns(sizes));
  const up = newResults("throughput, upload: one stream, curl through SOCKS5", columns(sizes));
  const largest = Math.max(...sizes);
  down.notes.push(`CPU and peak memory at ${sizeName(largest)}; CPU of curl and the origin is not in it.`);
  const curl = new Curl(bench.processes);
  const files = new Map<number, string>();
  for (const size of [...sizes, VERIFIED_BYTES]) files.set(size, await writePattern(bench.directory, size));
  const fileOf = (size: number) => files.get(size) ?? join(bench.directory, "missing");
  await rounds(bench, {
    label: "throughput",
    contestants: bench.contestants,
    rounds: bench.isQuick ? 3 : 5,
    results: [down, up],
    prepare: async (running) =>
      verifyBytes(curl, await running.route(bench.origin.http), VERIFIED_BYTES, fileOf(VERIFIED_BYTES)),
    measure: async (running) => {
      const route = await running.route(bench.origin.http);
      for (const size of sizes) {
        const download = await running.measure(() => curl.download(route, size));
        add(down, running, size, download, size === largest);
        const upload = await running.measure(() => curl.upload(route, fileOf(size)));
        add(up, running, size, upload, size === largest);
      }
    },
  });
  for (const file of files.values()) rmSync(file);
  return [down, up];
}

function add(
  table: Results,
  { name, ends }: Running,
  size: number,
  { value, cpuSeconds, peakBytes }: Measured<Transfer>,
  withCosts: boolean,
): void {
  table.add(name, `rate-${size}`, size / MB / value.seconds);
  if (!withCosts || ends.server.length === 0) return;
  const perGb = (seconds: number) => seconds / (size / 1e9);
  table.add(name, "cpu", perGb(cpuSeconds.client + cpuSeconds.server));
  table.add(name, "cpuServer", perGb(cpuSeconds.server));
  table.add(name, "peakServer", peakBytes.server / MB);
  if (ends.client.length === 0) return;
  table.add(name, "cpuClient", perGb(cpuSeconds.client));
  table.add(name, "peakClient", peakBytes.client / MB);
}

function sizeName(size: number): string {
  return size >= 1e9 ? `${size / 1e9} GB` : `${size / MB} MB`;
}
