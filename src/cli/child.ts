import { readFileSync } from "node:fs";
import { constants } from "node:os";
import type { Subprocess } from "bun";
import { systemCode } from "../runtime/errors.ts";
import { complain } from "./failure.ts";
import { shown } from "./raw-args.ts";

/** What shells return for a command that is not there, or is there but cannot be executed. */
const NOT_FOUND = 127;
const NOT_EXECUTABLE = 126;
/** Added to a signal's number by shells, for a command that the signal ended. */
const SIGNALLED = 128;

const FORWARDED = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;
/** What a terminal's keys send, to every process in the foreground at once. */
const KEYBOARD: ReadonlySet<string> = new Set(["SIGINT", "SIGQUIT"]);

/** Runs a command in the foreground, hands our signals on to it, and gives the exit code that a shell would. */
export async function runChild(
  command: readonly [string, ...string[]],
  env: Record<string, string>,
): Promise<number> {
  let child: Subprocess | undefined;
  const forward = (signal: NodeJS.Signals): void => {
    if (!(KEYBOARD.has(signal) && isTerminalForeground())) child?.kill(signal);
  };
  // Before the command is there: it may be running, and somebody may answer it with a signal, before spawn returns.
  for (const signal of FORWARDED) process.on(signal, forward);
  try {
    child = Bun.spawn([...command], { env, stdio: ["inherit", "inherit", "inherit"] });
    await child.exited;
    return shellCode(child);
  } catch (error) {
    return explainSpawn(error, command[0]);
  } finally {
    for (const signal of FORWARDED) process.off(signal, forward);
  }
}

function shellCode({ exitCode, signalCode }: Subprocess): number {
  if (signalCode === null) return exitCode ?? 0;
  return SIGNALLED + (typeof signalCode === "number" ? signalCode : constants.signals[signalCode]);
}

function explainSpawn(error: unknown, command: string): number {
  switch (systemCode(error)) {
    case "ENOENT":
      complain(`command not found: ${shown(command)}`, "check its spelling and PATH");
      return NOT_FOUND;
    case "EACCES":
      complain(`not executable: ${shown(command)}`, "make it executable, or name the program that runs it");
      return NOT_EXECUTABLE;
    default:
      throw error;
  }
}

/**
 * Whether we are in the foreground of a terminal. Then Ctrl-C has reached the command already, as it is in the same
 * process group, and a second SIGINT from us would mean "at once" to many programs. proc(5): pgrp is the third field
 * after the name, tpgid the sixth.
 */
function isTerminalForeground(): boolean {
  try {
    const stat = readFileSync("/proc/self/stat", "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[2] === fields[5];
  } catch {
    return process.stdin.isTTY === true;
  }
}
