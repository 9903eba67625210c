import { residentBytes } from "./machine.ts";

/** What a process knows of itself, and what it can do about it. */
export interface ProcessMemory {
  /** Resident bytes. */
  rssBytes(): number;
  /** CPU time used since the start, in ms. */
  cpuMs(): number;
  /** Frees what nobody refers to. */
  collect(): void;
}

const TICK_MS = 2_000;
/** Less than this of a tick spent working: nobody notices a collection. */
const IDLE_SHARE = 0.05;
/** Not worth a collection: the memory of a few connections comes and goes. */
const WORTH_BYTES = 32 * 1024 * 1024;

/**
 * Collects garbage where the engine does not: it does so when memory is asked for, so an idle process keeps what its
 * last rush of work has left, hundreds of megabytes for hours. Once per growth, and only while there is nothing to do.
 */
export class IdleCollector {
  readonly #memory: ProcessMemory;
  readonly #timer: ReturnType<typeof setInterval>;
  /** Resident bytes when memory was tidy last; undefined between a collection and the next look. */
  #tidyBytes: number | undefined;
  #cpuMs: number;

  constructor(memory: ProcessMemory) {
    this.#memory = memory;
    this.#tidyBytes = memory.rssBytes();
    this.#cpuMs = memory.cpuMs();
    this.#timer = setInterval(() => this.tick(), TICK_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** One look, every two seconds. */
  tick(): void {
    const cpuMs = this.#memory.cpuMs();
    const isIdle = cpuMs - this.#cpuMs < IDLE_SHARE * TICK_MS;
    this.#cpuMs = cpuMs;
    if (!isIdle) return;
    const rssBytes = this.#memory.rssBytes();
    // The allocator gives freed pages back a second later: only now is it known what a collection has left.
    this.#tidyBytes ??= rssBytes;
    this.#tidyBytes = Math.min(this.#tidyBytes, rssBytes);
    if (rssBytes < this.#tidyBytes + WORTH_BYTES) return;
    this.#memory.collect();
    this.#tidyBytes = undefined;
    this.#cpuMs = this.#memory.cpuMs();
  }
}

/** From now on and to its end, this process collects garbage when it has nothing else to do. */
export function collectWhenIdle(): void {
  new IdleCollector(OWN_MEMORY);
}

const OWN_MEMORY: ProcessMemory = {
  rssBytes: residentBytes,
  cpuMs: () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1_000;
  },
  collect: () => Bun.gc(true),
};
