import { dlopen } from "bun:ffi";
import { libcPath } from "../runtime/libc.ts";

const SYMBOLS = {
  getenv: { args: ["cstring"], returns: "ptr" },
  strlen: { args: ["ptr"], returns: "u64" },
  memset: { args: ["ptr", "i32", "u64"], returns: "ptr" },
} as const;

/**
 * Overwrites the values of these variables where the system keeps them, so that /proc/PID/environ shows them no longer:
 * deleting a variable leaves its text there for as long as the process lives. `process.env` is a copy and stays. Does
 * nothing where there is no C library to ask; such a system has no /proc either.
 */
export function wipeEnvironment(names: readonly string[]): void {
  const present = names.filter((name) => (process.env[name] ?? "") !== "");
  const path = present.length === 0 ? undefined : libcPath();
  if (path === undefined) return;
  const { symbols, close } = dlopen(path, SYMBOLS);
  for (const name of present) {
    const value = symbols.getenv(Buffer.from(`${name}\0`));
    // Null for what was deleted or never in the environment that the system gave.
    if (value !== null) symbols.memset(value, 0, symbols.strlen(value));
  }
  close();
}
