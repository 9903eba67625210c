import {
  closeSync,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  realpathSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { messageOf, systemCode, UsageError } from "./errors.ts";
import { tryFlock } from "./flock.ts";
import { JsonFields, parseJson } from "./json.ts";

/**
 * One process per state directory.
 *
 * The lock is flock(2) on the file `lock`, which is never removed. Lock files that exist or do not exist (O_EXCL) have
 * to be removed when their owner was killed, and between seeing that it is dead and removing the file another start
 * may have done both; whatever is tried against that (pid and start time in the file, rename, a second look) only
 * makes the race narrower. The kernel's lock is gone with its process, and two starts cannot both have it.
 * What is written in the file is for people: it names the holder, it decides nothing.
 */
export interface StateLock {
  /** Gives the directory back. Again: does nothing. */
  release(): void;
}

/** `run`: for the life of a server or client. `edit`: for the moments that a command needs. */
export type LockUse = "run" | "edit";

/** The state directory is another process's. Its own class, so that an edit can turn to the server that has it. */
export class StateDirBusy extends UsageError {}

const LOCK_FILE = "lock";
/** How long to wait for an edit to end, and for a holder to have written its name. Edits take some milliseconds. */
const WAIT_MS = 2_000;
const POLL_MS = 10;

/** Directories locked by this process: flock itself cannot say who has a lock. */
const lockedHere = new Set<string>();

export function isLockedHere(dir: string): boolean {
  return lockedHere.has(realpathSync(dir));
}

/**
 * Takes the state directory `dir`, which exists, for this process. Waits a little for an edit to end; throws
 * StateDirBusy at once if a server or client has it, also if that is this process.
 */
export function lockStateDir(dir: string, use: LockUse = "run"): StateLock {
  const giveUpAt = performance.now() + WAIT_MS;
  for (;;) {
    const fd = tryLock(join(dir, LOCK_FILE));
    if (fd !== undefined) return heldLock(realpathSync(dir), fd, use);
    const holder = holderOf(dir);
    if (holder?.use === "run" || performance.now() >= giveUpAt) throw busy(dir, holder);
    Bun.sleepSync(POLL_MS);
  }
}

/** The descriptor that has the lock, or undefined if another has it. */
function tryLock(path: string): number | undefined {
  const fd = openLock(path);
  try {
    if (tryFlock(fd) && isSameFile(fd, path)) return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  closeSync(fd);
  return undefined;
}

function openLock(path: string): number {
  try {
    return openSync(path, "a+", 0o600);
  } catch (error) {
    throw new UsageError(
      `cannot open ${path}: ${messageOf(error)}`,
      "name a directory that this user may write with --state",
      { cause: error },
    );
  }
}

/** Whether `path` still names the open file: somebody may have emptied the directory after it was opened. */
function isSameFile(fd: number, path: string): boolean {
  const opened = fstatSync(fd);
  const named = statSync(path, { throwIfNoEntry: false });
  return named?.ino === opened.ino && named.dev === opened.dev;
}

function heldLock(realDir: string, fd: number, use: LockUse): StateLock {
  writeHolder(fd, realDir, use);
  lockedHere.add(realDir);
  let held = true;
  return {
    release() {
      if (!held) return;
      held = false;
      lockedHere.delete(realDir);
      // While we have the lock, so that it is not the next holder's name that goes.
      ftruncateSync(fd);
      closeSync(fd);
    },
  };
}

/** Says in the lock's file who has it. @throws UsageError, the lock given back */
function writeHolder(fd: number, realDir: string, use: LockUse): void {
  const { pid } = process;
  try {
    fchmodSync(fd, 0o600);
    ftruncateSync(fd);
    writeSync(fd, `${JSON.stringify({ pid, start: startOf(pid) ?? "", use })}\n`);
  } catch (error) {
    closeSync(fd);
    throw new UsageError(
      `cannot write the lock in ${realDir}: ${messageOf(error)}`,
      "make room on its disk, or name another directory with --state",
      { cause: error },
    );
  }
}

interface Holder {
  readonly pid: number;
  readonly use: LockUse;
}

/** Who has the lock that was refused to us; undefined when that is not (yet, or any more) in the file. */
function holderOf(dir: string): Holder | undefined {
  try {
    const text = readFileSync(join(dir, LOCK_FILE), "utf8");
    const fields = new JsonFields(parseJson(text), (problem) => new Error(problem));
    const pid = fields.integer("pid", 1, Number.MAX_SAFE_INTEGER);
    const start = fields.string("start");
    const use = fields.oneOf("use", ["run", "edit"]);
    return isRunning(pid, start) ? { pid, use } : undefined;
  } catch {
    // Half written, or being handed over: it is asked again.
    return undefined;
  }
}

/** Whether the process that wrote its pid and start is there: not merely another one that was given its pid. */
function isRunning(pid: number, start: string): boolean {
  try {
    // Signal 0 is delivered to nobody; it only tells whether somebody is there.
    process.kill(pid, 0);
  } catch (error) {
    if (systemCode(error) !== "EPERM") return false;
  }
  const now = startOf(pid);
  return now === undefined || now === start;
}

/** When a process started, in clock ticks since boot: field 22 of proc_pid_stat(5). Undefined where there is no /proc. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // Field 2 is the program's name in brackets, which may hold spaces and brackets itself; field 3 follows the last.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
}

function busy(dir: string, holder: Holder | undefined): StateDirBusy {
  if (holder === undefined) {
    return new StateDirBusy(
      `the state directory ${dir} is locked by another process`,
      "find it with fuser; if there is none, this file system may have no locks: name another directory with --state",
    );
  }
  const doing = holder.use === "run" ? "already running" : "already being edited";
  return new StateDirBusy(
    `${doing}, pid ${holder.pid}, in ${dir}`,
    "end that process first, or give this one a directory of its own with --state",
  );
}
