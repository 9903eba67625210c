import type { Socket } from "bun";
import type { Destination } from "../proto/index.ts";
import { formatIp } from "../runtime/address.ts";
import type { Log } from "../runtime/log.ts";
import type { Dialer, DialerSource, SocketSetup } from "./dialer.ts";
import { POOL_LIMITS } from "./limits.ts";
import type { DestinationPolicy } from "./policy.ts";
import { openQuietCheck, type QuietCheck } from "./pool-quiet.ts";
import { Spare } from "./pool-spare.ts";

/** Sockets connected ahead, of the whole server. */
export type PoolStats = {
  /** Held or being connected now; zero soon after the last request. */
  readonly spares: number;
  /** How many ever stood; of these so many were used, and so many closed unused. */
  readonly made: number;
  readonly used: number;
  readonly unused: number;
};

export type PoolLimits = { readonly [K in keyof typeof POOL_LIMITS]: number };

export interface PoolOptions {
  /** How sockets are made, ahead or not. */
  readonly dialers: DialerSource;
  readonly policy: Pick<DestinationPolicy, "decide">;
  readonly log: Log;
  readonly limits?: PoolLimits;
  readonly isQuiet?: QuietCheck;
  /** Monotonic, in ms. */
  readonly now?: () => number;
}

/** Services in which the client speaks first. Elsewhere a banner might come, and a socket ahead would be for nothing. */
const PORTS: ReadonlySet<number> = new Set([80, 443]);

/**
 * Sockets connected ahead of need: who asks for the same host and port twice within seconds is likely to ask again, and
 * then has his connection without the far round trip.
 *
 * A spare belongs to the client that asked, and serves one stream. Before it is handed out the policy judges the
 * address that it is connected to, and the kernel is asked whether anything has arrived on it. The name is not looked
 * up again: it was when the spare was made, no longer ago than its greatest age.
 */
export class SparePool implements DialerSource {
  readonly #options: Required<PoolOptions>;
  readonly #clients = new Map<string, ClientDemand>();
  /** Oldest first. */
  readonly #spares = new Set<Spare>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  #made = 0;
  #used = 0;
  #unused = 0;

  constructor(options: PoolOptions) {
    const defaults = { limits: POOL_LIMITS, now: () => performance.now() };
    this.#options = { ...defaults, ...options, isQuiet: options.isQuiet ?? openQuietCheck() };
  }

  /** The dialer of one client identity, with spares of its own. */
  dialerOf(owner: string): Dialer {
    const dialer = this.#options.dialers.dialerOf(owner);
    return {
      dial: (destination, setup, signal) => {
        const isFor = !this.#closed && !signal.aborted && PORTS.has(destination.port);
        if (!isFor) return dialer.dial(destination, setup, signal);
        return this.#dial(this.#clientOf(owner, dialer), destination, setup, signal);
      },
    };
  }

