import { dlopen } from "bun:ffi";
import { UsageError } from "./errors.ts";
import { libcPath } from "./libc.ts";

// sys/file.h; the same on Linux and macOS.
const LOCK_EX = 2;
const LOCK_NB = 4;
const SYMBOLS = { flock: { args: ["i32", "i32"], returns: "i32" } } as const;

let flock: ((fd: number, operation: number) => number) | undefined;

/**
 * Takes the exclusive lock of the open file `fd` if nobody has it, and says whether it did; it never waits. The kernel
 * gives it back when `fd` is closed or the process ends, however it ends, and no child inherits it (Bun opens files
 * with O_CLOEXEC).
 */
export function tryFlock(fd: number): boolean {
  flock ??= load();
  return flock(fd, LOCK_EX | LOCK_NB) === 0;
}

function load(): (fd: number, operation: number) => number {
  const path = libcPath();
  if (path === undefined) {
    throw new UsageError(
      `rvpn has no way to lock a directory on ${process.platform}`,
      "run it on Linux or macOS",
    );
  }
  return dlopen(path, SYMBOLS).symbols.flock;
}
