import type { Destination } from "../../proto/index.ts";
import { formatIp } from "../../runtime/address.ts";
import { ORIGIN_CLOSING_MS, ORIGIN_SWEEP_MS, ORIGINS_IDLE, ORIGINS_IDLE_PER_TARGET } from "./limits.ts";
import type { OriginConnection, OriginListener } from "./origin-connection.ts";

/** Connections to origins of plain HTTP. A type, not an interface, so that it is known to be JSON. */
export type OriginPoolStats = {
  /** Idle now. */
  readonly kept: number;
  /** How many requests went over one that had served another. */
  readonly reused: number;
  /** How many of these had to be sent again, because it was closed meanwhile. */
  readonly repeated: number;
};

export interface OriginPoolOptions {
  /** Monotonic, in ms. */
  readonly now?: () => number;
  readonly sweepMs?: number;
  /** False: none is kept, all are only ended in order. */
  readonly keeps?: boolean;
}

/**
 * Idle connections to origins of plain HTTP, each a stream of this client's tunnel. One is in the pool or with one
 * exchange, never both. In the pool it is listened to: one that its origin ends, resets or speaks on is thrown away.
 */
export class OriginPool {
  /** Whether connections are kept at all. */
  readonly keeps: boolean;
  readonly #now: () => number;
  readonly #sweepMs: number;
  /** Idle ones, the longest idle first, with the time until which they may be used. */
  readonly #idle = new Map<OriginConnection, number>();
  /** Told that no more requests will come, and not closed by their origin yet, with the time that they have. */
  readonly #closing = new Map<OriginConnection, number>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  #reused = 0;
  #repeated = 0;

  constructor({
    now = () => performance.now(),
    sweepMs = ORIGIN_SWEEP_MS,
    keeps = true,
  }: OriginPoolOptions = {}) {
    this.keeps = keeps;
    this.#now = now;
    this.#sweepMs = sweepMs;
  }

  /** An idle connection to the target, which is the caller's then: the one that was used last. */
  take(target: string, listener: OriginListener): OriginConnection | undefined {
    for (const [origin, until] of [...this.#idle].reverse()) {
      if (origin.target !== target) continue;
      this.#idle.delete(origin);
      if (until <= this.#now()) {
        this.finish(origin);
        continue;
      }
      origin.listener = listener;
      this.#reused += 1;
      return origin;
    }
    return undefined;
  }

  /** A request went over a kept connection in vain and is sent again. */
  countRepeated(): void {
    this.#repeated += 1;
  }

  /** Takes a connection on which all of a request and all of its response have passed. */
  keep(origin: OriginConnection, keepMs: number): void {
    if (this.#closed || !this.keeps || keepMs <= 0) return this.finish(origin);
    const drop = () => this.#drop(origin);
    const onFin = () => this.#ended(origin);
    origin.listener = { ...IGNORE, onData: drop, onReset: drop, onFin };
    this.#idle.set(origin, this.#now() + keepMs);
    const [oldestThere] = [...this.#idle.keys()].filter(({ target }) => target === origin.target);
    if (this.#count(origin.target) > ORIGINS_IDLE_PER_TARGET && oldestThere !== undefined)
      this.#end(oldestThere);
    const [oldest] = this.#idle.keys();
    if (this.#idle.size > ORIGINS_IDLE && oldest !== undefined) this.#end(oldest);
    this.#arm();
  }

  /** Ends a connection in order: FIN, then the origin's own, for which it has a while. */
  finish(origin: OriginConnection): void {
    if (this.#closed) return origin.reset();
    origin.listener = {
      ...IGNORE,
      onData: () => this.#drop(origin),
      onFin: () => this.#ended(origin),
      onReset: () => void this.#closing.delete(origin),
    };
    this.#closing.set(origin, this.#now() + ORIGIN_CLOSING_MS);
    origin.finish();
    this.#arm();
  }

  /** Ends all of them at once. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const origin of [...this.#idle.keys(), ...this.#closing.keys()]) this.#drop(origin);
  }

  stats(): OriginPoolStats {
    return { kept: this.#idle.size, reused: this.#reused, repeated: this.#repeated };
  }

  #count(target: string): number {
    let count = 0;
    for (const origin of this.#idle.keys()) if (origin.target === target) count += 1;
    return count;
  }

  #end(origin: OriginConnection): void {
    this.#idle.delete(origin);
    this.finish(origin);
  }

  /** Its origin has closed it. */
  #ended(origin: OriginConnection): void {
    this.#idle.delete(origin);
    this.#closing.delete(origin);
    origin.finish();
    origin.release();
  }

  #drop(origin: OriginConnection): void {
    this.#idle.delete(origin);
    this.#closing.delete(origin);
    origin.reset();
  }

  #arm(): void {
    this.#timer ??= setTimeout(() => this.#sweep(), this.#sweepMs);
  }

  #sweep(): void {
    this.#timer = undefined;
    const now = this.#now();
    for (const [origin, until] of [...this.#idle]) if (until <= now) this.#end(origin);
    for (const [origin, until] of [...this.#closing]) if (until <= now) this.#drop(origin);
    if (this.#idle.size + this.#closing.size > 0) this.#arm();
  }
}

/** What may share a connection: the same host, as it was written, and port. */
export function targetOf({ host, port }: Destination): string {
  return `${host.kind === "name" ? host.name.toLowerCase() : formatIp(host.address)} ${port}`;
}

const IGNORE: OriginListener = {
  onResponse: () => {},
  onData: () => {},
  onFin: () => {},
  onReset: () => {},
  onFull: () => {},
  onWritable: () => {},
};
