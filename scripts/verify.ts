/**
 * Every promise of the project at full size, one line each: `bun run verify [ITEM…]`. Items are listed by
 * `bun run verify list`. Output of the last full run is kept in bench/RESULTS.md.
 */
import { build, bun, ensureInstalled, print, run, say } from "./tools.ts";

interface Item {
  readonly name: string;
  readonly shows: string;
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const FULL = { RVPN_FULL: "1" };

/** `bun test` of some files; full sizes take long, so the limit per test is generous. */
function tests(...files: readonly string[]): readonly string[] {
  return [bun, "test", "--timeout", "900000", ...files];
}

const ITEMS: readonly Item[] = [
  {
    name: "demo",
    shows: "a clean start: 100 MB through SOCKS5 and HTTP, equal hashes",
    command: [bun, "scripts/demo.ts"],
  },
  {
    name: "e2e",
    shows: "programs nobody here wrote, directly and through Caddy",
    command: tests("tests/e2e"),
    env: FULL,
  },
  {
    name: "unit",
    shows: "everything but the end-to-end tests",
    command: tests("tests/cli", "tests/client", "tests/server", "tests/runtime", "tests/proto"),
  },
  {
    name: "vectors",
    shows: "vectors of primitives, handshake, ratchet, packets, frames",
    command: tests("vectors", "primitives"),
  },
  {
    name: "fuzz",
    shows: "a million inputs at each decoder, 100,000 at the handshake",
    command: tests("fuzz", "handshake"),
    env: { FUZZ_ITERATIONS: "1000000", HANDSHAKE_FUZZ_ITERATIONS: "100000" },
  },
  {
    name: "ratchet",
    shows: "10,000 packets, over 100 DH steps each way, no state from forgeries",
    command: tests("ratchet"),
  },
  { name: "sim", shows: "the simulator over 10,000 seeds", command: [bun, "run", "sim", "--seeds", "10000"] },
  { name: "bench", shows: "speed beside curl direct and ssh -D", command: [bun, "bench/run.ts"] },
  { name: "tidy", shows: "import rules, forbidden names, sizes", command: tests("tests/tidy.test.ts") },
  { name: "check", shows: "types and lint", command: [bun, "run", "check"] },
];

const wanted = process.argv.slice(2);
if (wanted[0] === "list") {
  for (const { name, shows } of ITEMS) print(`${name.padEnd(10)} ${shows}`);
  process.exit(0);
}
const unknown = wanted.filter((name) => !ITEMS.some((item) => item.name === name));
if (unknown.length > 0) {
  say(`verify: no item ${unknown.join(", ")}; see \`bun run verify list\``);
  process.exit(2);
}
await ensureInstalled();
await build();
const lines: string[] = [];
for (const item of ITEMS.filter(({ name }) => wanted.length === 0 || wanted.includes(name))) {
  say(`\n== ${item.name}: ${item.shows}`);
  const started = performance.now();
  const code = await run(item.command, item.env);
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  lines.push(
    `${code === 0 ? "ok    " : "FAILED"} ${item.name.padEnd(10)} ${seconds.padStart(5)} s  ${item.shows}`,
  );
  if (code !== 0) process.exitCode = 1;
}
for (const line of lines) print(line);
