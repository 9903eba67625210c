import { ExitCode, messageOf, UsageError } from "../runtime/errors.ts";
import { stderrHasColors, writeStderr } from "./output.ts";
import { presentable } from "./redact.ts";

const RED = "\u001b[31m";
const PLAIN = "\u001b[0m";

/**
 * Says on stderr why a command failed, and gives its exit code. An operator's mistake is one line and a hint; whatever
 * else is our own fault is one line too, with the stack trace only for those who asked for `--log-level debug`.
 */
export function reportFailure(error: unknown, options: { debug: boolean }): ExitCode {
  if (error instanceof UsageError) {
    complain(error.message, error.hint);
    return error.exitCode;
  }
  complain(
    `unexpected: ${messageOf(error)}`,
    options.debug ? "the trace below tells where it happened" : "--log-level debug tells where it happened",
  );
  if (options.debug) writeStderr(`${traceOf(error)}\n`);
  return ExitCode.unexpected;
}

/** The two lines of every failure: what was wrong, and what to do about it. */
export function complain(message: string, hint: string): void {
  const prefix = stderrHasColors(process.env) ? `${RED}rvpn:${PLAIN}` : "rvpn:";
  writeStderr(`${prefix} ${presentable(message)}\nhint: ${presentable(hint)}\n`);
}

function traceOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const trace = error.stack ?? error.message;
  return error.cause === undefined ? trace : `${trace}\ncaused by: ${traceOf(error.cause)}`;
}
