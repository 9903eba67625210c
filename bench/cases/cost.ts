import { rmSync } from "node:fs";
import { type Bench, type Case, newResults, rounds } from "../lib/bench.ts";
import { Curl } from "../lib/curl.ts";
import { writePattern } from "../lib/pattern-file.ts";
import type { Column, Results } from "../lib/results.ts";
import type { Measured } from "../lib/running.ts";
import { rvpnContestant } from "../peers/rvpn.ts";
import { buildUnsealed } from "../unsealed/build.ts";

const MB = 1e6;
const SEALED = rvpnContestant({ name: "rvpn" });
const COLUMNS: readonly Column[] = [
  { key: "cpu", title: "CPU of both", unit: "s/GB", ratio: true },
  { key: "client", title: "client", unit: "s/GB" },
  { key: "server", title: "server", unit: "s/GB" },
  { key: "rate", title: "rate", unit: "MB/s", ratio: true },
];

/** What the cipher has of a transfer's CPU time. */
export const cost: Case = {
  name: "cost",
  summary: "CPU of a transfer beside an rvpn built without sealing",
  run,
};

async function run(bench: Bench): Promise<readonly Results[]> {
  const bytes = (bench.isQuick ? 200 : 1_000) * MB;
  const unsealed = rvpnContestant({ name: "without sealing", binary: await buildUnsealed(bench.directory) });
  const table = (what: string) => newResults(`cost: ${what} of ${bytes / MB} MB`, COLUMNS, unsealed.name);
  const [down, up] = [table("download"), table("upload")];
  const curl = new Curl(bench.processes);
  const file = await writePattern(bench.directory, bytes);
  await rounds(bench, {
    label: "cost",
    contestants: [SEALED, unsealed],
    rounds: bench.isQuick ? 2 : 7,
    results: [down, up],
    measure: async (running) => {
      const route = await running.route(bench.origin.http);
      add(down, running.name, bytes, await running.measure(() => curl.download(route, bytes)));
      add(up, running.name, bytes, await running.measure(() => curl.upload(route, file)));
    },
  });
  rmSync(file);
  return [down, up];
}

function add(
  table: Results,
  name: string,
  bytes: number,
  { value, cpuSeconds }: Measured<{ readonly seconds: number }>,
): void {
  const perGb = (seconds: number) => seconds / (bytes / 1e9);
  table.add(name, "cpu", perGb(cpuSeconds.client + cpuSeconds.server));
  table.add(name, "client", perGb(cpuSeconds.client));
  table.add(name, "server", perGb(cpuSeconds.server));
  table.add(name, "rate", bytes / MB / value.seconds);
}
