import { type ArgsDef, type CommandDef, defineCommand } from "citty";
import { ExitCode } from "../runtime/errors.ts";
import { LOG_LEVELS, type LogLevel } from "../runtime/log.ts";
import { reportFailure } from "./failure.ts";
import type { Flag, Flags } from "./flags.ts";
import { type Args, parseStrict } from "./strict-args.ts";

/** What a file in commands/ says about its command. */
interface Definition<F extends Flags> {
  readonly args: F;
  /** The text below the options in `rvpn COMMAND --help`: what the options cannot say. */
  readonly notes?: string;
  /** What follows `--` is a command to run, e.g. `-- CMD…`. */
  readonly takesCommand?: true;
  /** The exit code, 0 if none is returned. UsageErrors carry their own. */
  run(args: Args<F>): Promise<number | undefined>;
}

/** A command for citty, with the declarations that citty does not need beside it. */
export interface Command {
  readonly citty: CommandDef;
  readonly flags: Flags;
  readonly notes: string | undefined;
  readonly takesCommand: boolean;
}

/** Every command has this one: how much is reported on stderr. */
export const logLevelFlag = {
  type: "string",
  valueHint: "LEVEL",
  choices: LOG_LEVELS,
  description: "how much to report on stderr: error, warn, info or debug",
} as const satisfies Flag;

/**
 * Makes a command whose arguments are parsed strictly before its `run` sees them. citty's own parsing, which lets
 * mistakes pass, is fed with the same declarations but decides nothing.
 */
export function command<const F extends Flags & { "log-level": typeof logLevelFlag }>(
  definition: Definition<F>,
): Command {
  const takesCommand = definition.takesCommand === true;
  return {
    flags: definition.args,
    notes: definition.notes,
    takesCommand,
    citty: defineCommand({
      args: lenient(definition.args),
      async run({ rawArgs }): Promise<number> {
        const args = parseStrict(definition.args, rawArgs, process.env, { takesCommand });
        const level: LogLevel | undefined = args.values["log-level"];
        return await guarded(level === "debug", () => definition.run(args));
      },
    }),
  };
}

/** citty throws errors of its own, without a hint, for what is missing or not among the choices: let it find nothing. */
function lenient(flags: Flags): ArgsDef {
  return Object.fromEntries(
    Object.entries(flags).map(([name, flag]) => [name, { type: flag.type, required: false }]),
  );
}

/**
 * Runs a command to its exit code. Errors that nobody awaited end it as well, in one line: the state they leave behind
 * is unknown, and Bun would print the stack and the source line.
 */
async function guarded(debug: boolean, run: () => Promise<number | undefined>): Promise<number> {
  const stray = Promise.withResolvers<never>();
  process.on("uncaughtException", stray.reject);
  process.on("unhandledRejection", stray.reject);
  try {
    return (await Promise.race([run(), stray.promise])) ?? ExitCode.ok;
  } catch (error) {
    return reportFailure(error, { debug });
  }
}
