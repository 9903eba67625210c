/**
 * The simulator's command: `bun run sim [--seeds N] [--from FIRST] [--seed S] [--jobs J]`. With `--seed` it runs that
 * one and prints what happened. See docs/TESTING.md.
 */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { describeFailure, explain, type SeedOutcome } from "./simulation.ts";

/** More failures than this say nothing new. */
const MAX_SHOWN = 10;
/** Seeds that a worker is given at a time. */
const BATCH = 20;

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "100" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    jobs: { type: "string", default: String(availableParallelism()) },
  },
});

if (values.seed === undefined) await runMany(number(values.from), number(values.seeds), number(values.jobs));
else replay(number(values.seed));

function number(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  say(`not a whole number: ${text}`);
  process.exit(2);
}

function replay(seed: number): void {
  const { failed, text } = explain({ seed });
  say(text);
  process.exitCode = failed ? 1 : 0;
}

async function runMany(first: number, count: number, jobs: number): Promise<void> {
  const started = performance.now();
  const failures: SeedOutcome[] = [];
  let events = 0;
  let next = first;
  const take = () => {
    const batch = { from: next, count: Math.min(BATCH, first + count - next) };
    next += batch.count;
    return batch;
  };
  const record = (outcome: SeedOutcome) => {
    events += outcome.events;
    if (outcome.failure !== undefined) failures.push(outcome);
  };
  await Promise.all(Array.from({ length: Math.min(jobs, count) }, () => work(take, record)));
  report(failures.sort((a, b) => a.seed - b.seed));
  const seconds = (performance.now() - started) / 1000;
  const verdict = failures.length === 0 ? "all clean" : `${failures.length} failed`;
  say(`${count} seeds from ${first}: ${verdict}, ${events} events, ${seconds.toFixed(1)} s`);
  process.exitCode = failures.length === 0 ? 0 : 1;
}

/** Keeps one worker busy until there are no more seeds. */
function work(
  take: () => { from: number; count: number },
  record: (outcome: SeedOutcome) => void,
): Promise<void> {
  const worker = new Worker(new URL("./worker.ts", import.meta.url).href);
  return new Promise((resolve, reject) => {
    const give = () => {
      const batch = take();
      if (batch.count > 0) return worker.postMessage(batch);
      worker.terminate();
      resolve();
    };
    worker.onmessage = ({ data }: MessageEvent<readonly SeedOutcome[]>) => {
      for (const outcome of data) record(outcome);
      give();
    };
    worker.onerror = ({ message }) => reject(new Error(message));
    give();
  });
}

function report(failures: readonly SeedOutcome[]): void {
  for (const { seed, failure } of failures.slice(0, MAX_SHOWN)) say(describeFailure(seed, failure ?? ""));
  const [worst] = failures;
  if (worst !== undefined)
    say(`the first of them, seed ${worst.seed}:\n${explain({ seed: worst.seed }).text}`);
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
