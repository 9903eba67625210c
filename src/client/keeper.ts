import {
  type Destination,
  equalBytes,
  type Identity,
  type Link,
  type PaddingPolicy,
  type Random,
  REFUSALS,
  type Refusal,
  type Suite,
  Tunnel,
} from "../proto/index.ts";
import { messageOf } from "../runtime/errors.ts";
import type { Log } from "../runtime/log.ts";
import { type DriverEvent, type StreamListener, TunnelDriver } from "../runtime/tunnel-driver.ts";
import type { TunnelStream } from "../runtime/tunnel-stream.ts";
import { Backoff } from "./backoff.ts";
import { DialLinkError, type DialledLink, dialLink } from "./dial-link.ts";
import type { KnownServer } from "./store.ts";

/** How a keeper ends by itself. */
export type KeeperEnd =
  | { readonly kind: "refused"; readonly refusal: Refusal }
  | { readonly kind: "wrongServer" }
  | { readonly kind: "failed"; readonly error: Error };

export interface KeeperOptions {
  /** Asked at every dial, because the gate key and the address may change meanwhile. */
  readonly server: () => KnownServer;
  readonly identity: Identity;
  readonly random: Random;
  readonly padding: PaddingPolicy;
  readonly suites: readonly Suite[];
  readonly ca?: string;
  readonly log: Log;
  /** The server took the tunnel's link. */
  readonly onAccepted: () => void;
  readonly onGateKey: (key: Uint8Array) => void;
  readonly onEnd: (end: KeeperEnd) => void;
}

export type LinkState = "up" | "connecting" | "down";

/** From the WebSocket to the server's Accept, at most. */
const DIAL_DEADLINE_MS = 10_000;
/** Requests that wait for a link at once; more than a browser's page and less than a flood. */
const MAX_WAITING = 1_024;
const SLOT = 0;

