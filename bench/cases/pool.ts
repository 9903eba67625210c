import { join } from "node:path";
import { type Bench, type Case, newResults } from "../lib/bench.ts";
import type { Results } from "../lib/results.ts";
import { missingPrograms } from "../peers/contestant.ts";

const INSIDE = join(import.meta.dir, "../pool/inside.ts");

/** One figure that the process inside a namespace found. */
interface Figure {
  readonly name: string;
  readonly key: string;
  readonly value: number;
}

/** Connections ready before they are asked for: pages in a browser, and origins that are far away. */
export const pool: Case = {
  name: "pool",
  summary: "a page in Chromium; requests to a host 50 ms away with --pool on and off",
  run,
};

async function run(bench: Bench): Promise<readonly Results[]> {
  const page = newResults(
    "pool: a page of 300 resources in Chromium, until its load event",
    [{ key: "page", title: "page", unit: "ms", ratio: true }],
    "direct",
  );
  const far = newResults(
    "pool: one curl after another to a host 50 ms away",
    [
      { key: "tls", title: "TLS request", unit: "ms", ratio: true },
      { key: "http", title: "HTTP request", unit: "ms", ratio: true },
      { key: "origins", title: "for HTTP", unit: "connections" },
    ],
    "direct",
  );
  await collect(bench, "page", page, ["chromium"]);
  await collect(bench, "far", far, ["curl", "openssl"]);
  return [page, far];
}

/** Runs one part in a network and mount namespace of its own, which ends with it. */
async function collect(bench: Bench, part: string, results: Results, programs: readonly string[]) {
  const missing = process.getuid?.() === 0 ? missingPrograms("unshare", "ip", ...programs) : "needs root";
  if (missing !== undefined) {
    results.notes.push(`Left out: ${missing}.`);
    return;
  }
  bench.progress.show(`pool: ${part}, in a network of its own`);
  const command = ["unshare", "--net", "--mount", process.execPath, INSIDE, part, bench.directory];
  const text = await bench.processes.capture([...command, ...(bench.isQuick ? ["quick"] : [])]);
  const figures = JSON.parse(text) as readonly Figure[]; // Printed by pool/inside.ts.
  for (const { name, key, value } of figures) results.add(name, key, value);
}
