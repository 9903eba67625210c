import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { endMarked, MARK } from "./leftovers.ts";
import { SEARCH_PATH } from "./settings.ts";

/** How long a program may take to end after SIGTERM. */
const GRACE_MS = 8_000;
const POLL_MS = 10;
const INTERRUPTIONS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export interface Ran {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  /** After this it is killed, and the run fails. */
  readonly limitMs?: number;
}

/** A program that runs beside the test, with its output in a file. */
export class Child {
  readonly name: string;
  readonly #process: Subprocess;
  readonly #log: string;

  constructor(name: string, process: Subprocess, log: string) {
    this.name = name;
    this.#process = process;
    this.#log = log;
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** The exit code; a number above 128 for a signal, as a shell gives it. */
  get exited(): Promise<number> {
    return this.#process.exited;
  }

  get running(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /** Everything it has written to stdout and stderr so far. */
  output(): string {
    return readFileSync(this.#log, "utf8");
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** The first match of `pattern` in its output; throws if it ends or `limitMs` passes before there is one. */
  async waitFor(pattern: RegExp, limitMs = 20_000): Promise<RegExpExecArray> {
    const deadline = performance.now() + limitMs;
    for (;;) {
      const running = this.running;
      const match = pattern.exec(this.output());
      if (match !== null) return match;
      if (!running) throw new Error(`${this.name} ended before it said ${pattern}:\n${this.output()}`);
      if (performance.now() > deadline)
        throw new Error(`${this.name} did not say ${pattern}:\n${this.output()}`);
      await Bun.sleep(POLL_MS);
    }
  }

  /** The exit code, if it ends within `limitMs`; throws otherwise. */
  async exitsWithin(limitMs: number): Promise<number> {
    const late = Promise.withResolvers<undefined>();
    const timer = setTimeout(late.resolve, limitMs, undefined);
    const code = await Promise.race([this.exited, late.promise]);
    clearTimeout(timer);
    if (code === undefined) throw new Error(`${this.name} still runs after ${limitMs} ms:\n${this.output()}`);
    return code;
  }

  /** Ends it: SIGTERM, and SIGKILL for what does not listen. */
  async stop(): Promise<number> {
    if (this.running) this.signal("SIGTERM");
    const timer = setTimeout(() => this.signal("SIGKILL"), GRACE_MS);
    const code = await this.exited;
    clearTimeout(timer);
    return code;
  }
}

/** The processes of one test file. All of them carry a mark in their environment, so that none can get lost. */
export class Children {
  readonly #dir: string;
  readonly #mark = crypto.randomUUID();
  readonly #running: Child[] = [];

  constructor(dir: string) {
    this.#dir = dir;
    mkdirSync(join(dir, "logs"));
    mkdirSync(join(dir, "tmp"));
    // A test runner that is interrupted runs no hooks, but these.
    process.on("exit", this.#kill);
    for (const signal of INTERRUPTIONS) process.on(signal, this.#interrupted);
  }

  /** Starts a program that runs until it is stopped. */
  start(name: string, command: readonly string[], env: Readonly<Record<string, string>> = {}): Child {
    const log = join(this.#dir, "logs", `${this.#running.length}-${name}.log`);
    const output = openSync(log, "a");
    const child = Bun.spawn([...command], {
      cwd: this.#dir,
      env: this.environment(env),
      stdio: ["ignore", output, output],
    });
    closeSync(output);
    const started = new Child(name, child, log);
    this.#running.push(started);
    return started;
  }

  /** Runs a program to its end. */
  async run(command: readonly string[], options: RunOptions = {}): Promise<Ran> {
    const { env = {}, stdin = "", limitMs = 600_000 } = options;
    const startedAt = performance.now();
    const child = Bun.spawn([...command], {
      cwd: this.#dir,
      env: this.environment(env),
      stdio: [new Blob([stdin]), "pipe", "pipe"],
    });
    const timer = setTimeout(() => child.kill("SIGKILL"), limitMs);
    const [stdout, stderr, exitCode] = await Promise.all([
      child.stdout.text(),
      child.stderr.text(),
      child.exited,
    ]);
    clearTimeout(timer);
    const ms = performance.now() - startedAt;
    if (ms >= limitMs) throw new Error(`${command.join(" ")}: killed after ${limitMs} ms\n${stderr}`);
    return { exitCode, stdout, stderr, ms };
  }

  /** A clean environment: a proxy variable or a .curlrc of the tester would change results. */
  environment(env: Readonly<Record<string, string>>): Record<string, string> {
    return {
      PATH: SEARCH_PATH,
      HOME: this.#dir,
      TMPDIR: join(this.#dir, "tmp"),
      XDG_RUNTIME_DIR: join(this.#dir, "tmp"),
      [MARK]: this.#mark,
      ...env,
    };
  }

  /** Name and output of every program that was started, newest output last. */
  logs(): readonly { readonly name: string; readonly output: string }[] {
    return this.#running.map((child) => ({ name: child.name, output: child.output() }));
  }

  /** Ends everything. Returns the command lines of what had to be hunted down because nobody had stopped it. */
  async stopAll(): Promise<readonly string[]> {
    process.off("exit", this.#kill);
    for (const signal of INTERRUPTIONS) process.off(signal, this.#interrupted);
    for (const child of this.#running.toReversed()) await child.stop();
    return await endMarked(this.#mark, this.#dir);
  }

  readonly #interrupted = (): void => {
    this.#kill();
    rmSync(this.#dir, { recursive: true, force: true });
    process.exit(1);
  };

  readonly #kill = (): void => {
    for (const child of this.#running) if (child.running) child.signal("SIGKILL");
  };
}