/** Keeps one link of the tunnel up: dials, offers, and dials again when it is lost. */
export class Keeper {
  readonly driver: TunnelDriver;
  readonly #options: KeeperOptions;
  readonly #backoff: Backoff;
  #secret: Uint8Array;
  #boot: Uint8Array | undefined;
  #gen = 0;
  #current: Link | undefined;
  #offered: Link | undefined;
  #dialling = false;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #retryAt = 0;
  #acceptDeadline: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;
  #everAccepted = false;
  /** Requests that wait for the link. */
  #waiting = 0;
  linkSince = Date.now();
  links = 0;
  lastProblem: string | undefined;

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.random);
    this.#secret = options.random(32);
    const { random, padding, log } = options;
    this.driver = new TunnelDriver({
      tunnel: new Tunnel({ role: "client", random, padding }),
      log,
      onEvent: (event) => this.#onEvent(event),
      onLinkLost: (link, reason) => this.#onLost(link, reason),
      onFailed: (error) => this.#end({ kind: "failed", error }),
    });
  }

  get state(): LinkState {
    if (this.#current !== undefined) return "up";
    return this.#dialling || this.#offered !== undefined ? "connecting" : "down";
  }

  start(): void {
    this.#schedule();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#retry);
    clearTimeout(this.#acceptDeadline);
    this.driver.close("closed");
  }

  /** Opens a stream, which waits if there is no link; undefined when too many wait or run. */
  open(destination: Destination, listener: StreamListener): TunnelStream | undefined {
    if (this.#current === undefined && this.#waiting > MAX_WAITING) return undefined;
    return this.driver.open(destination, listener);
  }

  /** A request waits for the link: the next attempt comes within a second. Call the result when it waits no more. */
  wait(): () => void {
    this.#waiting += 1;
    if (this.#retry !== undefined && this.#retryAt - performance.now() > 1_000) this.#schedule();
    let waiting = true;
    return () => {
      if (waiting) this.#waiting -= 1;
      waiting = false;
    };
  }

  #schedule(): void {
    if (this.#stopped || this.#dialling) return;
    clearTimeout(this.#retry);
    const delayMs = this.#backoff.next(this.#waiting > 0);
    this.#retryAt = performance.now() + delayMs;
    this.#retry = setTimeout(() => void this.#dial(), delayMs);
  }

  async #dial(): Promise<void> {
    this.#retry = undefined;
    this.#dialling = true;
    const { identity, random, padding, suites, ca, log } = this.#options;
    try {
      const dialled = await dialLink({
        server: this.#options.server(),
        identity,
        random,
        padding,
        suites,
        slot: SLOT,
        gen: this.#gen++,
        deadlineMs: DIAL_DEADLINE_MS,
        ...(ca === undefined ? {} : { ca }),
      });
      this.#dialling = false;
      if (this.#stopped) return dialled.carrier.close();
      this.#offer(dialled);
    } catch (error) {
      this.#dialling = false;
      this.lastProblem = messageOf(error);
      log.info("server not reached", { reason: this.lastProblem });
      if (error instanceof DialLinkError && error.wrongServer && !this.#everAccepted)
        this.#end({ kind: "wrongServer" });
      else this.#schedule();
    }
  }

  #offer({ link, carrier, boot, listen }: DialledLink): void {
    const { server, log } = this.#options;
    if (this.#boot !== undefined && !equalBytes(this.#boot, boot)) {
      log.warn("the server has restarted: open streams are lost");
      this.driver.command((tunnel) => tunnel.breakStarted());
      this.#secret = this.#options.random(32);
    }
    this.#boot = boot;
    this.#offered = link;
    const { kind, secret, joined } = server();
    const join = kind === "invite" && !joined ? secret : undefined;
    this.#acceptDeadline = setTimeout(() => this.driver.lose(link, "no Accept in time"), DIAL_DEADLINE_MS);
    this.driver.attach(link, carrier, (tunnel) => tunnel.offer(link, this.#secret, join));
    listen(
      (message) => this.driver.receive(link, message),
      (reason) => this.driver.lose(link, reason),
    );
  }

  #onEvent(event: DriverEvent): void {
    switch (event.kind) {
      case "accepted":
        return this.#onAccepted();
      case "refused":
        return this.#onRefused(event.refusal);
      case "gateKey":
        return this.#options.onGateKey(event.key);
      case "suspect":
      case "goAway":
        // A second link is dialled beside this one; the server fences the old one off when the new one arrives.
        if (this.#offered === undefined) this.#schedule();
        return;
      default:
        this.#options.log.debug("ignored", { event: event.kind });
    }
  }

  #onAccepted(): void {
    clearTimeout(this.#acceptDeadline);
    const old = this.#current;
    this.#current = this.#offered;
    this.#offered = undefined;
    if (old !== undefined) this.driver.lose(old, "replaced by a newer link");
    this.#backoff.reset();
    this.#everAccepted = true;
    this.links += 1;
    this.linkSince = Date.now();
    this.#options.log.info("link up");
    this.#options.onAccepted();
  }

  #onRefused(refusal: Refusal): void {
    this.lastProblem = REFUSALS[refusal].sentence;
    if (REFUSALS[refusal].final) this.#end({ kind: "refused", refusal });
    else this.#options.log.warn("refused for now", { reason: this.lastProblem });
  }

  #onLost(link: Link, reason: string): void {
    if (link === this.#offered) {
      clearTimeout(this.#acceptDeadline);
      this.#offered = undefined;
      this.lastProblem = reason;
    } else if (link === this.#current) {
      this.#current = undefined;
      this.linkSince = Date.now();
      this.lastProblem = reason;
    } else return;
    if (this.#stopped) return;
    this.#options.log.info("link lost", { reason });
    if (this.#offered === undefined && this.#current === undefined) this.#schedule();
  }

  #end(end: KeeperEnd): void {
    this.stop();
    this.#options.onEnd(end);
  }
}
