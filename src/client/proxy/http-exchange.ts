import type { DialResult, ResetCode } from "../../proto/index.ts";
import type { RelaySocket } from "../../runtime/relay.ts";
import { type InputStep, RequestInput } from "./http-input.ts";
import { type OriginPool, targetOf } from "./http-pool.ts";
import { ResponseReader } from "./http-response.ts";
import type { ConnectResult, ConnectStep, ExchangeTerms } from "./negotiation.ts";
import type { OriginConnection, OriginListener } from "./origin-connection.ts";
import { type OpeningOptions, openOrigin } from "./origin-opening.ts";
import { Outbox } from "./outbox.ts";

export interface ExchangeOptions extends OpeningOptions {
  readonly pool: OriginPool;
  /** The request turned out to be broken, with its reason. */
  readonly onReject: (reason: string) => void;
  /**
   * The socket is its owner's again, for the next request: it is not paused, and has taken all of the response.
   * `behind` is what the application has sent of further requests, `inputEnded` that no more will come.
   */
  readonly onKept: (behind: Uint8Array, inputEnded: boolean) => void;
}

/** Of a request, its upload filter included: it serves one exchange. */
export type ExchangeStep = Pick<ConnectStep, "destination" | "early" | "answer"> & {
  readonly exchange: ExchangeTerms;
};

/**
 * One plain HTTP request and its response, between an application's socket and a connection to the origin that may have
 * served others and may serve more:
 *
 * 1. A repeatable request goes over an idle connection of the pool if there is one; every other has one of its own.
 * 2. The request goes up as a relay would send it; what follows its body is kept for the next (http-input.ts).
 * 3. The response is read as it passes (http-response.ts). If a kept connection ends before its first byte, the request
 *    is sent again, once, over a new one.
 * 4. Once all of it is with the application, the origin's connection is given to the pool and the application's back to
 *    its owner, if nothing speaks against it; else they are ended.
 *
 * The owner of the socket calls `socket…`, as it does with a Relay.
 */
export class HttpExchange implements OriginListener {
  readonly #options: ExchangeOptions;
  readonly #step: ExchangeStep;
  readonly #socket: RelaySocket;
  readonly #in: RequestInput;
  readonly #out: Outbox;
  #reader: ResponseReader;
  /** Undefined once it is nobody's, the pool's, or gone. */
  #origin: OriginConnection | undefined;
  #isReused = false;
  /** The origin has been told that no more will come. */
  #hasFinished = false;
  /** The origin sends no more. */
  #originEnded = false;
  /** Nothing more will be queued for the application. */
  #answered = false;
  #shutDown = false;
  #done = false;
  #progressAt = performance.now();
  #settle: () => void = () => {};

  constructor(socket: RelaySocket, step: ExchangeStep, options: ExchangeOptions) {
    this.#socket = socket;
    this.#step = step;
    this.#options = options;
    this.#in = new RequestInput(step.exchange);
    this.#reader = this.#newReader();
    this.#out = new Outbox(socket, (credit) => this.#origin?.consumed(credit));
  }

