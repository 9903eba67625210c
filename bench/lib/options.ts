import { parseArgs } from "node:util";

export interface BenchOptions {
  readonly only: readonly string[];
  readonly isQuick: boolean;
  readonly jsonFile: string | undefined;
}

/** A mistake of whoever typed the command. */
export class OptionError extends Error {
  override readonly name = "OptionError";
}

/** Reads the command line. Throws OptionError, also for names of tests that do not exist. */
export function parseOptions(args: readonly string[], names: readonly string[]): BenchOptions | "help" {
  const { values } = parse(args);
  if (values.help === true) return "help";
  const only = (values.only ?? []).flatMap((text) => text.split(","));
  const unknown = only.find((name) => !names.includes(name));
  if (unknown !== undefined) throw new OptionError(`there is no test "${unknown}": ${names.join(", ")}`);
  return { only: only.length === 0 ? names : only, isQuick: values.quick === true, jsonFile: values.json };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        only: { type: "string", multiple: true },
        quick: { type: "boolean" },
        json: { type: "string" },
        help: { type: "boolean" },
      },
    });
  } catch (error) {
    throw new OptionError(error instanceof Error ? error.message : String(error));
  }
}
