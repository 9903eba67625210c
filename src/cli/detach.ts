import { closeSync, fchmodSync, fstatSync, ftruncateSync, openSync } from "node:fs";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { ExitCode, UsageError } from "../runtime/errors.ts";
import { ensureStateDir } from "../runtime/state-dir.ts";
import { type Outcome, parseOutcome, READY_FD, READY_VARIABLE } from "./readiness.ts";
import { selfCommand } from "./self.ts";
import { onStopSignal } from "./signals.ts";

export interface DetachOptions {
  readonly stateDir: string;
  /** The whole command line of the child, without --detach and without a link. */
  readonly args: readonly string[];
  /** The link's text; it goes through the child's standard input, so that neither arguments nor environment show it. */
  readonly link: string | undefined;
  readonly timeoutMs: number;
}

/** The child keeps the time itself. A child that does not even do that is ended after this much more. */
const GRACE_MS = 5_000;
/** A log above this size is begun anew when a client starts. */
const MAX_LOG_BYTES = 1024 * 1024;

/**
 * Starts the client in a session of its own and waits until it has its port and its first link. Returns the proxy's
 * address; throws the reason, once the child has ended, otherwise.
 */
export async function startDetached(options: DetachOptions): Promise<string> {
  ensureStateDir(options.stateDir);
  const logFile = join(options.stateDir, "client.log");
  const child = spawnChild(options, logFile);
  const undo = onStopSignal((signal) => {
    void endChild(child).then(() => process.kill(process.pid, signal));
  });
  const outcome = await outcomeOf(child, options.timeoutMs + GRACE_MS);
  undo();
  if (outcome?.kind === "ready") return outcome.proxy;
  await endChild(child);
  if (outcome === undefined) {
    throw new UsageError("the client ended before it was ready", `see ${logFile}`, {
      exitCode: ExitCode.unexpected,
    });
  }
  throw new UsageError(outcome.message, outcome.hint, { exitCode: outcome.exitCode });
}

function spawnChild(options: DetachOptions, logFile: string): Subprocess<"pipe"> {
  const log = openLog(logFile);
  const { RVPN_LINK: _, RVPN_DETACH: __, ...env } = process.env;
  const child = Bun.spawn(selfCommand(options.args), {
    // setsid: the end of the terminal or of the CI step's process group does not reach the client.
    detached: true,
    stdio: ["pipe", log, log, "pipe"],
    env: { ...env, [READY_VARIABLE]: String(READY_FD) },
  });
  closeSync(log);
  void sendLink(child, options.link);
  return child;
}

async function sendLink(child: Subprocess<"pipe">, link: string | undefined): Promise<void> {
  try {
    if (link !== undefined) child.stdin.write(`${link}\n`);
    await child.stdin.end();
  } catch {
    // A child that is gone before it read tells so by the end of its report pipe.
  }
}

/** 0600 whatever the umask: the log names the hosts that were asked for. */
function openLog(file: string): number {
  const log = openSync(file, "a", 0o600);
  fchmodSync(log, 0o600);
  if (fstatSync(log).size > MAX_LOG_BYTES) ftruncateSync(log);
  return log;
}

async function outcomeOf(child: Subprocess<"pipe">, deadlineMs: number): Promise<Outcome | undefined> {
  const pipe = child.stdio[READY_FD];
  if (typeof pipe !== "number") throw new TypeError("the child has no pipe for its report");
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(late.resolve, deadlineMs, undefined);
  const text = await Promise.race([Bun.file(pipe).text(), late.promise]);
  clearTimeout(timer);
  return text === undefined ? undefined : parseOutcome(text);
}

/** A child that reported a failure is about to end by itself; any other is told to, and then made to. */
async function endChild(child: Subprocess<"pipe">): Promise<void> {
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), GRACE_MS);
  await child.exited;
  clearTimeout(timer);
}
