import type { Random } from "../../src/proto/random.ts";

/** Something that reads what others may have written. */
export interface Target {
  readonly name: string;
  /** Inputs that it takes, and such that have been its downfall. */
  readonly corpus: readonly Uint8Array[];
  /** Pieces to put anywhere. */
  readonly words?: readonly Uint8Array[];
  /**
   * Reads one input. Throws what a test says to a wrong answer: another error than the reader's own, a state that an
   * input has changed which was refused, bytes that are written again otherwise, an answer that depends on the split.
   */
  readonly check: (input: Uint8Array, random: Random) => void;
}

const encoder = new TextEncoder();

export function textBytes(text: string): Uint8Array {
  return encoder.encode(text);
}

export function words(...texts: readonly string[]): Uint8Array[] {
  return texts.map(textBytes);
}

/** What `read` gives, or undefined where it threw an error of one of `kinds`. Any other error goes on. */
export function refusable<T>(
  kinds: readonly (abstract new (...args: never[]) => Error)[],
  read: () => T,
): T | undefined {
  try {
    return read();
  } catch (error) {
    if (kinds.some((kind) => error instanceof kind)) return undefined;
    throw error;
  }
}
