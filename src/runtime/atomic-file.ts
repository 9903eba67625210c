import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { withReserve } from "./descriptors.ts";
import { ExitCode, messageOf, systemCode, UsageError } from "./errors.ts";
import { checkPrivateMode } from "./private-mode.ts";

/** Three times what the largest of our files can hold (server/store-limits.ts); more was not written by us. */
const MAX_FILE_BYTES = 16 * 1024 * 1024;
const LEFTOVER = /\.[0-9a-f-]{36}\.tmp$/;

/**
 * Puts `text` into the file `path`, mode 0600 whatever the umask. Durable when it returns; a crash at any moment
 * leaves the old file or the new one, whole. Throws UsageError if the disk does not take it; `path` is then as before,
 * unless only the folder could not be synced: then either may be found after a power cut.
 */
export function writeFileAtomic(path: string, text: string): void {
  withReserve("own", () => replaceFile(path, text));
}

function replaceFile(path: string, text: string): void {
  const temporary = `${path}.${crypto.randomUUID()}.tmp`;
  try {
    writeDurably(temporary, text);
    renameSync(temporary, path);
    // The rename is in the directory's data, and lost with the power until that is on the disk.
    syncDirectory(dirname(path));
  } catch (error) {
    rmSync(temporary, { force: true });
    throw new UsageError(
      `cannot write ${path}: ${messageOf(error)}`,
      "see whether the disk is full, or the directory read-only or not this user's",
      { exitCode: ExitCode.unexpected, cause: error },
    );
  }
}

function writeDurably(path: string, text: string): void {
  const fd = openSync(path, "wx", 0o600);
  try {
    // The umask may have taken bits of the owner.
    fchmodSync(fd, 0o600);
    writeFileSync(fd, text);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Makes renames in `dir`, and new files, survive a loss of power. */
export function syncDirectory(dir: string): void {
  if (process.platform === "win32") return; // Windows cannot open a directory as a file.
  const fd = openSync(dir, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Removes what writers that were killed left in `dir`. The caller holds the lock of `dir`: nobody is writing. */
export function removeLeftovers(dir: string): void {
  for (const name of readdirSync(dir)) {
    if (LEFTOVER.test(name)) rmSync(join(dir, name), { force: true });
  }
}

/**
 * The text of a file that only its owner may read; undefined if there is none. Throws UsageError if group or others
 * may read it, and if it cannot be a file of ours.
 */
export function readPrivateFile(path: string): string | undefined {
  let fd: number;
  try {
    // Non-blocking, because opening a FIFO would otherwise wait for its writer for ever.
    fd = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw unreadable(path, messageOf(error), error);
  }
  try {
    // Judged by the descriptor: what `path` names may change between a check and the reading.
    const stats = fstatSync(fd);
    if (!stats.isFile()) throw unreadable(path, "it is not a regular file");
    checkPrivateMode(path, stats.mode, 0o600);
    if (stats.size > MAX_FILE_BYTES) throw unreadable(path, `it is ${stats.size} bytes long`);
    return decode(path, readFileSync(fd));
  } finally {
    closeSync(fd);
  }
}

function decode(path: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw unreadable(path, "it is not UTF-8 text", error);
  }
}

function unreadable(path: string, problem: string, cause?: unknown): UsageError {
  return new UsageError(
    `cannot read ${path}: ${problem}`,
    "see what this file is; if it is not rvpn's, move it away",
    { cause },
  );
}