  /** Sends the request. */
  start(): void {
    const { pool, keeper } = this.#options;
    const { exchange, destination } = this.#step;
    // A kept connection is no way to wait for a link: nobody would give the request up in time.
    const isFit = exchange.isRepeatable && keeper.state === "up";
    const kept = isFit ? pool.take(targetOf(destination), this) : undefined;
    if (kept === undefined) this.#open();
    else {
      this.#isReused = true;
      this.#origin = kept;
      this.#send(kept);
    }
    // What arrived with the request may be all of it, or show that its body is broken.
    if (!this.#answered) this.#upload(this.#in.start());
  }

  get done(): boolean {
    return this.#done;
  }

  /** Ms on performance.now() since which a half-closed exchange has moved nothing; undefined while both ways are open. */
  get halfClosedSince(): number | undefined {
    return this.#in.isEnded !== this.#shutDown ? this.#progressAt : undefined;
  }

  #newReader(): ResponseReader {
    const { method, keepsApplication } = this.#step.exchange;
    // A response that begins before all of its request has come is the last: the rest might never come.
    return new ResponseReader(method, () => keepsApplication && this.#mayAskAgain());
  }

  #open(): void {
    const { destination } = this.#step;
    const { origin, settle } = openOrigin(this.#options, destination, this, () => this.#giveUp("noTunnel"));
    this.#settle = settle;
    if (typeof origin === "string") return this.#giveUp(origin);
    this.#origin = origin;
    this.#send(origin);
  }

  #send(origin: OriginConnection): void {
    if (!origin.write(this.#step.early)) this.#socket.pause();
    if (this.#in.isLast) this.#finish();
  }

  /** The application gave bytes. */
  socketData(bytes: Uint8Array): void {
    this.#progressAt = performance.now();
    if (this.#done || this.#in.isEnded || (this.#answered && !this.#in.isWhole)) return;
    const { phase, keepsApplication } = this.#reader;
    this.#upload(this.#in.push(bytes, phase === "head" || keepsApplication));
  }

  socketDrain(): void {
    if (!this.#done) this.#flush();
  }

  /** The application sends no more. Before it has its answer this is passed on, as many give up a request by it. */
  socketEnd(): void {
    if (this.#done || this.#in.isEnded) return;
    this.#in.isEnded = true;
    // Behind a further request it says nothing about this one.
    if (!this.#answered && this.#in.isLast) this.#finish();
    this.#endIfBoth();
  }

  /** The application's connection is gone. */
  socketClose(_error?: Error): void {
    if (!this.#done) this.#over("connection");
  }

  /** Breaks both sides. */
  abort(code: ResetCode): void {
    if (this.#done) return;
    this.#over(code);
    this.#socket.terminate();
  }

  #upload({ forward, fault }: InputStep): void {
    if (forward.length > 0 && this.#origin?.write(forward) === false) this.#socket.pause();
    if (fault !== undefined) {
      this.#options.onReject(fault);
      return this.abort("connection");
    }
    if (this.#in.isFull) this.#socket.pause();
    this.#endIfAskedAgain();
  }

  // Where only the application can know the response's end, another request waits for a connection that must end.
  #endIfAskedAgain(): void {
    if (this.#in.hasMore && this.#reader.phase === "rest") this.#finish();
  }

  #finish(): void {
    this.#hasFinished = true;
    this.#origin?.finish();
  }

  onResponse(result: DialResult): void {
    this.#settle();
    if (result === "connected") return;
    this.#origin?.release();
    this.#origin = undefined;
    this.#answer(result);
  }

  onData(bytes: Uint8Array): void {
    this.#progressAt = performance.now();
    const hadBegun = this.#reader.hasBegun;
    const pieces = this.#reader.push(bytes);
    // An origin that tires of an idle connection may say so before it closes (RFC 9110 section 15.5.9).
    if (this.#reader.status === 408 && !hadBegun && this.#repeats()) return;
    this.#out.push(pieces, bytes.length);
    this.#endIfAskedAgain();
    if (this.#reader.phase === "done") this.#answered = true;
    this.#flush();
  }

  onFin(): void {
    this.#originEnded = true;
    if (!this.#reader.hasBegun && this.#repeats()) return;
    if (this.#answered) return;
    // Of a response that only this can end, it is the end; another one is cut short, and its application can see that.
    if (this.#reader.phase === "head") return this.#giveUp("lost");
    this.#answered = true;
    this.#flush();
  }

  onReset(code: ResetCode): void {
    this.#settle();
    this.#originEnded = true;
    if (!this.#reader.hasBegun && this.#repeats()) return;
    this.#origin = undefined;
    if (this.#answered) return;
    if (this.#reader.phase === "head") return this.#answer("lost");
    this.abort(code);
  }

  onFull(): void {
    if (!this.#done) this.#socket.pause();
  }

  onWritable(): void {
    if (!this.#done && !this.#in.isFull) this.#socket.resume();
  }

  /** Sends the request again, if it went over a kept connection and may be. */
  #repeats(): boolean {
    if (!this.#isReused || this.#answered || this.#done) return false;
    this.#isReused = false;
    this.#originEnded = false;
    this.#hasFinished = false;
    this.#reader = this.#newReader();
    this.#options.pool.countRepeated();
    this.#origin?.reset();
    this.#origin = undefined;
    this.#open();
    return true;
  }

  /** Nothing will come of the request. */
  #giveUp(result: Exclude<ConnectResult, "connected">): void {
    this.#origin?.reset();
    this.#origin = undefined;
    this.#answer(result);
  }

  #answer(result: Exclude<ConnectResult, "connected">): void {
    this.#settle();
    if (this.#answered || this.#done) return;
    this.#out.push([this.#step.answer(result)], 0);
    this.#answered = true;
    this.#flush();
  }

  #flush(): void {
    const taken = this.#out.flush();
    if (taken === "broken") return this.abort("connection");
    if (taken > 0) this.#progressAt = performance.now();
    if (!this.#answered || !this.#out.isEmpty || this.#shutDown) return;
    this.#part();
    if (this.#isFreeAgain()) {
      this.#done = true;
      this.#socket.resume();
      return this.#options.onKept(this.#in.takeBehind(), this.#in.isEnded);
    }
    this.#shutDown = true;
    this.#socket.shutdown();
    // A paused socket would not tell that its application has closed it.
    this.#socket.resume();
    this.#endIfBoth();
  }

  /** The application was told that its connection stays, has all of the response, and could send another request. */
  #isFreeAgain(): boolean {
    const { phase, keepsApplication } = this.#reader;
    return phase === "done" && keepsApplication && this.#mayAskAgain();
  }

  #mayAskAgain(): boolean {
    return this.#in.isWhole && !this.#in.isLast;
  }

  /** Lets go of the origin's connection, after all that it sent has gone on. */
  #part(): void {
    const origin = this.#origin;
    if (origin === undefined) return;
    this.#origin = undefined;
    if (this.#originEnded) {
      origin.finish();
      origin.release();
    } else if (!this.#in.isWhole) origin.reset();
    else if (this.#hasFinished || !this.#step.exchange.sharesOrigin) this.#options.pool.finish(origin);
    else this.#options.pool.keep(origin, this.#reader.keepMs);
  }

  #endIfBoth(): void {
    if (!this.#in.isEnded || !this.#shutDown) return;
    this.#done = true;
    this.#socket.end();
  }

  #over(code: ResetCode): void {
    this.#done = true;
    this.#settle();
    this.#out.clear();
    this.#origin?.reset(code);
    this.#origin = undefined;
  }
}
