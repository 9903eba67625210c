import type { Socket } from "bun";
import type { ResetCode } from "../proto/index.ts";
import { Relay } from "../runtime/relay.ts";
import type { TunnelStream } from "../runtime/tunnel-stream.ts";
import type { Keeper } from "./keeper.ts";
import { Patience } from "./patience.ts";
import { HttpExchange } from "./proxy/http-exchange.ts";
import type { OriginPool } from "./proxy/http-pool.ts";
import {
  type ConnectResult,
  type ConnectStep,
  createNegotiation,
  type Negotiation,
  type ProxyCredentials,
} from "./proxy/negotiation.ts";

/** What a request needs of the keeper of the tunnel. */
export type RequestKeeper = Pick<Keeper, "wait" | "open" | "state" | "downMs">;

export interface ProxyOptions {
  readonly keeper: RequestKeeper;
  readonly credentials?: ProxyCredentials;
  /** Say "connected" before the far side is: saves a round trip, costs exact errors. */
  readonly optimistic: boolean;
  /** How long a request waits for a link, in ms. */
  readonly waitMs: number;
  /** Where connections to origins of plain HTTP are kept; without it none is. */
  readonly origins?: OriginPool;
  /** A request is refused because of the application: its protocol, its password. */
  readonly onReject: (reason: string) => void;
}

type ProxySocket = Socket<ProxyConnection | undefined>;

interface Relaying {
  readonly kind: "relaying";
  readonly relay: Relay;
  readonly step: ConnectStep;
}

type Stage =
  | { readonly kind: "negotiating"; readonly negotiation: Negotiation; readonly deadline: Timer }
  | Relaying
  | { readonly kind: "exchanging"; readonly exchange: HttpExchange }
  | { readonly kind: "over" };

type Timer = ReturnType<typeof setTimeout>;

/** An application that has not said in this time where it wants to go never will. */
const NEGOTIATION_DEADLINE_MS = 30_000;
const NOTHING = new Uint8Array(0);
/** How long a refused application may take to read why, before the socket is closed under it. */
const LINGER_MS = 2_000;

/**
 * One connection to the proxy port: reads the request, opens a stream for it, then relays (step 1 of the journey in
 * docs/ARCHITECTURE.md).
 */
export class ProxyConnection {
  readonly #socket: ProxySocket;
  readonly #options: ProxyOptions;
  #stage: Stage;

