import type { Origin } from "../origin/origin.ts";
import type { Contestant, Lay } from "../peers/contestant.ts";
import { BASE } from "../peers/index.ts";
import type { Processes } from "./processes.ts";
import type { Progress } from "./progress.ts";
import { type Column, Results } from "./results.ts";
import { type Running, startContestant } from "./running.ts";

/** One test of the suite. */
export interface Case {
  readonly name: string;
  /** One line for the help and the head of its tables. */
  readonly summary: string;
  run(bench: Bench): Promise<readonly Results[]>;
}

/** What a test works with. */
export interface Bench {
  readonly isQuick: boolean;
  readonly origin: Origin;
  readonly processes: Processes;
  readonly directory: string;
  /** Those that can take part on this machine. */
  readonly contestants: readonly Contestant[];
  /** The same without those that a quick run spares. */
  readonly brief: readonly Contestant[];
  readonly progress: Progress;
}

/** An empty table whose ratios refer to the base of the whole suite. */
export function newResults(title: string, columns: readonly Column[], base = BASE): Results {
  return new Results(title, base, columns);
}

/** The path of nearly all tests: loopback as it is. */
export const loopback: Lay = (port) => Promise.resolve(port);

export interface RoundsOptions {
  /** What progress calls this. */
  readonly label: string;
  readonly rounds: number;
  /** By default those of a brief run. */
  readonly contestants?: readonly Contestant[];
  /** Lays a path for one contestant, for it alone; loopback as it is unless given. */
  readonly layPath?: () => Lay;
  /** The tables that a failure is to be written into. */
  readonly results: readonly Results[];
  /** Before the rounds, not measured: warms up and shows that what arrives is right. */
  readonly prepare?: (running: Running) => Promise<void>;
  readonly measure: (running: Running, round: number) => Promise<void>;
}

/**
 * Starts the contestants and measures them in turn, several rounds, each round beginning with another one: what
 * disturbs the machine for a while then disturbs them all alike. One that fails is out from there on; the others go on.
 */
export async function rounds(bench: Bench, options: RoundsOptions): Promise<void> {
  const { label, results, prepare, measure } = options;
  const standing = await startAll(bench, options);
  try {
    for (let round = -1; round < options.rounds; round += 1) {
      for (const running of rotated([...standing], Math.max(round, 0))) {
        bench.progress.show(`${label}: round ${round + 1} of ${options.rounds}, ${running.name}`);
        try {
          if (round >= 0) await measure(running, round);
          else await prepare?.(running);
        } catch (error) {
          standing.delete(running);
          for (const table of results) table.fail(running.name, reasonOf(error));
          await running.stop();
        }
      }
    }
  } finally {
    await Promise.all([...standing].map((running) => running.stop()));
  }
}

async function startAll(bench: Bench, options: RoundsOptions): Promise<Set<Running>> {
  const { contestants = bench.brief, layPath = () => loopback, label, results } = options;
  bench.progress.show(`${label}: starting ${contestants.length} contestants`);
  for (const { name } of contestants) for (const table of results) table.row(name);
  const { processes, directory } = bench;
  const started = await Promise.allSettled(
    contestants.map((contestant) =>
      startContestant(contestant, { processes, directory, lay: layPath(), probePort: bench.origin.http }),
    ),
  );
  const standing = new Set<Running>();
  for (const [index, outcome] of started.entries()) {
    if (outcome.status === "fulfilled") standing.add(outcome.value);
    else for (const table of results) table.fail(contestants[index]?.name ?? "", reasonOf(outcome.reason));
  }
  return standing;
}

function rotated<T>(items: readonly T[], by: number): T[] {
  const first = items.length === 0 ? 0 : by % items.length;
  return [...items.slice(first), ...items.slice(0, first)];
}

/** An error with its causes, on one line. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? "" : `: ${reasonOf(error.cause)}`;
  return `${error.message.replaceAll("\n", " | ")}${cause}`;
}
