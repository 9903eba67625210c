import { runCommand } from "citty";
import { ExitCode, UsageError } from "../runtime/errors.ts";
import { COMMANDS, isCommandName } from "./commands.ts";
import { reportFailure } from "./failure.ts";
import { renderHelp, renderRootHelp } from "./help.ts";
import { printResult } from "./output.ts";
import { shown } from "./raw-args.ts";
import { asksForHelp } from "./strict-args.ts";
import { closest } from "./suggest.ts";

/**
 * Step 2 of the journey: from the arguments to the command they name, and from whatever comes of it to an exit code.
 * citty runs the one command that is named and no root above it: a parent's `run` would fire after its subcommand's.
 */
export async function main(rawArgs: readonly string[]): Promise<number> {
  try {
    return await dispatch(rawArgs);
  } catch (error) {
    return reportFailure(error, { debug: false });
  }
}

async function dispatch(rawArgs: readonly string[]): Promise<number> {
  const [name, ...rest] = rawArgs;
  if (name === undefined) throw new UsageError("no command given", "rvpn --help lists the commands");
  if (!isCommandName(name)) return await withoutCommand(name, rest);
  const { default: command } = await COMMANDS[name].load();
  if (asksForHelp(rest)) {
    await printResult(renderHelp(name, COMMANDS[name].summary, command));
    return ExitCode.ok;
  }
  const { result } = await runCommand(command.citty, { rawArgs: rest });
  return typeof result === "number" ? result : ExitCode.ok;
}

async function withoutCommand(first: string, rest: readonly string[]): Promise<number> {
  if (first === "--help" || first === "-h") {
    await printResult(renderRootHelp());
    return ExitCode.ok;
  }
  if (first === "--version" && rest[0] !== undefined) {
    throw new UsageError(`unexpected argument ${shown(rest[0])}`, "rvpn --version takes no arguments");
  }
  if (first.startsWith("-")) {
    throw new UsageError(`unknown option ${shown(first)}`, "options follow the command; see rvpn --help");
  }
  const guess = closest(first, Object.keys(COMMANDS));
  throw new UsageError(
    `unknown command ${shown(first)}`,
    `${guess === undefined ? "" : `did you mean ${guess}? `}rvpn --help lists the commands`,
  );
}
