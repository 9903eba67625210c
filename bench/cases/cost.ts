import { rmSync } from "node:fs";
import { type Bench, type Case, newResults, rounds } from "../lib/bench.ts";
import { Curl, type Transfer } from "../lib/curl.ts";
import { writePattern } from "../lib/pattern-file.ts";
import { type Column, Results } from "../lib/results.ts";
import { verifyBytes } from "../lib/right-bytes.ts";
import type { Measured } from "../lib/running.ts";
import { floorContestant } from "../peers/floor.ts";
import { rvpnContestant } from "../peers/rvpn.ts";
import { buildUnsealed } from "../unsealed/build.ts";

const MB = 1e6;
const SEALED = "rvpn";
const UNSEALED = "rvpn unsealed";
const FLOOR = "floor";
const KEEPING = "floor that keeps";
const PLAIN = "floor unsealed";

const COLUMNS: readonly Column[] = [
  { key: "cpu", title: "CPU of both", unit: "s/GB", ratio: true },
  { key: "client", title: "client", unit: "s/GB" },
  { key: "server", title: "server", unit: "s/GB" },
  { key: "rate", title: "rate", unit: "MB/s", ratio: true },
];

/** What is compared with what, and how much the difference may be, in s/GB of both ends together. */
const DIFFERENCES: readonly (readonly [what: string, dear: string, cheap: string, most?: number])[] = [
  ["sealing", SEALED, UNSEALED, 0.7],
  ["sealing, in the floor", FLOOR, PLAIN],
  ["retention and acks, in the floor", KEEPING, FLOOR, 0.2],
  ["what is rvpn's own", SEALED, KEEPING],
];

/** Where a transfer's CPU time goes: to the cipher, to keeping and acknowledging, to a floor that every relay has. */
export const cost: Case = {
  name: "cost",
  summary: "CPU of a transfer beside an rvpn built without sealing, and beside the least of relays",
  run,
};

async function run(bench: Bench): Promise<readonly Results[]> {
  const bytes = (bench.isQuick ? 200 : 1_000) * MB;
  const table = (what: string) => newResults(`cost: ${what} of ${bytes / MB} MB`, COLUMNS, FLOOR);
  const tables = { down: table("download"), up: table("upload") };
  const curl = new Curl(bench.processes);
  const file = await writePattern(bench.directory, bytes);
  await rounds(bench, {
    label: "cost",
    contestants: [
      rvpnContestant({ name: SEALED }),
      rvpnContestant({ name: UNSEALED, binary: await buildUnsealed(bench.directory) }),
      floorContestant(KEEPING, "kept"),
      floorContestant(FLOOR, "sealed"),
      floorContestant(PLAIN, "plain"),
    ],
    rounds: bench.isQuick ? 3 : 7,
    results: Object.values(tables),
    prepare: async (running) => verifyBytes(curl, await running.route(bench.origin.http), bytes, file),
    measure: async (running) => {
      const route = await running.route(bench.origin.http);
      add(tables.down, running.name, bytes, await running.measure(() => curl.download(route, bytes)));
      add(tables.up, running.name, bytes, await running.measure(() => curl.upload(route, file)));
    },
  });
  rmSync(file);
  return [tables.down, tables.up, differences(tables)];
}

function add(table: Results, name: string, bytes: number, measured: Measured<Transfer>): void {
  const { value, cpuSeconds } = measured;
  const perGb = (seconds: number) => seconds / (bytes / 1e9);
  table.add(name, "cpu", perGb(cpuSeconds.client + cpuSeconds.server));
  table.add(name, "client", perGb(cpuSeconds.client));
  table.add(name, "server", perGb(cpuSeconds.server));
  table.add(name, "rate", bytes / MB / value.seconds);
}

/** Of each round by itself: what disturbs the machine in one of them disturbs both that are compared. */
function differences(tables: Readonly<Record<"down" | "up", Results>>): Results {
  const results = new Results("cost: differences of CPU of both ends, round by round", "", [
    { key: "down", title: "download", unit: "s/GB" },
    { key: "up", title: "upload", unit: "s/GB" },
    { key: "most", title: "at most", unit: "s/GB" },
  ]);
  for (const [what, dear, cheap, most] of DIFFERENCES) {
    for (const way of ["down", "up"] as const) {
      const [more = [], less = []] = [dear, cheap].map((name) => tables[way].row(name).values.get("cpu"));
      // One that failed is out from that round on.
      const inBoth = Math.min(more.length, less.length);
      const each = more.slice(0, inBoth).map((value, round) => value - (less[round] ?? Number.NaN));
      results.add(what, way, ...each);
    }
    if (most !== undefined) results.add(what, "most", most);
    results.notes.push(`${what}: ${dear} − ${cheap}`);
  }
  return results;
}
