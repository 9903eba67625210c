import { executeAgain } from "./self.ts";
import type { Environment } from "./strict-args.ts";

/** What Bun's parts read from the environment before any code of ours runs (measured in bench/NOTES.md). */
export const ENGINE_SETTINGS: Readonly<Record<string, string>> = {
  // The allocator gives freed memory back within 10 ms, and a relay asks for it again at once: the page faults of that
  // are a sixth of a bulk transfer's CPU time. After a second it still goes back.
  MIMALLOC_PURGE_DELAY: "1000",
  // The third compiler costs a tenth of the first gigabyte, and its code gains nothing where the kernel and the ciphers
  // do the work: not after 5,000 connections either.
  BUN_JSC_useFTLJIT: "0",
  // Bytes that are allocated between two collections, at least; 32 MiB otherwise. Each view of a large buffer counts as
  // much as the buffer, so that the collector ran 270 times for a gigabyte. What is large is given back without it.
  BUN_JSC_largeHeapSize: "67108864",
  // Compiled code that has not run for some 15 s is thrown away otherwise: after such a pause a first byte took twice
  // as long.
  BUN_JSC_forceCodeBlockLiveness: "1",
};

/**
 * For commands that move bytes, before they begin anything: becomes the same program with the settings in its
 * environment. `args` is the whole command line.
 */
export function applyEngineSettings(args: () => readonly string[]): void {
  const missing = missingEngineSettings();
  if (Object.keys(missing).length > 0) executeAgain(args(), { ...process.env, ...missing });
}

/** The settings that a program executed again is to be given besides; none that the operator has set. */
export function missingEngineSettings(): Record<string, string> {
  if (!Bun.isStandaloneExecutable || process.execve === undefined) return {};
  return Object.fromEntries(
    Object.entries(ENGINE_SETTINGS).filter(([name]) => process.env[name] === undefined),
  );
}

/** `env` without the settings: for programs of others. */
export function withoutEngineSettings(env: Environment): Environment {
  return Object.fromEntries(Object.entries(env).filter(([name, value]) => ENGINE_SETTINGS[name] !== value));
}
