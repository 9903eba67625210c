import { parseArgs } from "node:util";

export interface BenchOptions {
  readonly only: readonly string[];
  readonly peers: readonly string[];
  readonly isQuick: boolean;
  /** A promise that is not kept is a failure. */
  readonly isStrict: boolean;
  readonly jsonFile: string | undefined;
}

/** What may be named on the command line. */
export interface Names {
  readonly tests: readonly string[];
  readonly contestants: readonly string[];
  /** Those of them that take part when none is named. */
  readonly usual: readonly string[];
}

/** A mistake of whoever typed the command. */
export class OptionError extends Error {
  override readonly name = "OptionError";
}

/** Reads the command line. Throws OptionError, also for names of tests that do not exist. */
export function parseOptions(args: readonly string[], names: Names): BenchOptions | "help" {
  const { values } = parse(args);
  if (values.help === true) return "help";
  return {
    only: choose("test", values.only, names.tests, names.tests),
    peers: choose("contestant", values.peers, names.contestants, names.usual),
    isQuick: values.quick === true,
    isStrict: values.strict === true,
    jsonFile: values.json,
  };
}

/** The named ones of all there are; `usual` when none is named. */
function choose(
  kind: string,
  texts: readonly string[] | undefined,
  known: readonly string[],
  usual: readonly string[],
): readonly string[] {
  if (texts === undefined) return usual;
  const names = texts.flatMap((text) => text.split(","));
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw new OptionError(`there is no ${kind} "${unknown}", only: ${known.join(", ")}`);
  return names;
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        only: { type: "string", multiple: true },
        peers: { type: "string", multiple: true },
        quick: { type: "boolean" },
        strict: { type: "boolean" },
        json: { type: "string" },
        help: { type: "boolean" },
      },
    });
  } catch (error) {
    throw new OptionError(error instanceof Error ? error.message : String(error));
  }
}
