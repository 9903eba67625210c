import { resolve } from "node:path";
import { numberOf, startHelper } from "../lib/helper.ts";
import type { Processes } from "../lib/processes.ts";
import type { Lay } from "../peers/contestant.ts";

export interface PathOptions {
  readonly rttMs: number;
  readonly mbitPerSecond?: number;
  readonly queueBytes?: number;
}

/** A path of ours between a client and its server. */
export interface Path {
  readonly lay: Lay;
  /** Bytes that went each way so far. */
  bytes(): Promise<{ readonly up: number; readonly down: number }>;
  /** Breaks all connections over it. */
  cut(): Promise<void>;
  end(): Promise<void>;
}

export async function startPath(processes: Processes, options: PathOptions): Promise<Path> {
  const { rttMs, mbitPerSecond, queueBytes } = options;
  const numbers = [rttMs, mbitPerSecond, queueBytes].filter((number) => number !== undefined);
  const helper = await startHelper(processes, resolve(import.meta.dir, "main.ts"), numbers.map(String));
  // One question at a time: answers are told apart by their order alone.
  let last: Promise<unknown> = Promise.resolve();
  const ask = (line: string) => {
    const answer = last.then(() => helper.ask(line));
    last = answer.catch(() => {});
    return answer;
  };
  return {
    lay: async (port) => numberOf(await ask(`lay ${port}`), "port"),
    bytes: async () => {
      const answer = await ask("bytes");
      return { up: numberOf(answer, "up"), down: numberOf(answer, "down") };
    },
    cut: async () => void (await ask("cut")),
    end: () => helper.end(),
  };
}
