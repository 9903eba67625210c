import type { Socket, SocketHandler } from "bun";
import {
  type AcceptResult,
  type Destination,
  type Frame,
  type HelloFrame,
  LIMITS,
  type Link,
  type PaddingPolicy,
  type Random,
  type ResetCode,
  Tunnel,
} from "../proto/index.ts";
import type { Carrier } from "../runtime/carrier.ts";
import { messageOf } from "../runtime/errors.ts";
import type { Log } from "../runtime/log.ts";
import { Relay } from "../runtime/relay.ts";
import { type DriverEvent, TunnelDriver } from "../runtime/tunnel-driver.ts";
import { DialError, type Dialer } from "./dialer.ts";
import type { Quota } from "./quota.ts";
import type { RefusalLog } from "./refusal-log.ts";

export interface TunnelHostOptions {
  readonly name: string;
  readonly clientKey: Uint8Array;
  readonly dialer: Dialer;
  /** The present gate key: told at every link, because a client may have been away when it was renewed. */
  readonly gateKey: () => Uint8Array;
  readonly random: Random;
  readonly padding: PaddingPolicy;
  /** How long the tunnel is kept without a link: told to its client. */
  readonly resumeWindowMs: number;
  /** What it keeps of uploads and of downloads, at most. */
  readonly poolBytes: number;
  readonly log: Log;
  readonly refusals: RefusalLog;
  /** The streams and links of its client, counted with those of the whole server. */
  readonly streams: Quota;
  readonly links: Quota;
  /** Sockets to destinations that are open, of the whole server. */
  readonly sockets: Quota;
  /** The tunnel has lost its last link and waits for another. */
  readonly onDetached: () => void;
  /** The tunnel has ended by a defect of ours. */
  readonly onFailed: () => void;
}

/** The server's end of one tunnel: connects what the client asks for and relays it (step 8 of the journey in docs/ARCHITECTURE.md). */
export class TunnelHost {
  readonly name: string;
  readonly clientKey: Uint8Array;
  readonly driver: TunnelDriver;
  readonly #dialer: Dialer;
  readonly #gateKey: () => Uint8Array;
  readonly #log: Log;
  readonly #refusals: RefusalLog;
  readonly #quotas: { readonly streams: Quota; readonly links: Quota; readonly sockets: Quota };
  readonly #links = new Set<Link>();
  readonly #relays = new Set<Relay>();
  draining = false;

