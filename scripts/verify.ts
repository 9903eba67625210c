/**
 * Every promise of the project at full size, one line each: `bun run verify [--out FILE] [ITEM…]`; `bun run verify list`
 * lists them. Ends in a table and exits 1 if an item failed; `--out` appends the table to a file. Output of the last
 * full run is kept in bench/RESULTS.md.
 */
import { appendFileSync } from "node:fs";
import { build, bun, capture, ensureInstalled, print, run, say } from "./tools.ts";
import { ITEMS, type Item } from "./verify-items.ts";

interface Outcome {
  readonly item: Item;
  readonly failed: boolean;
  readonly seconds: number;
}

const { names, out } = readArguments(process.argv.slice(2));
if (names[0] === "list") {
  for (const item of ITEMS) print(lineOf(item));
  process.exit(0);
}
const unknown = names.filter((name) => !ITEMS.some((item) => item.name === name));
if (unknown.length > 0) refuse(`no item ${unknown.join(", ")}; see \`bun run verify list\``);
await ensureInstalled();
await build();
const outcomes: Outcome[] = [];
for (const item of ITEMS.filter(({ name }) => names.length === 0 || names.includes(name))) {
  say(`\n== ${lineOf(item)}`);
  const started = performance.now();
  const code = await run(item.command, item.env);
  outcomes.push({ item, failed: code !== 0, seconds: (performance.now() - started) / 1_000 });
}
const failed = outcomes.filter((outcome) => outcome.failed).length;
const table = [
  ...outcomes.map(({ item, failed, seconds }) => {
    return `${failed ? "FAILED" : "ok    "} ${seconds.toFixed(0).padStart(5)} s  ${lineOf(item)}`;
  }),
  `${outcomes.length - failed} of ${outcomes.length} ok`,
];
for (const line of table) print(line);
if (out !== undefined) appendFileSync(out, `${[await heading(), ...table].join("\n")}\n\n`);
process.exitCode = failed === 0 ? 0 : 1;

function lineOf({ name, of, shows }: Item): string {
  return `${name.padEnd(15)} ${of}  ${shows}`;
}

/** Which state of the project, when and with what. */
async function heading(): Promise<string> {
  const { stdout } = await capture(["git", "describe", "--always", "--dirty"]);
  const { stdout: version } = await capture([bun, "--version"]);
  return `verify of ${stdout.trim()}, ${new Date().toISOString()}, Bun ${version.trim()}`;
}

function readArguments(given: readonly string[]): { names: readonly string[]; out: string | undefined } {
  const names: string[] = [];
  let out: string | undefined;
  for (let at = 0; at < given.length; at++) {
    const argument = given[at] ?? "";
    if (argument === "--out") {
      at += 1;
      out = given[at] ?? refuse("--out: name a file behind it");
    } else if (argument.startsWith("-")) refuse(`no option ${argument}; there is --out FILE`);
    else names.push(argument);
  }
  return { names, out };
}

function refuse(problem: string): never {
  say(`verify: ${problem}`);
  process.exit(2);
}
