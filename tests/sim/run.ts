/** The simulator's command: `bun run sim --seeds N [--seed S] [--jobs J]`. See docs/TESTING.md. */
import { parseArgs } from "node:util";
import { explain, simulate } from "./simulation.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "100" },
    seed: { type: "string" },
    from: { type: "string", default: "1" },
  },
});
const single = values.seed === undefined ? undefined : Number(values.seed);
const first = single ?? Number(values.from);
const count = single === undefined ? Number(values.seeds) : 1;
const start = performance.now();
let failures = 0;
let events = 0;
for (let seed = first; seed < first + count; seed++) {
  try {
    events += simulate({ seed }).events;
  } catch (error) {
    failures += 1;
    if (single !== undefined) process.stdout.write(`${explain({ seed })}\n`);
    process.stdout.write(
      `seed ${seed}: ${error instanceof Error ? (error.stack ?? error.message).split("\n").slice(0, 6).join("\n") : error}\n`,
    );
  }
}
const seconds = (performance.now() - start) / 1000;
process.stdout.write(
  `${count} seeds, ${failures} failed, ${events} events, ${seconds.toFixed(1)} s, ${((seconds / count) * 1000).toFixed(1)} ms/seed\n`,
);
