/**
 * The test `pool`, inside a network namespace of its own: `inside.ts page|far DIRECTORY [quick]`. Prints its figures as
 * one line of JSON.
 *
 *   page: Chromium, in a network that has nothing but loopback
 *   far: curl, and a host 50 ms away (tests/support/far-away.ts)
 */
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { loopback } from "../lib/bench.ts";
import { Processes } from "../lib/processes.ts";
import { type Running, startContestant } from "../lib/running.ts";
import { startOrigin } from "../origin/origin.ts";
import { direct } from "../peers/direct.ts";
import { rvpnContestant } from "../peers/rvpn.ts";
import { measureFar } from "./far.ts";
import { measurePage } from "./page.ts";

export interface Figure {
  readonly name: string;
  readonly key: string;
  readonly value: number;
}

const [part = "", parent = "", quick] = process.argv.slice(2);
const server = ["--allow", "10.231.0.0/24"];
const CONTESTANTS = [
  direct,
  rvpnContestant({ name: "rvpn", flags: { server } }),
  rvpnContestant({ name: "rvpn --pool off", flags: { server, both: ["--pool", "off"] } }),
];

Bun.spawnSync(["ip", "link", "set", "lo", "up"]);
const directory = mkdtempSync(join(parent, "inside-"));
const processes = new Processes(directory);
process.on("exit", () => processes.killAll());
const origin = await startOrigin(processes);
const started: Running[] = [];
try {
  const options = { processes, directory, lay: loopback, probePort: origin.http };
  for (const contestant of CONTESTANTS) started.push(await startContestant(contestant, options));
  const measure = part === "page" ? measurePage : measureFar;
  const figures: Figure[] = await measure(started, { processes, directory, isQuick: quick === "quick" });
  process.stdout.write(`${JSON.stringify(figures)}\n`);
} finally {
  for (const running of started) await running.stop();
  await processes.endAll();
}
process.exit(0);
