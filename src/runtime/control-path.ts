import {
  lstatSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";
import { messageOf, systemCode, UsageError } from "./errors.ts";
import { ensureStateDir } from "./state-dir.ts";

/** Room for a path in sockaddr_un.sun_path, without the final zero byte: 108 bytes on Linux, 104 on macOS. */
const MAX_PATH_BYTES = process.platform === "linux" ? 107 : 103;
const SOCKET_FILE = "control.sock";

/** Where commands look: the socket itself, or a symbolic link to it. */
export function controlSocketOf(dir: string): string {
  return join(dir, SOCKET_FILE);
}

/**
 * The path to listen on for the state directory `dir`. If the one in `dir` is too long for a socket address, it is in
 * the runtime directory, under a hash of `dir`.
 */
export function listeningPath(dir: string): string {
  const direct = controlSocketOf(dir);
  if (fits(direct)) return direct;
  const name = `${new Bun.CryptoHasher("sha256").update(realpathSync(dir)).digest("hex").slice(0, 16)}.sock`;
  for (const runtimeDir of runtimeDirs()) {
    const path = join(runtimeDir, name);
    if (!fits(path)) continue;
    // In a directory that everybody may write somebody else could have made ours; then this refuses it.
    ensureStateDir(runtimeDir);
    return path;
  }
  throw new UsageError(
    `the path of ${dir} is too long for a socket`,
    "name a shorter directory with --state",
  );
}

function runtimeDirs(): string[] {
  const { XDG_RUNTIME_DIR: runtimeDir } = process.env;
  const own = `rvpn-${process.geteuid?.() ?? "control"}`;
  const shared = [join(tmpdir(), own), join("/tmp", own)];
  return runtimeDir !== undefined && isAbsolute(runtimeDir) ? [join(runtimeDir, "rvpn"), ...shared] : shared;
}

function fits(path: string): boolean {
  return Buffer.byteLength(path) <= MAX_PATH_BYTES;
}

/**
 * Leads commands from `dir` to a socket that had to be elsewhere. A link, because the environment of a command need not
 * be that of the server: cron and services have no $XDG_RUNTIME_DIR.
 */
export function pointTo(dir: string, path: string): void {
  const direct = controlSocketOf(dir);
  if (path === direct) return;
  const temporary = `${direct}.new`;
  rmSync(temporary, { force: true });
  symlinkSync(path, temporary);
  renameSync(temporary, direct);
}

/** Where the socket of `dir` was put last, whether or not it is still there or to be trusted. */
export function lastSocketOf(dir: string): string {
  const direct = controlSocketOf(dir);
  return look(direct)?.isSymbolicLink() === true ? readlinkSync(direct) : direct;
}

/** The path to connect to for `dir`; undefined if there is no socket. Throws UsageError if it may not be trusted. */
export function connectingPath(dir: string): string | undefined {
  const direct = controlSocketOf(dir);
  if (look(direct) === undefined) return undefined;
  const path = lastSocketOf(dir);
  if (path === direct) return direct;
  const place = look(dirname(path));
  if (place === undefined) return undefined;
  // The temporary directory is emptied now and then, and then everybody may make this one.
  if (place.isDirectory() && place.uid === statSync(dir).uid && (place.mode & 0o077) === 0) return path;
  throw new UsageError(
    `${dirname(path)}, where the control socket is, is not this user's alone`,
    `remove it and start rvpn again`,
  );
}

function look(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    if (systemCode(error) === "ENOTDIR") return undefined;
    throw noAccess(path, error);
  }
}

/** For the usual case: the server runs as another user than the one who types. */
export function noAccess(path: string, cause: unknown): UsageError {
  return new UsageError(
    `may not use ${path}: ${messageOf(cause)}`,
    "run this as the user that rvpn runs as (sudo), or name another directory with --state",
    { cause },
  );
}
