import { resolve } from "node:path";
import { numberOf, startHelper } from "../lib/helper.ts";
import type { Processes } from "../lib/processes.ts";
import type { Lay } from "../peers/contestant.ts";

export interface PathOptions {
  readonly rttMs: number;
  readonly mbitPerSecond?: number;
  readonly queueBytes?: number;
}

/** Paths of ours between clients and their servers, all alike. */
export interface Path {
  /** Another path, for one client and its server: what somebody else still has under way must not be in it. */
  readonly lay: () => Lay;
  /** Bytes that went each way so far, over all of them. */
  bytes(): Promise<{ readonly up: number; readonly down: number }>;
  /** Breaks all connections over them. */
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
  let laid = 0;
  return {
    lay: () => {
      const path = laid++;
      return async (port) => numberOf(await ask(`lay ${port} ${path}`), "port");
    },
    bytes: async () => {
      const answer = await ask("bytes");
      return { up: numberOf(answer, "up"), down: numberOf(answer, "down") };
    },
    cut: async () => void (await ask("cut")),
    end: () => helper.end(),
  };
}
