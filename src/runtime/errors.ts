/** Exit codes of the command line, a contract that scripts depend on. */
export const ExitCode = {
  ok: 0,
  unexpected: 1,
  usage: 2,
  unreachable: 3,
  refused: 4,
  wrongServer: 5,
  portTaken: 6,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/**
 * A failure the operator can mend: one sentence on what was wrong and where, and a hint on what to do.
 * The command line prints both and ends with `exitCode`.
 */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly hint: string;
  readonly exitCode: ExitCode;

  constructor(message: string, hint: string, options: { exitCode?: ExitCode; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.hint = hint;
    this.exitCode = options.exitCode ?? ExitCode.usage;
  }
}

/** The message of whatever was thrown, for log lines. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The `code` of a system error (`ENOENT`, `EADDRINUSE`, …), or undefined for anything else. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}
