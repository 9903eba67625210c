import { chmodSync, mkdirSync, type Stats, statSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";
import { syncDirectory } from "./atomic-file.ts";
import { messageOf, systemCode, UsageError } from "./errors.ts";
import { checkPrivateMode } from "./private-mode.ts";

/** What the default place depends on. */
export interface Surroundings {
  /** Effective user id; undefined on Windows. */
  readonly uid: number | undefined;
  readonly home: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Where the state of a server or client is unless `--state` says otherwise. */
export function defaultStateDir(
  role: "server" | "client",
  { uid, home, env }: Surroundings = { uid: process.geteuid?.(), home: homedir(), env: process.env },
): string {
  // Not in root's home: services run with it hidden (systemd's ProtectHome).
  if (uid === 0) return join("/var/lib/rvpn", role);
  const { XDG_STATE_HOME: stateHome } = env;
  // The XDG specification: a relative path here is invalid and to be ignored.
  if (stateHome !== undefined && isAbsolute(stateHome)) return join(stateHome, "rvpn", role);
  if (isAbsolute(home)) return join(home, ".local/state/rvpn", role);
  throw new UsageError("this user has no home directory to keep state in", "name a directory with --state");
}

/**
 * Makes `dir` with mode 0700 whatever the umask, parents included, if it is not there. Throws UsageError if it belongs
 * to another user, is open to others, or cannot be made.
 */
export function ensureStateDir(dir: string): void {
  const stats = statOf(dir) ?? makeDirectory(dir);
  if (!stats.isDirectory()) {
    throw new UsageError(`${dir} is not a directory`, "name another directory with --state");
  }
  checkOwner(dir, stats.uid);
  checkPrivateMode(dir, stats.mode, 0o700);
}

/** Also root is refused: the files it would write here are files that the owner could not read any more. */
function checkOwner(dir: string, owner: number): void {
  const uid = process.geteuid?.();
  if (uid === undefined || uid === owner) return;
  throw new UsageError(
    `${dir} belongs to another user (uid ${owner})`,
    `run this as that user (sudo -u '#${owner}' rvpn …), or name another directory with --state`,
  );
}

function makeDirectory(dir: string): Stats {
  try {
    makeWithParents(dir);
    return statSync(dir);
  } catch (error) {
    throw cannotUse(dir, error);
  }
}

function makeWithParents(dir: string): void {
  const parent = dirname(dir);
  if (parent !== dir && statOf(parent) === undefined) makeWithParents(parent);
  try {
    mkdirSync(dir, 0o700);
  } catch (error) {
    // Somebody made it meanwhile: another start. It is checked like one that was there before.
    if (systemCode(error) === "EEXIST") return;
    throw error;
  }
  // The umask can only have taken bits, so it was never open wider; it may have taken the owner's.
  chmodSync(dir, 0o700);
  try {
    syncDirectory(parent);
  } catch {
    // A parent that may be entered but not read. The new directory is then as durable as the system makes it.
  }
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    throw cannotUse(path, error);
  }
}

function cannotUse(dir: string, cause: unknown): UsageError {
  return new UsageError(
    `cannot use ${dir} as a state directory: ${messageOf(cause)}`,
    "name another directory with --state",
    { cause },
  );
}
