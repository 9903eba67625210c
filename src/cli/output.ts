import { writeSync } from "node:fs";
import { isatty } from "node:tty";
import { ExitCode, systemCode, UsageError } from "../runtime/errors.ts";
import type { Screen } from "./qr.ts";
import type { Environment } from "./strict-args.ts";

const STDERR = 2;
/** Times that a full stderr is tried again, a millisecond apart. Then the rest is dropped: a log must not stop a tunnel. */
const MAX_STDERR_RETRIES = 50;

/**
 * Writes a result to stdout and waits until the system has it. Bun's process.stdout.write is cut short by
 * process.exit when stdout is a pipe (128 KiB of 1 MB arrived), this is not.
 */
export async function printResult(text: string): Promise<void> {
  try {
    await Bun.write(Bun.stdout, text.endsWith("\n") ? text : `${text}\n`);
  } catch (error) {
    if (systemCode(error) !== "EPIPE") throw error;
    throw new UsageError(
      "nobody reads the output any more",
      "the reader of the pipe ended before the result came",
      {
        exitCode: ExitCode.unexpected,
        cause: error,
      },
    );
  }
}

/** A JSON result, on one line: `{"running":false}`. */
export async function printJson(value: unknown): Promise<void> {
  await printResult(JSON.stringify(value));
}

/** Writes to stderr before it returns, so that no exit can cut it short; a stderr that is gone is not our end. */
export function writeStderr(text: string): void {
  const bytes = Buffer.from(text);
  let offset = 0;
  for (let retries = 0; offset < bytes.length && retries <= MAX_STDERR_RETRIES; ) {
    try {
      offset += writeSync(STDERR, bytes, offset);
    } catch (error) {
      if (systemCode(error) !== "EAGAIN") return;
      retries += 1;
      Bun.sleepSync(1);
    }
  }
}

/** Writes what is of no use in part to stderr, and waits as long as a slow terminal takes. */
export async function drawOnStderr(text: string): Promise<void> {
  try {
    await Bun.write(Bun.stderr, text);
  } catch (error) {
    // Nobody looks any more.
    if (systemCode(error) !== "EPIPE" && systemCode(error) !== "EIO") throw error;
  }
}

/** A note for the person at the terminal, beside a result. */
export function note(text: string): void {
  writeStderr(`${text}\n`);
}

/** Whether stderr may have colors: only a terminal, and only while NO_COLOR (https://no-color.org) is unset or empty. */
export function stderrHasColors({ NO_COLOR, TERM }: Environment): boolean {
  return isatty(STDERR) && (NO_COLOR ?? "") === "" && TERM !== "dumb";
}

/** What can be drawn on stderr: its size, if it is a terminal, and whether in colors. */
export function stderrScreen(env: Environment): Screen {
  // Of a terminal that does not tell its size it is 0.
  const [columns, rows] = isatty(STDERR) ? process.stderr.getWindowSize() : [];
  return { columns: columns || undefined, rows: rows || undefined, colors: stderrHasColors(env) };
}

/** Rows in columns as wide as their widest cell; the last column is not padded. */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const lines = all.map((row) =>
    row
      .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
      .join("  "),
  );
  return lines.join("\n");
}