  constructor(socket: ProxySocket, options: ProxyOptions) {
    this.#socket = socket;
    this.#options = options;
    const { credentials, origins } = options;
    const negotiation = createNegotiation({
      keepOrigins: origins !== undefined,
      ...(credentials === undefined ? {} : { credentials }),
    });
    const deadline = setTimeout(() => this.#closeGently(), NEGOTIATION_DEADLINE_MS);
    this.#stage = { kind: "negotiating", negotiation, deadline };
  }

  /** What the socket's events are for, once the request was read. */
  get #user(): Relay | HttpExchange | undefined {
    if (this.#stage.kind === "relaying") return this.#stage.relay;
    return this.#stage.kind === "exchanging" ? this.#stage.exchange : undefined;
  }

  /** Ms on performance.now() since which a half-closed connection has moved nothing; undefined while both ways are open. */
  get halfClosedSince(): number | undefined {
    return this.#user?.halfClosedSince;
  }

  /** Breaks it, and what it is connected to. */
  abort(code: ResetCode): void {
    this.#user?.abort(code);
  }

  data(bytes: Uint8Array): void {
    switch (this.#stage.kind) {
      case "negotiating":
        return this.#negotiate(this.#stage.negotiation, bytes);
      case "relaying":
        return this.#upload(this.#stage, bytes);
      case "exchanging":
        return this.#stage.exchange.socketData(bytes);
      case "over":
        return;
    }
  }

  drain(): void {
    this.#user?.socketDrain();
  }

  end(): void {
    const user = this.#user;
    if (user === undefined) this.#close();
    else user.socketEnd();
  }

  closed(error?: Error): void {
    if (this.#stage.kind === "negotiating") clearTimeout(this.#stage.deadline);
    this.#user?.socketClose(error);
    this.#stage = { kind: "over" };
  }

  #negotiate(negotiation: Negotiation, bytes: Uint8Array): void {
    const step = negotiation.push(bytes);
    switch (step.kind) {
      case "more":
        if (step.reply.length > 0) this.#socket.write(step.reply);
        return;
      case "reject":
        this.#options.onReject(step.reason);
        return this.#answerAndClose(step.reply);
      case "connect":
        return this.#connect(step);
    }
  }

  #connect(step: ConnectStep): void {
    if (this.#stage.kind === "negotiating") clearTimeout(this.#stage.deadline);
    const { keeper, origins, optimistic, waitMs, onReject } = this.#options;
    const { exchange: terms } = step;
    if (terms !== undefined && origins !== undefined) {
      const options = { keeper, pool: origins, waitMs, onReject };
      const exchange = new HttpExchange(this.#socket, { ...step, exchange: terms }, options);
      this.#stage = { kind: "exchanging", exchange };
      return exchange.start();
    }
    const release = keeper.wait();
    const patience = new Patience(keeper, waitMs, () => this.#giveUp(relay, stream, step));
    const settled = () => {
      release();
      patience.end();
    };
    const relay: Relay = new Relay({
      onResponse: (result) => {
        settled();
        this.#answer(relay, step, result);
      },
      onUnanswered: () => this.#answer(relay, step, "lost"),
      onDone: settled,
    });
    const relaying: Relaying = { kind: "relaying", relay, step };
    this.#stage = relaying;
    relay.connect(this.#socket);
    const stream = keeper.open(step.destination, relay);
    if (stream === undefined)
      return this.#answer(relay, step, keeper.state === "up" ? "overloaded" : "noTunnel");
    relay.join(stream);
    if (optimistic) relay.inject(step.answer("connected"));
    if (step.early.length > 0) relay.socketData(step.early);
    // What arrived with the request may already show that its body is broken.
    this.#upload(relaying, NOTHING);
  }

  #giveUp(relay: Relay, stream: TunnelStream | undefined, step: ConnectStep): void {
    stream?.reset("cancelled");
    this.#answer(relay, step, "noTunnel");
  }

  #answer(relay: Relay, step: ConnectStep, result: ConnectResult): void {
    const { optimistic } = this.#options;
    if (result === "connected") {
      if (!optimistic) relay.inject(step.answer(result));
      return;
    }
    relay.release();
    if (!optimistic) return this.#answerAndClose(step.answer(result));
    this.#stage = { kind: "over" };
    this.#socket.terminate();
  }

  #upload({ relay, step }: Relaying, bytes: Uint8Array): void {
    if (step.upload === undefined) return relay.socketData(bytes);
    const { forward, done, fault } = step.upload.push(bytes);
    if (forward.length > 0) relay.socketData(forward);
    if (fault !== undefined) {
      this.#options.onReject(fault);
      return relay.abort("connection");
    }
    // A second request on this connection: an origin that did not close by itself is told now that none will follow.
    if (done && forward.length < bytes.length) relay.socketEnd();
  }

  #answerAndClose(reply: Uint8Array): void {
    if (reply.length > 0) this.#socket.write(reply);
    this.#closeGently();
  }

  // Closing a socket that has unread input makes the kernel reset it, and the answer is lost before it is read.
  #closeGently(): void {
    this.#stage = { kind: "over" };
    this.#socket.shutdown();
    const linger = setTimeout(() => this.#socket.end(), LINGER_MS);
    linger.unref();
  }

  #close(): void {
    if (this.#stage.kind === "negotiating") clearTimeout(this.#stage.deadline);
    this.#stage = { kind: "over" };
    this.#socket.end();
  }
}
