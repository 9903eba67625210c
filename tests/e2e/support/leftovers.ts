import { readdirSync, readFileSync } from "node:fs";

/** The environment variable by which a test finds its processes again, grandchildren and detached ones too. */
export const MARK = "RVPN_E2E_MARK";

/** How long the children of a program that was ended may take to notice. */
const SETTLE_MS = 3_000;
const POLL_MS = 25;
const EMPTY_LOOKS = 3;

interface Marked {
  readonly pid: number;
  readonly command: string;
}

/** Processes with `mark` in their environment or `dir` in their command line. Chromium's overwrite the former. */
export function findMarked(mark: string, dir: string): readonly Marked[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  return pids
    .map((pid) => ({
      pid: Number(pid),
      command: procFile(pid, "cmdline").replaceAll("\0", " ").trim(),
      environment: procFile(pid, "environ"),
    }))
    .filter(({ pid, command, environment }) => {
      if (!isRunning(pid)) return false;
      return environment.includes(`${MARK}=${mark}`) || command.includes(dir);
    });
}

/** Whether a process runs. A zombie does not: it waits for its parent to look, in a container perhaps for ever. */
export function isRunning(pid: number): boolean {
  const [, state] = /\) (\w)/.exec(procFile(String(pid), "stat")) ?? [];
  return state !== undefined && state !== "Z";
}

/** Waits until no such process is left, then ends the rest by pid. Returns the command lines of that rest. */
export async function endMarked(mark: string, dir: string): Promise<readonly string[]> {
  if (await noneIsLeft(mark, dir)) return [];
  const left = findMarked(mark, dir);
  for (const { pid } of left) kill(pid);
  await noneIsLeft(mark, dir);
  return left.map(({ pid, command }) => `${pid} ${command}`);
}

/**
 * Looks until there is none, for SETTLE_MS. One look does not settle it: in the midst of an exec a process
 * has, for an instant, neither a command line nor an environment to be known by.
 */
async function noneIsLeft(mark: string, dir: string): Promise<boolean> {
  const deadline = performance.now() + SETTLE_MS;
  let emptyLooks = 0;
  while (emptyLooks < EMPTY_LOOKS && performance.now() < deadline) {
    emptyLooks = findMarked(mark, dir).length === 0 ? emptyLooks + 1 : 0;
    if (emptyLooks < EMPTY_LOOKS) await Bun.sleep(POLL_MS);
  }
  return emptyLooks === EMPTY_LOOKS;
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has just ended.
  }
}

function procFile(pid: string, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "latin1");
  } catch {
    return "";
  }
}
