import { TextFormatError } from "../proto/index.ts";
import { UsageError } from "../runtime/errors.ts";

/** Runs a parser of the protocol's texts (links, keys) on an argument; what it refuses is the operator's to mend. */
export function parseText<T>(label: string, hint: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof TextFormatError)) throw error;
    throw new UsageError(`${label}: ${error.message}`, hint, { cause: error });
  }
}
