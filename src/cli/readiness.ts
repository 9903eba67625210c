import { closeSync, writeSync } from "node:fs";
import { ExitCode, messageOf, UsageError } from "../runtime/errors.ts";

/**
 * How a detached client tells its parent whether it came up: one line of JSON on a pipe of its own, descriptor 3.
 *
 * A pipe because its other end learns of every outcome without polling: the line, or the end of file when the child
 * dies of anything at all. And because nobody else can answer on it, which is not so for the control socket, where
 * another client of the same state directory may be heard.
 */
export const READY_FD = 3;
export const READY_VARIABLE = "RVPN_READY_FD";

export type Outcome =
  | { readonly kind: "ready"; readonly proxy: string }
  | { readonly kind: "failed"; readonly message: string; readonly hint: string; readonly exitCode: ExitCode };

/** The child's end. Reports once; without a parent that listens it does nothing. */
export class Readiness {
  /** Whether a parent started this process and waits, or waited. */
  readonly isDetached: boolean;
  #reported = false;

  private constructor(isDetached: boolean) {
    this.isDetached = isDetached;
  }

  static fromEnvironment(): Readiness {
    const isDetached = process.env[READY_VARIABLE] === String(READY_FD);
    delete process.env[READY_VARIABLE];
    return new Readiness(isDetached);
  }

  ready(proxy: string): void {
    this.#report({ kind: "ready", proxy });
  }

  failed(error: unknown): void {
    const isUsage = error instanceof UsageError;
    this.#report({
      kind: "failed",
      message: messageOf(error),
      hint: isUsage ? error.hint : "the client's log tells more",
      exitCode: isUsage ? error.exitCode : ExitCode.unexpected,
    });
  }

  #report(outcome: Outcome): void {
    if (!this.isDetached || this.#reported) return;
    this.#reported = true;
    try {
      writeSync(READY_FD, `${JSON.stringify(outcome)}\n`);
      closeSync(READY_FD);
    } catch {
      // The parent is gone. It asked for a client that outlives it, so that is no reason to end.
    }
  }
}

/** What the parent read, or undefined if that is no outcome: the child ended before it could say. */
export function parseOutcome(text: string): Outcome | undefined {
  if (!text.endsWith("\n")) return undefined;
  // Our own child wrote this line whole, or none: it is the Outcome it was made from.
  return JSON.parse(text) as Outcome;
}