  constructor(options: TunnelHostOptions) {
    this.name = options.name;
    this.clientKey = options.clientKey;
    this.#dialer = options.dialer;
    this.#gateKey = options.gateKey;
    this.#log = options.log;
    this.#refusals = options.refusals;
    this.#quotas = options;
    const { random, padding, poolBytes, resumeWindowMs, log, onDetached } = options;
    const pools = { poolBytes, sendPoolBytes: poolBytes };
    this.driver = new TunnelDriver({
      tunnel: new Tunnel({ role: "server", random, padding, resumeWindowMs, ...pools }),
      log,
      onEvent: (event) => this.#onEvent(event),
      onLinkLost: (link, reason) => {
        log.info("link lost", { client: options.name, slot: link.slot, reason });
        if (!this.#remove(link) || this.attached) return;
        for (const relay of [...this.#relays]) relay.hold();
        onDetached();
      },
      onFailed: () => {
        for (const relay of [...this.#relays]) relay.abort("lost");
        options.onFailed();
      },
    });
  }

  get attached(): boolean {
    return this.#links.size > 0;
  }

  get linkCount(): number {
    return this.#links.size;
  }

  /** Whether a link of `slot` is here, whose place a newer one would take. */
  carries(slot: number): boolean {
    return [...this.#links].some((link) => link.slot === slot);
  }

  /**
   * Bytes that the tunnel keeps, at most: unacknowledged, and received but not taken by its sockets, of which each
   * stream's first 8 KiB are in no pool.
   */
  get keptBytes(): number {
    const { heldBytes, ourPoolUsed, streams } = this.driver.stats();
    return heldBytes + ourPoolUsed + streams * LIMITS.exemptBytes;
  }

  /** Takes a proven link. The slot's older link, if any, is detached and closed in the same tick. */
  accept(
    link: Link,
    carrier: Carrier,
    hello: HelloFrame,
    result: AcceptResult,
    rest: readonly Frame[],
  ): void {
    const older = [...this.#links].filter(({ slot }) => slot === link.slot);
    // Before the older one goes: the tunnel is never without a link, so its expiry must not begin.
    this.#links.add(link);
    this.#quotas.links.add();
    for (const one of older) this.#replace(one);
    this.driver.attach(link, carrier, (tunnel, now) => {
      tunnel.accept(link, hello, result, rest, now);
      tunnel.sendGateKey(this.#gateKey());
    });
    if (this.attached) for (const relay of [...this.#relays]) relay.go();
  }

  #replace(older: Link): void {
    this.#remove(older);
    this.driver.lose(older, "replaced by a newer link");
  }

  /** False for a link that was replaced before. */
  #remove(link: Link): boolean {
    if (!this.#links.delete(link)) return false;
    this.#quotas.links.remove();
    return true;
  }

  /** Breaks every stream and closes every link: expiry, revocation, end of the drain. */
  close(code: ResetCode): void {
    for (const relay of [...this.#relays]) relay.abort(code);
    this.driver.close(code);
    // After a defect the driver has none to tell of.
    for (const link of [...this.#links]) this.#remove(link);
  }

  /** Ends half-closed streams in which nothing has moved for ten minutes. */
  sweep(now: number): void {
    for (const relay of [...this.#relays]) {
      const since = relay.halfClosedSince;
      if (since !== undefined && now - since > LIMITS.halfClosedIdleMs) relay.abort("idle");
    }
  }

  #onEvent(event: DriverEvent): void {
    switch (event.kind) {
      case "connect":
        return this.#connect(event.stream, event.destination);
      case "suspect":
        // The client dials; the server has nobody to call.
        return;
      default:
        this.#log.debug("ignored", { event: event.kind });
    }
  }

  #connect(id: number, destination: Destination): void {
    const { streams, sockets } = this.#quotas;
    const dial = new AbortController();
    const relay: Relay = new Relay({
      onAbandoned: () => dial.abort(),
      onDone: () => {
        if (this.#relays.delete(relay)) streams.remove();
      },
    });
    const refuse = this.draining || streams.isFull;
    this.#relays.add(relay);
    streams.add();
    const stream = this.driver.listen(id, relay);
    relay.join(stream);
    if (refuse) {
      stream.respond("overloaded");
      return relay.release();
    }
    const setup = { handlers: relayHandlers, data: { relay, sockets } };
    this.#dialer.dial(destination, setup, dial.signal).then(
      (socket) => {
        if (relay.done) return socket.terminate();
        stream.respond("connected");
        relay.connect(socket);
        if (this.attached) socket.resume();
        else relay.hold();
      },
      (error: unknown) => {
        if (relay.done) return;
        const failure = error instanceof DialError ? error.failure : "general";
        const rule = error instanceof DialError ? error.rule : undefined;
        this.#log.debug("dial failed", { client: this.name, failure, reason: messageOf(error) });
        if (rule !== undefined) this.#refusals.refused(this.name, rule, messageOf(error));
        stream.respond(failure);
        relay.release();
      },
    );
  }
}

interface RelayHolder {
  readonly relay: Relay;
  readonly sockets: Quota;
}

/** Handlers of every socket to a destination. */
const relayHandlers: SocketHandler<RelayHolder> = {
  binaryType: "uint8array",
  open: (socket) => {
    socket.data.sockets.add();
    pauseUntilJoined(socket);
  },
  data: ({ data }, bytes) => data.relay.socketData(bytes),
  drain: ({ data }) => data.relay.socketDrain(),
  end: ({ data }) => data.relay.socketEnd(),
  close: ({ data }, error) => {
    data.sockets.remove();
    data.relay.socketClose(error ?? undefined);
  },
  error: ({ data }) => data.relay.socketClose(new Error("socket error")),
};

// A server that speaks first must not be heard before its stream has its answer.
function pauseUntilJoined(socket: Socket<RelayHolder>): void {
  socket.pause();
}
