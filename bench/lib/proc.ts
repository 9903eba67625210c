import { readdirSync, readFileSync, writeFileSync } from "node:fs";

/**
 * What the kernel says about processes and their descendants. Peers differ in how many processes they are (sshd makes
 * one per connection), so every figure is that of a whole tree.
 */

/** Jiffies per second in /proc/PID/stat; Linux has had this value on every architecture that Bun runs on. */
const TICKS_PER_SECOND = 100;
/** Fields of /proc/PID/stat behind the name, counted from the state as 0: proc(5) counts it as 3. */
const PARENT = 1;
const FIRST_TIME = 11;
const LAST_TIME = 14;
const START_TIME = 19;

interface Stat {
  readonly parent: number;
  /** User and system time, that of ended and waited-for children included. */
  readonly cpuSeconds: number;
  /** In ticks since boot; tells a process from a later one with the same pid. */
  readonly startTime: string;
}

/** Undefined when there is no such process any more. */
function readStat(pid: number): Stat | undefined {
  const text = readProc(`/proc/${pid}/stat`);
  if (text === undefined) return undefined;
  // The name may hold blanks and brackets; it ends at the last bracket.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const ticks = fields.slice(FIRST_TIME, LAST_TIME + 1).reduce((sum, field) => sum + Number(field), 0);
  return {
    parent: Number(fields[PARENT]),
    cpuSeconds: ticks / TICKS_PER_SECOND,
    startTime: fields[START_TIME] ?? "",
  };
}

/** The given processes and all that descend from them, parents first. */
export function processTree(roots: readonly number[]): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const parent = readStat(pid)?.parent;
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const tree = [...roots];
  for (const pid of tree) tree.push(...(children.get(pid) ?? []));
  return tree;
}

/** CPU seconds that the trees of `roots` have used since they began. */
export function cpuSeconds(roots: readonly number[]): number {
  return processTree(roots).reduce((sum, pid) => sum + (readStat(pid)?.cpuSeconds ?? 0), 0);
}

/** Starts the measurement of peak memory anew. */
export function resetPeakMemory(roots: readonly number[]): void {
  for (const pid of processTree(roots)) {
    try {
      writeFileSync(`/proc/${pid}/clear_refs`, "5");
    } catch {
      // Ended meanwhile, or another user's: then its peak is since its start, which is more, not less.
    }
  }
}

/** Peak resident memory since the last reset, in bytes: VmHWM, summed over the trees. */
export function peakMemoryBytes(roots: readonly number[]): number {
  return sumStatus(roots, /^VmHWM:\s+(\d+) kB$/m);
}

/** Resident memory now, in bytes. */
export function memoryBytes(roots: readonly number[]): number {
  return sumStatus(roots, /^VmRSS:\s+(\d+) kB$/m);
}

function sumStatus(roots: readonly number[], line: RegExp): number {
  return processTree(roots).reduce((sum, pid) => {
    const kibibytes = readProc(`/proc/${pid}/status`)?.match(line)?.[1];
    return sum + Number(kibibytes ?? 0) * 1024;
  }, 0);
}

/** A process that can be told from a later one with the same pid. */
export interface ProcessMark {
  readonly pid: number;
  readonly startTime: string;
}

/** Marks the trees of `roots`, children first, so that they can be ended from the leaves up. */
export function markTree(roots: readonly number[]): ProcessMark[] {
  return processTree(roots)
    .reverse()
    .map((pid) => ({ pid, startTime: readStat(pid)?.startTime ?? "" }));
}

/** Whether the very process that was marked still runs. */
export function isAlive({ pid, startTime }: ProcessMark): boolean {
  return readStat(pid)?.startTime === startTime && !isZombie(pid);
}

function isZombie(pid: number): boolean {
  return /^State:\s+Z/m.test(readProc(`/proc/${pid}/status`) ?? "");
}

function readProc(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
