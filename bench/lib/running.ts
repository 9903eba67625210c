import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import type { Contestant, Ends, Lay } from "../peers/contestant.ts";
import { HttpGetter } from "./http-get.ts";
import { eventually } from "./ports.ts";
import { cpuSeconds, memoryBytes, peakMemoryBytes, resetPeakMemory } from "./proc.ts";
import type { Daemon, Processes } from "./processes.ts";
import { type Route, Wire } from "./wire.ts";

const READY_MS = 15_000;
const PROBE_MS = 2_000;

/** What one end or both have used. */
export interface Usage {
  readonly client: number;
  readonly server: number;
}

export interface Measured<T> {
  readonly value: T;
  readonly seconds: number;
  readonly cpuSeconds: Usage;
  readonly peakBytes: Usage;
}

/** A contestant that stands, with its way to the origin and its meters. */
export class Running {
  readonly contestant: Contestant;
  readonly ends: Ends;
  readonly #lay: Lay;
  readonly #laid = new Map<number, Promise<number>>();

  constructor(contestant: Contestant, ends: Ends, lay: Lay) {
    this.contestant = contestant;
    this.ends = ends;
    this.#lay = lay;
  }

  get name(): string {
    return this.contestant.name;
  }

  /** How to reach a port of the origin. */
  async route(port: number): Promise<Route> {
    const { socksPort } = this.ends;
    if (socksPort !== undefined) return { port, socksPort };
    const laid = this.#laid.get(port) ?? this.#lay(port);
    this.#laid.set(port, laid);
    return { port: await laid, socksPort };
  }

  /** Runs something and reads the meters of both ends before and after. */
  async measure<T>(action: () => Promise<T>): Promise<Measured<T>> {
    const client = pids(this.ends.client);
    const server = pids(this.ends.server);
    resetPeakMemory([...client, ...server]);
    const before = { client: cpuSeconds(client), server: cpuSeconds(server) };
    const started = performance.now();
    const value = await action();
    const seconds = (performance.now() - started) / 1000;
    return {
      value,
      seconds,
      cpuSeconds: {
        client: cpuSeconds(client) - before.client,
        server: cpuSeconds(server) - before.server,
      },
      peakBytes: { client: peakMemoryBytes(client), server: peakMemoryBytes(server) },
    };
  }

  memoryBytes(): Usage {
    return { client: memoryBytes(pids(this.ends.client)), server: memoryBytes(pids(this.ends.server)) };
  }

  /** One small request to the origin, over a connection of its own. */
  async probe(port: number, timeoutMs = PROBE_MS): Promise<void> {
    const wire = await Wire.open(await this.route(port), timeoutMs);
    const late = setTimeout(() => wire.close(), timeoutMs);
    try {
      await new HttpGetter(wire).get("/tiny");
    } finally {
      clearTimeout(late);
      wire.close();
    }
  }

  async stop(): Promise<void> {
    // Clients first: a server that loses them in order has nothing to log and nothing to wait for.
    for (const daemon of [...this.ends.client, ...this.ends.server]) await daemon.end();
  }
}

export interface StartOptions {
  readonly processes: Processes;
  readonly directory: string;
  readonly lay: Lay;
  readonly probePort: number;
}

/** Starts a contestant and waits until a request goes through it. Throws with its log when none does. */
export async function startContestant(contestant: Contestant, options: StartOptions): Promise<Running> {
  const directory = mkdtempSync(join(options.directory, "run-"));
  const ends = await contestant.start({ ...options, directory });
  const running = new Running(contestant, ends, options.lay);
  try {
    await eventually(`${contestant.name} to answer`, READY_MS, () => running.probe(options.probePort));
    return running;
  } catch (error) {
    const logs = [...ends.client, ...ends.server].map((daemon) => daemon.logTail()).filter(Boolean);
    await running.stop();
    throw new Error([`${contestant.name} does not work`, ...logs].join("\n"), { cause: error });
  }
}

function pids(daemons: readonly Daemon[]): number[] {
  return daemons.filter(({ isRunning }) => isRunning).map(({ pid }) => pid);
}
