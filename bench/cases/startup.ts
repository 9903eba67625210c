import { join } from "node:path";
import { type Bench, type Case, newResults } from "../lib/bench.ts";
import type { Results } from "../lib/results.ts";
import { RVPN_BINARY } from "../peers/rvpn.ts";

const MB = 1e6;
const EMPTY = "empty Bun program";

/** What a short command costs: `rvpn status` in a prompt, `rvpn run` in a script. */
export const startup: Case = {
  name: "startup",
  summary: "rvpn --version beside an empty compiled Bun program; size of the binary",
  run,
};

async function run(bench: Bench): Promise<readonly Results[]> {
  const count = bench.isQuick ? 15 : 60;
  const empty = await compileEmpty(bench);
  const results = newResults(
    `startup: ${count} starts of each, in turn`,
    [
      { key: "ms", title: "start to end", unit: "ms", ratio: true },
      { key: "size", title: "binary", unit: "MB", ratio: true },
    ],
    EMPTY,
  );
  const programs = [
    { name: EMPTY, command: [empty] },
    { name: "rvpn --version", command: [RVPN_BINARY, "--version"] },
  ];
  for (const { name, command } of programs) {
    results.add(name, "size", Bun.file(command[0] ?? "").size / MB);
    await timed(command);
  }
  bench.progress.show("startup");
  for (let round = 0; round < count; round += 1) {
    for (const { name, command } of programs) results.add(name, "ms", await timed(command));
  }
  return [results];
}

async function compileEmpty({ processes, directory }: Bench): Promise<string> {
  const source = join(directory, "empty.ts");
  const program = join(directory, "empty");
  await Bun.write(source, "");
  const command = [process.execPath, "build", "--compile", "--bytecode", "--format=esm", source];
  await processes.capture([...command, "--outfile", program]);
  return program;
}

/** Ms from the start of a program to its end. */
async function timed(command: readonly string[]): Promise<number> {
  const started = performance.now();
  const child = Bun.spawn([...command], { stdio: ["ignore", "ignore", "ignore"] });
  if ((await child.exited) !== 0) throw new Error(`${command.join(" ")} ended with ${child.exitCode}`);
  return performance.now() - started;
}
