/**
 * rvpn beside its peers: `bun run bench [--only NAME] [--quick] [--json FILE]`. bench/README.md says how it measures and
 * how to read what it prints.
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { CASES } from "./cases/index.ts";
import { type Bench, type Case, reasonOf } from "./lib/bench.ts";
import { describeMachine, isBusy, type Machine } from "./lib/machine.ts";
import { type BenchOptions, OptionError, parseOptions } from "./lib/options.ts";
import { Processes } from "./lib/processes.ts";
import { Progress } from "./lib/progress.ts";
import { judge, renderVerdicts } from "./lib/promises.ts";
import type { Results } from "./lib/results.ts";
import { renderResults } from "./lib/table.ts";
import { startOrigin } from "./origin/origin.ts";
import { BASE, CONTESTANTS } from "./peers/index.ts";

const USAGE_EXIT = 2;

const names = {
  tests: CASES.map(({ name }) => name),
  contestants: CONTESTANTS.map(({ name }) => name),
  usual: CONTESTANTS.filter(({ onlyNamed }) => onlyNamed !== true).map(({ name }) => name),
};
try {
  const options = parseOptions(process.argv.slice(2), names);
  if (options === "help") print(help());
  else await main(options);
} catch (error) {
  process.stderr.write(`bench: ${reasonOf(error)}\n`);
  process.exitCode = error instanceof OptionError ? USAGE_EXIT : 1;
}

async function main(options: BenchOptions): Promise<void> {
  const { jsonFile } = options;
  if (jsonFile !== undefined && !existsSync(dirname(resolve(jsonFile))))
    throw new OptionError(`--json ${jsonFile}: there is no such directory`);
  for (const { role, missing } of CONTESTANTS) {
    const why = role === "ours" ? missing() : undefined;
    if (why !== undefined) throw new Error(why);
  }
  const machine = describeMachine();
  const directory = mkdtempSync(join(tmpdir(), "rvpn-bench-"));
  const processes = new Processes(directory);
  const progress = new Progress();
  const clean = async () => {
    progress.clear();
    await processes.endAll();
    removeFiles(directory);
  };
  endOnSignal(clean);
  process.on("exit", () => processes.killAll());
  try {
    introduce(options, machine);
    const origin = await startOrigin(processes);
    const contestants = CONTESTANTS.filter(
      ({ name, missing }) => options.peers.includes(name) && missing() === undefined,
    );
    const { isQuick } = options;
    const brief = contestants.filter(({ fullOnly }) => !isQuick || fullOnly !== true);
    const bench = { isQuick, origin, processes, directory, contestants, brief, progress };
    await runCases(options, machine, bench);
  } finally {
    await clean();
  }
}

async function runCases(options: BenchOptions, machine: Machine, bench: Bench): Promise<void> {
  const tests: { name: string; seconds: number; tables: readonly Results[] }[] = [];
  for (const test of CASES.filter(({ name }) => options.only.includes(name))) {
    const started = performance.now();
    const tables = await runCase(test, bench);
    const seconds = (performance.now() - started) / 1000;
    tests.push({ name: test.name, seconds, tables });
    print(`  ${test.name} took ${seconds.toFixed(1)} s\n`);
    if (tables.some(hasOwnFailure)) process.exitCode = 1;
    // Kept after every test: a long run that is broken off has not been for nothing.
    if (options.jsonFile !== undefined) {
      const report = { version: 1, quick: options.isQuick, machine, base: BASE, tests };
      await Bun.write(options.jsonFile, `${JSON.stringify(report, null, 1)}\n`);
    }
  }
  const ran = tests.map(({ name }) => name);
  // Quick sizes have no figure for some; else one that is missing is as good as short.
  const verdicts = judge(tests.flatMap(({ tables }) => tables)).filter(
    ({ test, outcome }) => ran.includes(test) && (outcome !== "missing" || !options.isQuick),
  );
  print(renderVerdicts(verdicts));
  if (options.isStrict && verdicts.some(({ outcome }) => outcome !== "kept")) process.exitCode = 1;
}

async function runCase(test: Case, bench: Bench): Promise<readonly Results[]> {
  try {
    const tables = await test.run(bench);
    bench.progress.clear();
    for (const table of tables) print(renderResults(table));
    return tables;
  } catch (error) {
    bench.progress.clear();
    print(`${test.name}: failed: ${reasonOf(error)}\n`);
    process.exitCode = 1;
    return [];
  }
}

/** Peers may fail, which is their row's business; rvpn may not. */
function hasOwnFailure({ rows }: Results): boolean {
  const others = CONTESTANTS.filter(({ role }) => role !== "ours").map(({ name }) => name);
  return rows.some(({ name, failure }) => failure !== undefined && !others.includes(name));
}

function introduce({ isQuick }: BenchOptions, machine: Machine): void {
  const { cores, cpu, load } = machine;
  print(`${cores} cores, ${cpu}; load before the start ${load.toFixed(2)}${isQuick ? "; quick" : ""}`);
  if (isBusy(machine)) print("Something else is running: take these figures as preliminary.");
  for (const contestant of CONTESTANTS) {
    const missing = contestant.missing();
    if (missing !== undefined) print(`left out: ${contestant.name}: ${missing}`);
  }
  print(
    `Medians of the rounds (lowest-highest). ×base: multiple of the median of ${BASE}, or of the row that a table names.\n`,
  );
}

function help(): string {
  const tests = CASES.map(({ name, summary }) => `  ${name.padEnd(14)}${summary}`);
  return [
    "usage: bun run bench [--only NAME[,NAME…]] [--peers NAME[,NAME…]] [--quick] [--strict] [--json FILE]",
    "",
    "  --only          these tests alone",
    "  --peers         these contestants alone, by their names in the tables",
    "  --quick         smaller sizes, fewer rounds",
    "  --strict        exit code 1 where a promise is not kept, or a figure for it is missing",
    "  --json FILE     all values of all rounds",
    "",
    ...tests,
  ].join("\n");
}

/** Ctrl-C and kill: everything is ended and removed before this process goes. */
function endOnSignal(clean: () => Promise<void>): void {
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const) {
    process.once(signal, () => void clean().finally(() => process.exit(code)));
  }
}

/** Our own in the temporary directory, and uploads in memory that a test had no time to remove. */
function removeFiles(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
  for (const name of new Bun.Glob(`rvpn-bench-${process.pid}-*`).scanSync({ cwd: "/dev/shm" })) {
    rmSync(join("/dev/shm", name), { force: true });
  }
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
