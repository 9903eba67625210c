import type { ResetCode } from "../proto/index.ts";
import { Relay, type RelaySocket } from "../runtime/relay.ts";
import type { TunnelStream } from "../runtime/tunnel-stream.ts";
import { Farewell } from "./farewell.ts";
import type { Keeper } from "./keeper.ts";
import { Patience } from "./patience.ts";
import { EMPTY } from "./proxy/bytes.ts";
import { type ExchangeStep, HttpExchange } from "./proxy/http-exchange.ts";
import type { OriginPool } from "./proxy/http-pool.ts";
import { APPLICATION_IDLE_MS } from "./proxy/limits.ts";
import {
  type ConnectResult,
  type ConnectStep,
  createLaterNegotiation,
  createNegotiation,
  type Negotiation,
  type NegotiationOptions,
  type ProxyCredentials,
} from "./proxy/negotiation.ts";

/** What a request needs of the keeper of the tunnel. */
export type RequestKeeper = Pick<Keeper, "wait" | "open" | "state" | "downMs">;

export interface ProxyOptions {
  readonly keeper: RequestKeeper;
  readonly credentials?: ProxyCredentials;
  /** Say "connected" before the far side is: saves a round trip, costs exact errors. Plain HTTP has no such word. */
  readonly optimistic: boolean;
  /** How long a request waits for a link, in ms. */
  readonly waitMs: number;
  /** Connections to origins of plain HTTP. */
  readonly origins: OriginPool;
  /** How long a connection that has served a plain HTTP request waits for the next, in ms. */
  readonly idleMs?: number;
  /** A request is refused because of the application: its protocol, its password. */
  readonly onReject: (reason: string) => void;
}

type Timer = ReturnType<typeof setTimeout>;

type Stage =
  /** `idle`: a request was served, and of the next nothing has come. */
  | {
      readonly kind: "negotiating";
      readonly negotiation: Negotiation;
      readonly idle: boolean;
      readonly deadline: Timer;
    }
  | { readonly kind: "relaying"; readonly relay: Relay }
  | { readonly kind: "exchanging"; readonly exchange: HttpExchange }
  | { readonly kind: "leaving"; readonly farewell: Farewell }
  | { readonly kind: "over" };

const OVER = { kind: "over" } as const;
/** An application that has not said in this time where it wants to go never will. */
const NEGOTIATION_DEADLINE_MS = 30_000;

/**
 * One connection to the proxy port (step 1 of the journey in docs/ARCHITECTURE.md): reads a request, opens a stream for
 * it, and relays. A plain HTTP request is an exchange, after which the next request may be read.
 */
export class ProxyConnection {
  readonly #socket: RelaySocket;
  readonly #options: ProxyOptions;
  readonly #terms: NegotiationOptions;
  #stage: Stage = OVER;

  constructor(socket: RelaySocket, options: ProxyOptions) {
    this.#socket = socket;
    this.#options = options;
    const { credentials, origins } = options;
    this.#terms = { keepOrigins: origins.keeps, ...(credentials === undefined ? {} : { credentials }) };
    this.#await(createNegotiation(this.#terms), NEGOTIATION_DEADLINE_MS, false);
  }

  /** What the socket's events are for, while no request is read. */
  get #user(): Relay | HttpExchange | Farewell | undefined {
    switch (this.#stage.kind) {
      case "relaying":
        return this.#stage.relay;
      case "exchanging":
        return this.#stage.exchange;
      case "leaving":
        return this.#stage.farewell;
      default:
        return undefined;
    }
  }

  /** Ms on performance.now() since which a half-closed connection has moved nothing; undefined while both ways are open. */
  get halfClosedSince(): number | undefined {
    const user = this.#user;
    return user instanceof Farewell ? undefined : user?.halfClosedSince;
  }

  /** Breaks it, and what it is connected to. */
  abort(code: ResetCode): void {
    const user = this.#user;
    if (!(user instanceof Farewell)) user?.abort(code);
  }

  data(bytes: Uint8Array): void {
    switch (this.#stage.kind) {
      case "negotiating":
        return this.#negotiate(bytes);
      case "relaying":
        return this.#stage.relay.socketData(bytes);
      case "exchanging":
        return this.#stage.exchange.socketData(bytes);
      case "leaving":
      case "over":
        return;
    }
  }

  drain(): void {
    this.#user?.socketDrain();
  }

  end(): void {
    const user = this.#user;
    if (user !== undefined) return user.socketEnd();
    this.#enter(OVER);
    this.#socket.end();
  }

  closed(error?: Error): void {
    this.#user?.socketClose(error);
    this.#enter(OVER);
  }

  #enter(stage: Stage): void {
    if (this.#stage.kind === "negotiating") clearTimeout(this.#stage.deadline);
    this.#stage = stage;
  }

  #await(negotiation: Negotiation, ms: number, idle: boolean): void {
    const deadline = setTimeout(() => this.#leave(EMPTY), ms);
    deadline.unref();
    this.#enter({ kind: "negotiating", negotiation, deadline, idle });
  }

  #negotiate(bytes: Uint8Array): void {
    if (this.#stage.kind !== "negotiating") return;
    const { negotiation, idle } = this.#stage;
    if (idle) this.#await(negotiation, NEGOTIATION_DEADLINE_MS, false);
    const step = negotiation.push(bytes);
    switch (step.kind) {
      case "more":
        if (step.reply.length > 0) this.#socket.write(step.reply);
        return;
      case "reject":
        this.#options.onReject(step.reason);
        return this.#leave(step.reply);
      case "connect":
        return step.exchange === undefined
          ? this.#connect(step)
          : this.#exchange({ ...step, exchange: step.exchange });
    }
  }

  #exchange(step: ExchangeStep): void {
    const { keeper, origins: pool, waitMs, onReject } = this.#options;
    const onKept = (behind: Uint8Array, inputEnded: boolean) => this.#next(behind, inputEnded);
    const exchange = new HttpExchange(this.#socket, step, { keeper, pool, waitMs, onReject, onKept });
    this.#enter({ kind: "exchanging", exchange });
    exchange.start();
  }

  /** Waits for another request, of which `behind` has come. */
  #next(behind: Uint8Array, inputEnded: boolean): void {
    const { idleMs = APPLICATION_IDLE_MS } = this.#options;
    this.#await(createLaterNegotiation(this.#terms), idleMs, true);
    if (behind.length > 0) this.#negotiate(behind);
    if (inputEnded) this.end();
  }

  #connect(step: ConnectStep): void {
    const { keeper, optimistic, waitMs } = this.#options;
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
    this.#enter({ kind: "relaying", relay });
    relay.connect(this.#socket);
    const stream = keeper.open(step.destination, relay);
    if (stream === undefined)
      return this.#answer(relay, step, keeper.state === "up" ? "overloaded" : "noTunnel");
    relay.join(stream);
    if (optimistic) relay.inject(step.answer("connected"));
    if (step.early.length > 0) relay.socketData(step.early);
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
    if (!optimistic) return this.#leave(step.answer(result));
    this.#enter(OVER);
    this.#socket.terminate();
  }

  /** Says the last words, if there are any, and closes gently. */
  #leave(words: Uint8Array): void {
    const farewell = new Farewell(this.#socket, words);
    this.#enter({ kind: "leaving", farewell });
    farewell.start();
  }
}
