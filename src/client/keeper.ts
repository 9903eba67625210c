import {
  type Destination,
  type Identity,
  type Link,
  type PaddingPolicy,
  type Random,
  REFUSALS,
  type Refusal,
  type Successor,
  type Suite,
  Tunnel,
} from "../proto/index.ts";
import { messageOf } from "../runtime/errors.ts";
import type { Log, LogFields } from "../runtime/log.ts";
import { type DriverEvent, TunnelDriver } from "../runtime/tunnel-driver.ts";
import type { StreamListener, TunnelStream } from "../runtime/tunnel-stream.ts";
import { DialLinkError, type DialledLink, dialLink } from "./dial-link.ts";
import { LinkSet } from "./link-set.ts";
import { DIAL_PROBLEMS, type DialOutcome, type LinkShell } from "./link-shell.ts";
import { type Disturbance, NetworkWatch } from "./network-watch.ts";
import { type Race, raceDials } from "./race-dials.ts";
import type { LinkState } from "./slot-keeper.ts";
import type { SlotStatus } from "./slot-status.ts";
import type { KnownServer } from "./store.ts";

/** How a keeper ends by itself. */
export type KeeperEnd =
  | { readonly kind: "refused"; readonly refusal: Refusal }
  | { readonly kind: "wrongServer" }
  | { readonly kind: "failed"; readonly error: Error };

export interface KeeperOptions {
  /** Asked at every dial, because the gate key and the address may change meanwhile. */
  readonly server: () => Omit<KnownServer, "formerKeys" | "linkKey">;
  readonly identity: Identity;
  readonly random: Random;
  readonly padding: PaddingPolicy;
  readonly suites: readonly Suite[];
  readonly ca?: string;
  /** How many links at once, from 1 to `LIMITS.maxLinks`. */
  readonly links: number;
  readonly log: Log;
  /** The server took a link of the tunnel. */
  readonly onAccepted: () => void;
  /** After a sealed Accept: the server goes on with another identity, as its former one has signed. */
  readonly onSuccessor: (successor: Successor) => void;
  readonly onGateKey: (key: Uint8Array) => void;
  readonly onEnd: (end: KeeperEnd) => void;
}

/** From the WebSocket to the client's keys, at most. */
const DIAL_DEADLINE_MS = 10_000;
/** Requests that wait for a link at once; more than a browser's page and less than a flood. */
const MAX_WAITING = 1_024;

/** The client's tunnel: its driver, and the shell in which a LinkSet keeps its links up. */
export class Keeper {
  readonly driver: TunnelDriver;
  readonly #options: KeeperOptions;
  readonly #links: LinkSet<DialledLink>;
  readonly #watch = new NetworkWatch((what) => this.#disturbed(what));
  #stopped = false;
  /** When each slot's link came up or was lost, and when there was a link last: wall clock, for people. */
  readonly #changedAt = new Map<number, number>();
  #lostAt = Date.now();
  /** Since when there is none on which a stream could start, on performance.now(), for waiting. */
  #downSince: number | undefined = performance.now();
  /** By slot: what the link that was offered last was made with, if that is not the pinned identity. */
  readonly #successors = new Map<number, Successor | undefined>();
  lastProblem: string | undefined;

  constructor(options: KeeperOptions) {
    this.#options = options;
    const { random, padding, log } = options;
    this.driver = new TunnelDriver({
      tunnel: new Tunnel({ role: "client", random, padding }),
      log,
      onEvent: (event) => this.#onEvent(event),
      onLinkLost: (link, reason) => this.#lost(link, reason),
      onFailed: (error) => this.#end({ kind: "failed", error }),
    });
    this.#links = new LinkSet(this.#shell(), options.links);
  }

  get state(): LinkState {
    return this.#links.state;
  }

  /** For how long no link has been up on which a stream could start, in ms; 0 while one is. */
  get downMs(): number {
    return this.#downSince === undefined ? 0 : performance.now() - this.#downSince;
  }

