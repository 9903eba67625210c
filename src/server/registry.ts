import {
  type Frame,
  type HelloFrame,
  type Link,
  type PaddingPolicy,
  type Random,
  type Refusal,
  tunnelKey,
} from "../proto/index.ts";
import type { Carrier } from "../runtime/carrier.ts";
import type { Log } from "../runtime/log.ts";
import type { TunnelDriver } from "../runtime/tunnel-driver.ts";
import { type AdmissionLimits, ClientAccount, type ServerQuotas, serverQuotas } from "./client-account.ts";
import { DetachedLedger } from "./detached-ledger.ts";
import type { DialerSource } from "./dialer.ts";
import type { SparePool } from "./pool.ts";
import { RefusalLog } from "./refusal-log.ts";
import { countTunnels, type RegistryStats, type TunnelCounts } from "./registry-stats.ts";
import { detachedBudgetInAll, poolBytesOf, SERVER_LIMITS, usableMemory } from "./server-limits.ts";
import { TunnelHost } from "./tunnel-host.ts";
import { type Standing, TunnelNames } from "./tunnel-names.ts";

export interface RegistryOptions {
  readonly dialers: DialerSource;
  /** Sockets connected ahead; without it every stream is dialled. */
  readonly pool?: SparePool;
  readonly gateKey: () => Uint8Array;
  readonly random: Random;
  readonly padding: PaddingPolicy;
  readonly log: Log;
  /** How long a tunnel waits for its client's next link. */
  readonly resumeWindowMs: number;
  readonly limits?: AdmissionLimits;
  /** What all detached tunnels together may hold; by default what suits the machine. */
  readonly detachedBytesInAll?: number;
  /** Pools of a new tunnel, each way, by how many its identity has already; by default what suits the machine. */
  readonly poolBytes?: (tunnels: number) => number;
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
  readonly key: string;
  /** The identity's public key, in hex. */
  readonly owner: string;
  readonly account: ClientAccount;
  readonly host: TunnelHost;
  /** While it has no link: since when, and the timer that gives it up. */
  detached: { readonly since: number; readonly timer: ReturnType<typeof setTimeout> } | undefined;
}

/**
 * The tunnels of a server by (client key, hash of the tunnel's secret): one client can neither see nor resume what is
 * another's. A tunnel outlives its links by the resume window, unless its client's detached tunnels hold too much.
 */
export class TunnelRegistry {
  readonly #options: RegistryOptions;
  readonly #limits: AdmissionLimits;
  readonly #names: TunnelNames<Entry>;
  readonly #accounts = new Map<string, ClientAccount>();
  readonly #quotas: ServerQuotas;
  readonly #poolBytes: (tunnels: number) => number;
  readonly #detached: DetachedLedger;
  readonly #refusals: RefusalLog;
  readonly #sweeper: ReturnType<typeof setInterval>;
  #draining = false;

