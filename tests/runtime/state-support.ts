import { afterAll } from "bun:test";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { UsageError } from "../../src/runtime/errors.ts";

const CHILD = resolve(import.meta.dir, "state-child.ts");

/** Call once per test file: gives fresh directories, mode 0700, which are gone when the file's tests are done. */
export function useScratch(): () => string {
  const made: string[] = [];
  afterAll(() => {
    for (const dir of made) rmSync(dir, { recursive: true, force: true });
  });
  return () => {
    const dir = mkdtempSync(join(tmpdir(), "rvpn-state-"));
    made.push(dir);
    return dir;
  };
}

/** The UsageError that `action` throws, as the operator reads it. Other errors pass through. */
export function usageErrorOf(action: () => unknown): UsageError {
  try {
    action();
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error("no UsageError was thrown");
}

/** The same for a promise. */
export async function usageErrorFrom(promise: Promise<unknown>): Promise<UsageError> {
  const error = await promise.then(
    () => new Error("no UsageError was thrown"),
    (reason: unknown) => reason,
  );
  if (error instanceof UsageError) return error;
  throw error;
}

export function modeOf(path: string): string {
  return (statSync(path).mode & 0o7777).toString(8);
}

/** Runs `action`, which must be synchronous, under another umask. */
export function withUmask<T>(umask: number, action: () => T): T {
  const before = process.umask(umask);
  try {
    return action();
  } finally {
    process.umask(before);
  }
}

export interface Child {
  readonly pid: number;
  /** The next line that it prints; undefined when it has ended. */
  line(): Promise<string | undefined>;
  kill(signal: NodeJS.Signals): void;
  readonly exited: Promise<number>;
}

/** Starts `state-child.ts` with a command and its arguments. */
export function startChild(...args: string[]): Child {
  const child = Bun.spawn([process.execPath, CHILD, ...args], {
    stdout: "pipe",
    stderr: "inherit",
    stdin: "ignore",
  });
  const lines = readLines(child.stdout);
  return {
    pid: child.pid,
    line: async () => (await lines.next()).value,
    kill: (signal) => child.kill(signal),
    exited: child.exited,
  };
}

async function* readLines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, undefined> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
  return undefined;
}
