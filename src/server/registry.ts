import {
  type AcceptResult,
  equalBytes,
  type Frame,
  type HelloFrame,
  type Link,
  type PaddingPolicy,
  type Random,
  type Refusal,
  tunnelKey,
} from "../proto/index.ts";
import type { Log } from "../runtime/log.ts";
import type { Carrier, TunnelDriver } from "../runtime/tunnel-driver.ts";
import type { Dialer } from "./dialer.ts";
import { SERVER_LIMITS } from "./server-limits.ts";
import { TunnelHost } from "./tunnel-host.ts";

export interface RegistryOptions {
  readonly dialer: Dialer;
  readonly gateKey: () => Uint8Array;
  readonly random: Random;
  readonly padding: PaddingPolicy;
  readonly log: Log;
  /** How long a tunnel waits for its client's next link. */
  readonly resumeWindowMs: number;
}

/** A link whose client is proven and admitted. */
export interface Admitted {
  readonly name: string;
  readonly clientKey: Uint8Array;
  readonly link: Link;
  readonly carrier: Carrier;
  readonly hello: HelloFrame;
  readonly rest: readonly Frame[];
}

export type Taken =
  | { readonly kind: "taken"; readonly driver: TunnelDriver }
  | { readonly kind: "refused"; readonly refusal: Refusal };

function refused(refusal: Refusal): Taken {
  return { kind: "refused", refusal };
}

interface Entry {
  readonly host: TunnelHost;
  expiry: ReturnType<typeof setTimeout> | undefined;
}

/**
 * The tunnels of a server by (client key, hash of the tunnel's secret): one client can neither see nor resume what is
 * another's. A tunnel outlives its links by the resume window.
 */
export class TunnelRegistry {
  readonly #options: RegistryOptions;
  readonly #tunnels = new Map<string, Entry>();
  /** Tunnels that were given up: their clients must not take a new one for them and repeat requests. */
  readonly #dropped = new Set<string>();
  readonly #sweeper: ReturnType<typeof setInterval>;
  #draining = false;

  constructor(options: RegistryOptions) {
    this.#options = options;
    this.#sweeper = setInterval(() => this.#sweep(), SERVER_LIMITS.sweepMs);
  }

  /** Takes a link into its tunnel, making the tunnel if it is new; or says why not. */
  take(admitted: Admitted): Taken {
    const { link, hello, carrier, rest, clientKey } = admitted;
    const key = tunnelKey(clientKey, hello.tunnel);
    const known = this.#tunnels.get(key);
    if (this.#draining && known === undefined) return refused("draining");
    if (known === undefined && this.#countOf(clientKey) >= SERVER_LIMITS.tunnelsPerClient)
      return refused("tooMany");
    if (known !== undefined && !known.host.isNewer(link.slot, link.gen)) return refused("staleLink");
    const entry = known ?? this.#create(key, admitted);
    clearTimeout(entry.expiry);
    entry.host.accept(link, carrier, hello, this.#result(key, known !== undefined), rest);
    return { kind: "taken", driver: entry.host.driver };
  }

  #result(key: string, known: boolean): AcceptResult {
    if (known) return "resumed";
    return this.#dropped.delete(key) ? "dropped" : "created";
  }

  #create(key: string, { name, clientKey }: Admitted): Entry {
    const { dialer, gateKey, random, padding, log } = this.#options;
    const onDetached = () => this.#wait(key);
    const onFailed = () => this.#drop(key, "a defect");
    const host = new TunnelHost({
      name,
      clientKey,
      dialer,
      gateKey,
      random,
      padding,
      log,
      onDetached,
      onFailed,
    });
    const entry: Entry = { host, expiry: undefined };
    this.#tunnels.set(key, entry);
    log.info("tunnel created", { client: name });
    return entry;
  }

  // A tunnel without links keeps its sockets for the resume window. One without streams has nothing to keep, but its
  // client may be about to dial again.
  #wait(key: string): void {
    const entry = this.#tunnels.get(key);
    if (entry === undefined) return;
    clearTimeout(entry.expiry);
    if (entry.host.driver.stats().streams === 0) {
      entry.expiry = setTimeout(
        () => this.#remove(key, entry, "its client is gone"),
        SERVER_LIMITS.emptyTunnelMs,
      );
      return;
    }
    entry.expiry = setTimeout(
      () => this.#drop(key, "the resume window has passed"),
      this.#options.resumeWindowMs,
    );
  }

  #drop(key: string, reason: string): void {
    const entry = this.#tunnels.get(key);
    if (entry === undefined) return;
    this.#remove(key, entry, reason);
    this.#dropped.add(key);
    const [oldest] = this.#dropped;
    if (oldest !== undefined && this.#dropped.size > SERVER_LIMITS.droppedRemembered)
      this.#dropped.delete(oldest);
  }

  #remove(key: string, entry: Entry, reason: string): void {
    this.#tunnels.delete(key);
    clearTimeout(entry.expiry);
    entry.host.close("lost");
    this.#options.log.info("tunnel ended", { client: entry.host.name, reason });
  }

  /** Cuts off every client that is no longer `welcome`, at once. */
  dropUnless(welcome: (clientKey: Uint8Array) => boolean, reason: string): void {
    for (const [key, { host }] of [...this.#tunnels]) if (!welcome(host.clientKey)) this.#drop(key, reason);
  }

  /** Hands every connected client a new gate key. */
  sendGateKey(gateKey: Uint8Array): void {
    for (const { host } of this.#tunnels.values()) {
      host.driver.command((tunnel) => tunnel.sendGateKey(gateKey));
    }
  }

  /** No new streams or tunnels; resolves when the old streams are done or `deadlineMs` has passed. */
  async drain(deadlineMs: number): Promise<void> {
    this.#draining = true;
    for (const { host } of this.#tunnels.values()) {
      host.draining = true;
      host.driver.command((tunnel) => tunnel.goAway());
    }
    const deadline = performance.now() + deadlineMs;
    while (this.stats().streams > 0 && performance.now() < deadline)
      await Bun.sleep(SERVER_LIMITS.drainPollMs);
  }

  close(): void {
    clearInterval(this.#sweeper);
    for (const key of [...this.#tunnels.keys()]) this.#drop(key, "the server stops");
  }

  #countOf(clientKey: Uint8Array): number {
    let count = 0;
    for (const { host } of this.#tunnels.values()) if (equalBytes(host.clientKey, clientKey)) count += 1;
    return count;
  }

  #sweep(): void {
    for (const { host } of this.#tunnels.values()) host.sweep(performance.now());
  }

  /** Counters of the whole server, for the control socket and tests. Bytes where not said otherwise. */
  stats(): RegistryStats {
    const sum = {
      tunnels: this.#tunnels.size,
      attached: 0,
      streams: 0,
      heldBytes: 0,
      pooledBytes: 0,
      bytesIn: 0,
      bytesOut: 0,
    };
    for (const { host } of this.#tunnels.values()) {
      const stats = host.driver.stats();
      if (host.attached) sum.attached += 1;
      sum.streams += stats.streams;
      sum.heldBytes += stats.heldBytes;
      sum.pooledBytes += stats.ourPoolUsed;
      sum.bytesIn += host.driver.bytesIn;
      sum.bytesOut += host.driver.bytesOut;
    }
    return sum;
  }
}

export type RegistryStats = {
  readonly tunnels: number;
  readonly attached: number;
  readonly streams: number;
  readonly heldBytes: number;
  readonly pooledBytes: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
};