  /** When the oldest link came up that is up, or when the last one was lost, ISO 8601. */
  get since(): string {
    const ages = this.#links.slots.filter(({ up }) => up).map(({ slot }) => this.#changedAt.get(slot) ?? 0);
    return wallTime(ages.length === 0 ? this.#lostAt : Math.min(...ages));
  }

  get reconnects(): number {
    return this.#links.slots.reduce((sum, { ups }) => sum + Math.max(ups - 1, 0), 0);
  }

  /** Every slot, whether or not its link is up. */
  slots(): SlotStatus[] {
    return this.#links.slots.map(({ slot, state, ups, lastReason }) => {
      const { streams, rttMs } = this.driver.slotStats(slot);
      const since = this.#changedAt.get(slot);
      return {
        slot,
        state,
        streams,
        reconnects: Math.max(ups - 1, 0),
        ...(since === undefined ? {} : { since: wallTime(since) }),
        ...(since === undefined || state !== "up"
          ? {}
          : { ageSeconds: Math.max(Math.floor((Date.now() - since) / 1000), 0) }),
        ...(rttMs === undefined ? {} : { rttMs: Math.round(rttMs * 100) / 100 }),
        ...(lastReason === undefined ? {} : { lastReason }),
      };
    });
  }

  start(): void {
    this.#watch.start();
    this.#links.start();
  }

  stop(): void {
    this.#stopped = true;
    this.#watch.stop();
    this.#links.stop();
    this.driver.close("closed");
  }

  /** Opens a stream, which waits if there is no link; undefined when too many wait or run. */
  open(destination: Destination, listener: StreamListener): TunnelStream | undefined {
    if (this.#downSince !== undefined && this.#links.waiting > MAX_WAITING) return undefined;
    return this.driver.open(destination, listener);
  }

  /** A request waits for a link: the next attempt comes within a second. Call the result when it waits no more. */
  wait(): () => void {
    return this.#links.wait();
  }

  #shell(): LinkShell<DialledLink> {
    const { random, log } = this.#options;
    return {
      random,
      now: () => performance.now(),
      after: (ms, run) => {
        const timer = setTimeout(run, ms);
        return { cancel: () => clearTimeout(timer) };
      },
      dial: (slot, gen, outcome) => {
        const abort = new AbortController();
        void this.#dial(slot, gen, outcome, abort.signal);
        return () => abort.abort();
      },
      offer: (dialled, secret) => this.#offer(dialled, secret),
      discard: ({ carrier }) => carrier.close(),
      lose: (link, reason) => this.driver.lose(link, reason),
      holdsBytes: () => this.driver.stats().heldBytes > 0,
      onRestarted: () => log.warn("the server has restarted: open streams are lost"),
      onGivenUp: () => {
        log.warn("the server was away for longer than it keeps open streams: they are lost");
        this.driver.command((tunnel) => tunnel.giveUp());
      },
      onUp: (slot) => this.#onUp(slot),
      onDialFailed: (slot, problem, reason) => {
        this.lastProblem = reason;
        const { level, what } = DIAL_PROBLEMS[problem];
        log[level](what, { ...this.#which(slot), reason });
      },
      onDown: (slot, reason) => {
        this.lastProblem = reason;
        this.#onDown(slot);
        log.info("link lost", { ...this.#which(slot), reason });
      },
      onWrongServer: () => this.#end({ kind: "wrongServer" }),
    };
  }

  async #dial(
    slot: number,
    gen: number,
    outcome: DialOutcome<DialledLink>,
    signal: AbortSignal,
  ): Promise<void> {
    const { server, identity, random, padding, suites, ca } = this.#options;
    const trust = ca === undefined ? {} : { ca };
    // All with the same gen: only one of them is ever offered.
    const common = { identity, random, padding, suites, slot, gen, deadlineMs: DIAL_DEADLINE_MS, ...trust };
    const race: Race<DialledLink> = {
      dial: (signal) => dialLink({ ...common, server: server(), signal }),
      isLate: (error) => error instanceof DialLinkError && error.late,
      discard: ({ carrier }) => carrier.close(),
    };
    let dialled: DialledLink;
    try {
      dialled = await raceDials(race, signal);
    } catch (error) {
      const wrongServer = error instanceof DialLinkError && error.wrongServer;
      return outcome.failed({ reason: messageOf(error), wrongServer });
    }
    outcome.dialled(dialled);
  }

  #offer({ link, carrier, successor, listen }: DialledLink, tunnelSecret: Uint8Array): void {
    this.#successors.set(link.slot, successor);
    const { kind, secret, joined } = this.#options.server();
    const join = kind === "invite" && !joined ? secret : undefined;
    this.driver.attach(link, carrier, (tunnel) => tunnel.offer(link, tunnelSecret, join));
    listen(
      (message) => this.driver.receive(link, message),
      (reason) => this.driver.lose(link, reason),
    );
  }

  #onEvent(event: DriverEvent): void {
    switch (event.kind) {
      case "accepted":
        return this.#onAccepted(event.slot, event.resumeWindowMs);
      case "refused":
        return this.#onRefused(event.slot, event.refusal);
      case "gateKey":
        return this.#options.onGateKey(event.key);
      case "suspect":
      case "goAway":
      case "aged":
        this.#options.log.debug("link to be replaced", { ...this.#which(event.slot), reason: event.kind });
        if (event.kind !== "goAway") return this.#links.replace(event.slot);
        this.#links.leave(event.slot);
        return this.#noteLoss();
      default:
        this.#options.log.debug("ignored", { event: event.kind });
    }
  }

  #onAccepted(slot: number, resumeWindowMs: number | undefined): void {
    const successor = this.#successors.get(slot);
    if (successor !== undefined) this.#options.onSuccessor(successor);
    this.#successors.delete(slot);
    this.#links.accepted(slot, resumeWindowMs);
  }

  // Also of a link whose successor has been offered, which is not told as lost: until Accept, nothing can start.
  #lost(link: Link, reason: string): void {
    this.#links.lost(link, reason);
    this.#noteLoss();
  }

  #onUp(slot: number): void {
    const { log, onAccepted } = this.#options;
    this.#changedAt.set(slot, Date.now());
    // The link of a server that drains says so in the same packet.
    queueMicrotask(() => {
      if (this.#links.takesStreams) this.#downSince = undefined;
    });
    log.info("link up", this.#which(slot));
    onAccepted();
  }

  #onDown(slot: number): void {
    this.#changedAt.set(slot, Date.now());
    if (this.state !== "up") this.#lostAt = Date.now();
  }

  #noteLoss(): void {
    if (!this.#links.takesStreams) this.#downSince ??= performance.now();
  }

  /** Names the link in the log, where there are several. */
  #which(slot: number): LogFields {
    return this.#options.links === 1 ? {} : { slot };
  }

  #onRefused(slot: number, refusal: Refusal): void {
    const { sentence, final } = REFUSALS[refusal];
    this.lastProblem = sentence;
    if (final) return this.#end({ kind: "refused", refusal });
    this.#links.refused(slot, refusal);
  }

  #disturbed(what: Disturbance): void {
    this.#options.log.debug("looking whether links still live", { because: what });
    this.driver.command((tunnel, now) => (what === "slept" ? tunnel.woke(now) : tunnel.checkLinks(now)));
    this.#links.startAfresh();
  }

  #end(end: KeeperEnd): void {
    if (this.#stopped) return;
    this.stop();
    this.#options.onEnd(end);
  }
}

const wallTime = (ms: number): string => new Date(ms).toISOString();