  /** The client has no tunnel any more: so it has no spares. */
  forget(owner: string): void {
    this.#clients.delete(owner);
    for (const spare of [...this.#spares]) if (spare.owner === owner) spare.discard();
  }

  /** Closes every spare and makes no more; dialers go on without. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#clients.clear();
    for (const spare of [...this.#spares]) spare.discard();
  }

  stats(): PoolStats {
    return { spares: this.#spares.size, made: this.#made, used: this.#used, unused: this.#unused };
  }

  async #dial<T>(
    client: ClientDemand,
    destination: Destination,
    setup: SocketSetup<T>,
    signal: AbortSignal,
  ): Promise<Socket<T>> {
    const target = targetOf(destination);
    const isRepeated = client.asked(target, this.#options.now());
    const ahead = this.#take(client.owner, target, destination.port, setup);
    const socket = ahead ?? (await client.dialer.dial(destination, setup, signal));
    if (isRepeated) this.#refill(client, target, destination);
    return socket;
  }

  #clientOf(owner: string, dialer: Dialer): ClientDemand {
    const known = this.#clients.get(owner);
    if (known !== undefined) return known;
    const client = new ClientDemand(owner, dialer, this.#options.limits);
    this.#clients.set(owner, client);
    return client;
  }

  /** The youngest spare that still serves: it has had the least time to be closed by its peer. */
  #take<T>(owner: string, target: string, port: number, setup: SocketSetup<T>): Socket<T> | undefined {
    for (const spare of [...this.#spares].reverse()) {
      if (spare.owner !== owner || spare.target !== target || spare.ready === undefined) continue;
      const doubt = this.#doubt(spare, port);
      if (doubt !== undefined) {
        spare.discard(doubt);
        continue;
      }
      const socket = spare.handOver(setup);
      if (socket === undefined) continue;
      this.#spares.delete(spare);
      this.#used += 1;
      return socket;
    }
    return undefined;
  }

  /** What speaks against handing it out: our own rules, or what its peer has done. */
  #doubt({ ready }: Spare, port: number): "closed" | "spoilt" | undefined {
    const { policy, isQuiet, limits, now, log } = this.#options;
    if (ready === undefined || now() - ready.at > limits.maxAgeMs) return "closed";
    if (!isQuiet(ready.socket)) return "spoilt";
    const { permitted, rule } = policy.decide(ready.address, port);
    if (permitted) return undefined;
    log.debug("spare denied by policy", { address: formatIp(ready.address), rule });
    return "closed";
  }

  #refill(client: ClientDemand, target: string, destination: Destination): void {
    const { limits, now } = this.#options;
    // While the dial was under way the pool may have closed, or the client gone.
    if (this.#closed || this.#clients.get(client.owner) !== client) return;
    let held = 0;
    for (const spare of this.#spares) if (spare.owner === client.owner && spare.target === target) held += 1;
    for (; held < limits.perTarget; held += 1) {
      if (this.#spares.size >= limits.inAll) [...this.#spares][0]?.discard();
      const spare = new Spare({
        owner: client.owner,
        target,
        now,
        onReady: () => {
          this.#made += 1;
        },
        onOver: (over, fate) => {
          this.#spares.delete(over);
          if (fate !== "failed") this.#unused += 1;
          if (fate === "spoilt") client.distrust(target, now());
        },
      });
      this.#spares.add(spare);
      spare.connect(client.dialer, destination);
    }
    this.#timer ??= setTimeout(() => this.#sweep(), limits.sweepMs);
  }

  #sweep(): void {
    const { limits, now } = this.#options;
    for (const spare of [...this.#spares])
      if (spare.ready !== undefined && now() - spare.ready.at > limits.maxAgeMs) spare.discard();
    this.#timer = this.#spares.size === 0 ? undefined : setTimeout(() => this.#sweep(), limits.sweepMs);
  }
}

type DemandLimits = Pick<PoolLimits, "repeatMs" | "targetsPerClient" | "distrustMs">;

/** What one client has asked for of late. */
class ClientDemand {
  readonly owner: string;
  readonly dialer: Dialer;
  readonly #limits: DemandLimits;
  /** When each target was asked for last, and until when nothing is connected ahead to it; the longest ago first. */
  readonly #targets = new Map<string, { askedAt: number; distrustedUntil: number }>();

  constructor(owner: string, dialer: Dialer, limits: DemandLimits) {
    this.owner = owner;
    this.dialer = dialer;
    this.#limits = limits;
  }

  /** Notes a request, and tells whether to connect ahead: one for the same target came shortly before. */
  asked(target: string, now: number): boolean {
    const { askedAt, distrustedUntil } = this.#targets.get(target) ?? {
      askedAt: Number.NEGATIVE_INFINITY,
      distrustedUntil: now,
    };
    this.#targets.delete(target);
    this.#targets.set(target, { askedAt: now, distrustedUntil });
    const [oldest] = this.#targets.keys();
    if (this.#targets.size > this.#limits.targetsPerClient && oldest !== undefined)
      this.#targets.delete(oldest);
    return now - askedAt <= this.#limits.repeatMs && now >= distrustedUntil;
  }

  /** A spare for the target was spoilt by its peer, which would do so again. */
  distrust(target: string, now: number): void {
    const known = this.#targets.get(target);
    if (known !== undefined) known.distrustedUntil = now + this.#limits.distrustMs;
  }
}

function targetOf({ host, port }: Destination): string {
  return `${host.kind === "name" ? host.name : formatIp(host.address)} ${port}`;
}
