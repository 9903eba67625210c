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
import { messageOf } from "../runtime/errors.ts";
import type { Log } from "../runtime/log.ts";
import { Relay } from "../runtime/relay.ts";
import { type Carrier, type DriverEvent, TunnelDriver } from "../runtime/tunnel-driver.ts";
import { DialError, type Dialer } from "./dialer.ts";

export interface TunnelHostOptions {
  readonly name: string;
  readonly clientKey: Uint8Array;
  readonly dialer: Dialer;
  /** The present gate key: told at every link, because a client may have been away when it was renewed. */
  readonly gateKey: () => Uint8Array;
  readonly random: Random;
  readonly padding: PaddingPolicy;
  readonly log: Log;
  /** The tunnel has lost its last link and waits for another. */
  readonly onDetached: () => void;
  /** The tunnel has ended by a defect of ours. */
  readonly onFailed: () => void;
}

/** The server's end of one tunnel: connects what the client asks for and relays it (step 5 of the journey). */
export class TunnelHost {
  readonly name: string;
  readonly clientKey: Uint8Array;
  readonly driver: TunnelDriver;
  readonly #dialer: Dialer;
  readonly #gateKey: () => Uint8Array;
  readonly #log: Log;
  /** The highest gen of each slot: a dial that comes late changes nothing. */
  readonly #gens = new Map<number, number>();
  readonly #links = new Set<Link>();
  readonly #relays = new Set<Relay>();
  draining = false;

  constructor(options: TunnelHostOptions) {
    this.name = options.name;
    this.clientKey = options.clientKey;
    this.#dialer = options.dialer;
    this.#gateKey = options.gateKey;
    this.#log = options.log;
    const { random, padding, log, onDetached } = options;
    this.driver = new TunnelDriver({
      tunnel: new Tunnel({ role: "server", random, padding }),
      log,
      onEvent: (event) => this.#onEvent(event),
      onLinkLost: (link, reason) => {
        this.#links.delete(link);
        log.info("link lost", { client: options.name, slot: link.slot, reason });
        if (this.#links.size === 0) onDetached();
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

  /** True when `gen` is newer than every link of `slot` before. */
  isNewer(slot: number, gen: number): boolean {
    return gen > (this.#gens.get(slot) ?? -1);
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
    this.#gens.set(link.slot, link.gen);
    // Before the older one goes: the tunnel is never without a link, so its expiry must not begin.
    this.#links.add(link);
    for (const one of older) this.#replace(one);
    this.driver.attach(link, carrier, (tunnel, now) => {
      tunnel.accept(link, hello, result, rest, now);
      tunnel.sendGateKey(this.#gateKey());
    });
  }

  #replace(older: Link): void {
    this.#links.delete(older);
    this.driver.lose(older, "replaced by a newer link");
  }

  /** Breaks every stream and closes every link: expiry, revocation, end of the drain. */
  close(code: ResetCode): void {
    for (const relay of [...this.#relays]) relay.abort(code);
    this.driver.close(code);
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
    const dial = new AbortController();
    const relay: Relay = new Relay({
      onAbandoned: () => dial.abort(),
      onDone: () => this.#relays.delete(relay),
    });
    this.#relays.add(relay);
    const stream = this.driver.listen(id, relay);
    relay.join(stream);
    if (this.draining) {
      stream.respond("overloaded");
      return relay.release();
    }
    this.#dialer.dial(destination, { handlers: relayHandlers, data: { relay } }, dial.signal).then(
      (socket) => {
        if (relay.done) return socket.terminate();
        stream.respond("connected");
        relay.connect(socket);
        socket.resume();
      },
      (error: unknown) => {
        if (relay.done) return;
        const failure = error instanceof DialError ? error.failure : "general";
        this.#log.debug("dial failed", { client: this.name, failure, reason: messageOf(error) });
        stream.respond(failure);
        relay.release();
      },
    );
  }
}

interface RelayHolder {
  readonly relay: Relay;
}

/** Handlers of every socket to a destination. */
const relayHandlers: SocketHandler<RelayHolder> = {
  binaryType: "uint8array",
  open: (socket) => pauseUntilJoined(socket),
  data: ({ data }, bytes) => data.relay.socketData(bytes),
  drain: ({ data }) => data.relay.socketDrain(),
  end: ({ data }) => data.relay.socketEnd(),
  close: ({ data }, error) => data.relay.socketClose(error ?? undefined),
  error: ({ data }) => data.relay.socketClose(new Error("socket error")),
};

// A server that speaks first must not be heard before its stream has its answer.
function pauseUntilJoined(socket: Socket<RelayHolder>): void {
  socket.pause();
}