  constructor(options: RegistryOptions) {
    const limits = options.limits ?? SERVER_LIMITS;
    const memoryBytes = usableMemory();
    this.#options = options;
    this.#limits = limits;
    this.#poolBytes = options.poolBytes ?? ((tunnels) => poolBytesOf(tunnels, memoryBytes));
    this.#quotas = serverQuotas(limits);
    this.#names = new TunnelNames({
      remembered: limits.droppedRemembered,
      rememberMs: limits.droppedRememberedMs,
      slots: limits.linksPerTunnel,
    });
    this.#detached = new DetachedLedger({
      perClient: limits.detachedBytesPerClient,
      inAll: options.detachedBytesInAll ?? detachedBudgetInAll(memoryBytes),
    });
    this.#refusals = new RefusalLog(options.log);
    this.#sweeper = setInterval(() => this.#sweep(), limits.sweepMs);
  }

  /** Takes a link into its tunnel, making the tunnel if it is new; or says why not. */
  take(admitted: Admitted): Taken {
    const { link, hello, carrier, rest, clientKey } = admitted;
    const key = tunnelKey(clientKey, hello.tunnel);
    const standing = this.#names.standing(key, hello, performance.now());
    const refusal = this.#refusal(standing, clientKey.toHex(), link.slot);
    if (refusal !== undefined) return refused(refusal);
    const entry = standing.kind === "known" ? standing.tunnel : this.#create(key, admitted);
    this.#awake(entry);
    this.#names.linked(key, link);
    entry.host.accept(link, carrier, hello, standing.kind === "new" ? standing.result : "resumed", rest);
    return { kind: "taken", driver: entry.host.driver };
  }

  /** Why a link cannot be taken, if so. What a client has too many of, it may get room for by what it left behind. */
  #refusal(standing: Standing<Entry>, owner: string, slot: number): Refusal | undefined {
    if (standing.kind === "stale") return "staleLink";
    if (standing.kind === "tooMany") return "tooMany";
    const replaces = standing.kind === "known" && standing.tunnel.host.carries(slot);
    const links = this.#accounts.get(owner)?.links ?? this.#quotas.links;
    if (links.isFull && !replaces) return "tooMany";
    if (standing.kind === "known") return undefined;
    if (this.#draining) return "draining";
    if (!this.#isFull(owner)) return undefined;
    const oldest = this.#detached.oldestOf(owner);
    if (oldest === undefined) return "tooMany";
    this.#drop(oldest, "its client needs room for another tunnel");
    return undefined;
  }

  #isFull(owner: string): boolean {
    const own = this.#accounts.get(owner)?.tunnels.size ?? 0;
    return own >= this.#limits.tunnelsPerClient || this.#names.size >= this.#limits.tunnels;
  }

  #create(key: string, { name, clientKey }: Admitted): Entry {
    const { dialers, pool, gateKey, random, padding, resumeWindowMs, log } = this.#options;
    const owner = clientKey.toHex();
    const account = this.#accounts.get(owner) ?? new ClientAccount(this.#limits, this.#quotas);
    this.#accounts.set(owner, account);
    const host = new TunnelHost({
      name,
      clientKey,
      dialer: (pool ?? dialers).dialerOf(owner),
      gateKey,
      random,
      padding,
      resumeWindowMs,
      poolBytes: this.#poolBytes(account.tunnels.size),
      log,
      refusals: this.#refusals,
      streams: account.streams,
      links: account.links,
      sockets: this.#quotas.sockets,
      onDetached: () => this.#wait(key),
      onFailed: () => this.#drop(key, "a defect"),
    });
    const entry: Entry = { key, owner, account, host, detached: undefined };
    account.tunnels.add(key);
    this.#names.enter(key, entry);
    log.info("tunnel created", { client: name });
    return entry;
  }

  // A tunnel without links keeps its sockets for the resume window. One without streams has nothing to keep, but its
  // client may be about to dial again.
  #wait(key: string): void {
    const entry = this.#names.get(key);
    if (entry === undefined) return;
    this.#awake(entry);
    const { resumeWindowMs } = this.#options;
    const isEmpty = entry.host.driver.stats().streams === 0;
    const windowMs = isEmpty ? Math.min(this.#limits.emptyTunnelMs, resumeWindowMs) : resumeWindowMs;
    const reason = isEmpty ? "its client is gone" : "the resume window has passed";
    entry.detached = {
      since: performance.now(),
      timer: setTimeout(() => this.#drop(key, reason), windowMs),
    };
    for (const over of this.#detached.enter(key, entry.owner, entry.host.keptBytes)) {
      this.#drop(over, "detached tunnels hold too much");
    }
  }

  /** The tunnel waits for nobody: it has a link, or is gone. */
  #awake(entry: Entry): void {
    clearTimeout(entry.detached?.timer);
    entry.detached = undefined;
    this.#detached.leave(entry.key);
  }

  #drop(key: string, reason: string): void {
    const entry = this.#names.get(key);
    if (entry === undefined) return;
    this.#awake(entry);
    this.#names.drop(key, performance.now());
    entry.host.close("lost");
    entry.account.tunnels.delete(key);
    if (entry.account.tunnels.size === 0) {
      this.#accounts.delete(entry.owner);
      this.#options.pool?.forget(entry.owner);
    }
    this.#options.log.info("tunnel ended", { client: entry.host.name, reason });
  }

  /** Cuts off every client that is no longer `welcome`, at once. */
  dropUnless(welcome: (clientKey: Uint8Array) => boolean, reason: string): void {
    for (const [key, { host }] of [...this.#names.entries()])
      if (!welcome(host.clientKey)) this.#drop(key, reason);
  }

  /** Hands every connected client a new gate key; tells which clients these are. */
  sendGateKey(gateKey: Uint8Array): Uint8Array[] {
    const hosts = [...this.#names.values()].map(({ host }) => host).filter(({ attached }) => attached);
    for (const { driver } of hosts) driver.command((tunnel) => tunnel.sendGateKey(gateKey));
    return hosts.map(({ clientKey }) => clientKey);
  }

  /**
   * No new streams or tunnels; resolves when the old streams are done or `deadlineMs` has passed. Clients may resume
   * what they have here. A client that stays away holds the drain up for `drainDetachedMs`, no longer.
   */
  async drain(deadlineMs: number): Promise<void> {
    this.#draining = true;
    this.#options.pool?.close();
    for (const { host } of this.#names.values()) {
      host.draining = true;
      host.driver.command((tunnel) => tunnel.goAway());
    }
    const deadline = performance.now() + deadlineMs;
    while (this.#isBusy(performance.now()) && performance.now() < deadline)
      await Bun.sleep(this.#limits.drainPollMs);
  }

  /** Whether there are streams that a drain should wait for. */
  #isBusy(now: number): boolean {
    for (const { host, detached } of this.#names.values()) {
      const mayReturn = detached === undefined || now - detached.since < this.#limits.drainDetachedMs;
      if (mayReturn && host.driver.stats().streams > 0) return true;
    }
    return false;
  }

  close(): void {
    clearInterval(this.#sweeper);
    this.#options.pool?.close();
    for (const [key] of [...this.#names.entries()]) this.#drop(key, "the server stops");
    this.#refusals.flush();
  }

  #sweep(): void {
    this.#refusals.flush();
    for (const { host } of this.#names.values()) if (host.attached) host.sweep(performance.now());
  }

  /** What a client has open; undefined if nothing. */
  clientStats(clientKey: Uint8Array): TunnelCounts | undefined {
    const account = this.#accounts.get(clientKey.toHex());
    return account === undefined ? undefined : countTunnels(this.#hostsOf(account.tunnels));
  }

  *#hostsOf(keys: Iterable<string>): IterableIterator<TunnelHost> {
    for (const key of keys) {
      const entry = this.#names.get(key);
      if (entry !== undefined) yield entry.host;
    }
  }

  /** Counters of the whole server, for the control socket and tests. */
  stats(): RegistryStats {
    let timers = 0;
    for (const { detached } of this.#names.values()) if (detached !== undefined) timers += 1;
    return {
      ...countTunnels([...this.#names.values()].map(({ host }) => host)),
      sockets: this.#quotas.sockets.used,
      detachedBytes: this.#detached.bytes,
      timers,
      remembered: this.#names.remembered,
    };
  }
}
