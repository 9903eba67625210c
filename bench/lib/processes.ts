import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isAlive, markTree, type ProcessMark } from "./proc.ts";

const END_MS = 3_000;
const POLL_MS = 10;
/** Enough of a log to see why a program did not start. */
const LOG_TAIL_LINES = 5;

/** Proxies that the user has set would send the bench's own requests elsewhere. */
const CLEAN_ENV = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(all|https?|no)_proxy$/i.test(name)),
);

/** A long-running program of a contestant. It can be killed and started again as it was. */
export class Daemon {
  readonly #owner: Processes;
  readonly #command: readonly string[];
  readonly #env: Readonly<Record<string, string>>;
  readonly #log: string;
  #child: Bun.Subprocess | undefined;

  constructor(
    owner: Processes,
    command: readonly string[],
    env: Readonly<Record<string, string>>,
    log: string,
  ) {
    this.#owner = owner;
    this.#command = command;
    this.#env = env;
    this.#log = log;
  }

  get pid(): number {
    if (this.#child === undefined) throw new Error(`${this.#command[0]} does not run`);
    return this.#child.pid;
  }

  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  start(): this {
    const log = openSync(this.#log, "a");
    this.#child = this.#owner.spawn(this.#command, { env: this.#env, stdout: log, stderr: log });
    closeSync(log);
    return this;
  }

  /** Ends the program and its descendants, by force when asked so or when it takes too long. */
  async end(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> {
    if (this.#child !== undefined) await this.#owner.end(this.#child, signal);
    this.#child = undefined;
  }

  /** The last lines that the program wrote. */
  logTail(): string {
    return readFileSync(this.#log, "utf8").trim().split("\n").slice(-LOG_TAIL_LINES).join("\n");
  }
}

export interface SpawnOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: "pipe" | "ignore";
  readonly stdout?: "pipe" | "ignore" | number;
  readonly stderr?: "pipe" | "ignore" | number;
}

/** All that the benchmark starts, so that all of it can be ended. */
export class Processes {
  readonly #directory: string;
  readonly #children = new Set<Bun.Subprocess>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Starts a program that runs until it is ended; its output goes to a log. */
  daemon(name: string, command: readonly string[], env: Readonly<Record<string, string>> = {}): Daemon {
    return new Daemon(this, command, env, join(this.#directory, `${name}.log`)).start();
  }

  spawn(command: readonly string[], options: SpawnOptions = {}): Bun.Subprocess {
    const { env = {}, stdin = "ignore", stdout = "ignore", stderr = "ignore" } = options;
    const child = Bun.spawn([...command], { env: { ...CLEAN_ENV, ...env }, stdio: [stdin, stdout, stderr] });
    this.#children.add(child);
    void child.exited.then(() => this.#children.delete(child));
    return child;
  }

  /** Runs a program to its end and gives back what it printed. Throws with its stderr when it fails. */
  async capture(command: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string> {
    const child = this.spawn(command, { env, stdout: "pipe", stderr: "pipe" });
    const [stdout, stderr] = await Promise.all([textOf(child.stdout), textOf(child.stderr)]);
    const code = await child.exited;
    if (code !== 0) throw new Error(`${command[0]} ended with ${code}: ${stderr.trim()}`);
    return stdout.trim();
  }

  /**
   * Ends a child and what descends from it. The descendants are looked up first: once their parent is gone, nothing
   * links them to us (sshd leaves the process of each connection behind).
   */
  async end(child: Bun.Subprocess, signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> {
    const tree = markTree([child.pid]);
    child.kill(signal);
    const late = setTimeout(() => child.kill("SIGKILL"), END_MS);
    await child.exited;
    clearTimeout(late);
    await endOrphans(tree, signal);
  }

  async endAll(): Promise<void> {
    await Promise.all([...this.#children].map((child) => this.end(child)));
  }

  /** The same without waiting, for the very end of the process. */
  killAll(): void {
    const tree = markTree([...this.#children].map(({ pid }) => pid));
    for (const mark of tree) signalMark(mark, "SIGKILL");
  }
}

async function endOrphans(tree: readonly ProcessMark[], signal: "SIGTERM" | "SIGKILL"): Promise<void> {
  for (const mark of tree) signalMark(mark, signal);
  const deadline = performance.now() + END_MS;
  while (tree.some(isAlive) && performance.now() < deadline) await Bun.sleep(POLL_MS);
  for (const mark of tree) signalMark(mark, "SIGKILL");
}

function signalMark(mark: ProcessMark, signal: "SIGTERM" | "SIGKILL"): void {
  if (!isAlive(mark)) return;
  try {
    process.kill(mark.pid, signal);
  } catch {
    // Ended between the look and the signal.
  }
}

/** The text of a stream that was asked for as a pipe. */
export function textOf(stream: Bun.Subprocess["stdout"]): Promise<string> {
  if (!(stream instanceof ReadableStream)) throw new Error("the program's output is not a pipe");
  return new Response(stream).text();
}
