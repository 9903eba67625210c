import { UsageError } from "../runtime/errors.ts";
import type { Environment } from "./strict-args.ts";

/** The command line that starts this very program with other arguments, compiled or from source. */
export function selfCommand(args: readonly string[]): [string, ...string[]] {
  if (Bun.isStandaloneExecutable) return [process.execPath, ...args];
  return [process.execPath, ...process.execArgv, Bun.main, ...args];
}

/**
 * Becomes the same program with other arguments and environment: same pid, same terminal, but nothing of the old
 * arguments in /proc/PID/cmdline, which every user of the machine may read.
 */
export function executeAgain(args: readonly string[], env: Environment): never {
  const [file, ...rest] = selfCommand(args);
  if (process.execve === undefined) {
    throw new UsageError(
      "this system cannot hide a link that was given as an argument",
      "give the link on standard input, with - in its place, or in RVPN_LINK",
    );
  }
  return process.execve(file, [Bun.isStandaloneExecutable ? "rvpn" : file, ...rest], { ...env });
}
