import {
  type Destination,
  type Link,
  ProtocolError,
  type ResetCode,
  type SlotStats,
  type Transmit,
  type Tunnel,
  type TunnelEvent,
  type TunnelStats,
} from "../proto/index.ts";
import type { Carrier } from "./carrier.ts";
import { messageOf } from "./errors.ts";
import type { Log } from "./log.ts";
import { type StreamListener, TunnelStream } from "./tunnel-stream.ts";

/** Events that concern links, or streams that nobody here has opened: the keeper's or the server's business. */
export type DriverEvent = Extract<
  TunnelEvent,
  { kind: "connect" | "accepted" | "refused" | "gateKey" | "goAway" | "suspect" | "aged" }
>;

export interface DriverOptions {
  readonly tunnel: Tunnel;
  readonly log: Log;
  readonly onEvent: (event: DriverEvent) => void;
  /** A link is over, for whatever reason; its carrier is closed and the tunnel has been told. */
  readonly onLinkLost: (link: Link, reason: string) => void;
  /** A broken invariant of ours: the tunnel has ended, the process goes on. */
  readonly onFailed: (error: Error) => void;
}

/** Waits this short are not worth a timer of their own; the clock of timers is no finer. */
const MIN_TIMER_MS = 1;
/** A timer that is later than this was not held up by work: the process was stopped or its machine slept. */
const SLEPT_MS = 3_000;

/**
 * Gives a tunnel what it has none of: a clock, a timer, carriers and sockets (step 3 of the journey in
 * docs/ARCHITECTURE.md). After every input it hands out events; what is ready is sent at the end of the turn.
 */
export class TunnelDriver {
  readonly #tunnel: Tunnel;
  readonly #log: Log;
  readonly #onEvent: (event: DriverEvent) => void;
  readonly #onLinkLost: (link: Link, reason: string) => void;
  readonly #onFailed: (error: Error) => void;
  readonly #carriers = new Map<Link, Carrier>();
  readonly #listeners = new Map<number, StreamListener>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #flushing = false;
  #flushQueued = false;
  #handOutQueued = false;
  #failed = false;
  /** Payload bytes of streams, for status pages. */
  bytesIn = 0;
  bytesOut = 0;

  constructor(options: DriverOptions) {
    this.#tunnel = options.tunnel;
    this.#log = options.log;
    this.#onEvent = options.onEvent;
    this.#onLinkLost = options.onLinkLost;
    this.#onFailed = options.onFailed;
  }

  /** Numbers of the tunnel, for status pages and limits. */
  stats(): TunnelStats {
    return this.#tunnel.stats();
  }

  slotStats(slot: number): SlotStats {
    return this.#tunnel.slotStats(slot);
  }

  /** Runs a command of the shell or of a socket on the tunnel, and sends what it leads to. */
  command<T>(run: (tunnel: Tunnel, now: number) => T): T | undefined {
    if (this.#failed) return undefined;
    try {
      const result = run(this.#tunnel, performance.now());
      this.queueFlush();
      this.#queueHandOut();
      return result;
    } catch (error) {
      this.#fail(error);
      return undefined;
    }
  }

  get streamCount(): number {
    return this.#listeners.size;
  }

  /** Adds a carrier for `link`, and gives the link to the tunnel by `input`. */
  attach(link: Link, carrier: Carrier, input: (tunnel: Tunnel, now: number) => void): void {
    this.#carriers.set(link, carrier);
    this.#guard(link, () => input(this.#tunnel, performance.now()));
    this.flush();
  }

  /** One message arrived on `link`; it is taken over. */
  receive(link: Link, message: Uint8Array): void {
    if (!this.#carriers.has(link)) return;
    this.#guard(link, () => this.#tunnel.receive(link, message, performance.now()));
    this.#handOut();
    this.queueFlush();
  }

  /** Runs an input that may show the peer's fault; then the link is over, and only the link. */
  #guard(link: Link, input: () => void): void {
    try {
      input();
    } catch (error) {
      if (!(error instanceof ProtocolError)) return this.#fail(error);
      this.#log.warn("link closed: the peer broke the protocol", {
        slot: link.slot,
        reason: messageOf(error),
      });
      this.lose(link, messageOf(error));
    }
  }

  // Our own fault: this tunnel cannot be trusted any more, the others can.
  #fail(cause: unknown): void {
    if (this.#failed) return;
    const error = cause instanceof Error ? cause : new Error(String(cause));
    this.#log.error("tunnel ended by a defect", {
      reason: error.message,
      where: error.stack?.split("\n")[1],
    });
    this.#failed = true;
    this.#listeners.clear();
    for (const carrier of this.#carriers.values()) carrier.close();
    this.#carriers.clear();
    clearTimeout(this.#timer);
    this.#onFailed(error);
  }

  /** The link is over: closes its carrier and lets its streams wait for another. */
  lose(link: Link, reason: string): void {
    const carrier = this.#carriers.get(link);
    if (carrier === undefined) return;
    this.#carriers.delete(link);
    carrier.close();
    this.command((tunnel) => tunnel.detach(link));
    link.wipe();
    this.#onLinkLost(link, reason);
    this.flush();
  }

  /** Client: opens a stream; undefined when the server takes no more at once. */
  open(destination: Destination, listener: StreamListener): TunnelStream | undefined {
    const id = this.command((tunnel, now) => tunnel.open(destination, now));
    if (id === undefined) return undefined;
    return this.listen(id, listener);
  }

  /** Connects a stream with the socket that it is for. */
  listen(id: number, listener: StreamListener): TunnelStream {
    this.#listeners.set(id, listener);
    this.queueFlush();
    return new TunnelStream(this, id);
  }

  forget(id: number): void {
    this.#listeners.delete(id);
  }

  /** Ends every stream and link, for good. */
  close(code: ResetCode): void {
    // The peer hears of it before its link goes: else it keeps the other ends for a resumption that never comes.
    for (const [id, listener] of [...this.#listeners]) {
      this.command((tunnel) => tunnel.reset(id, code));
      listener.onReset(code);
    }
    this.flush();
    this.command((tunnel) => tunnel.breakAll(code));
    this.flush();
    for (const link of [...this.#carriers.keys()]) this.lose(link, "closed");
    clearTimeout(this.#timer);
    this.#timerAt = Number.POSITIVE_INFINITY;
  }

  /** Flushes at the end of this turn of the event loop: what all sockets that were ready have led to goes out together. */
  queueFlush(): void {
    if (this.#flushQueued) return;
    this.#flushQueued = true;
    setImmediate(() => {
      this.#flushQueued = false;
      this.flush();
    });
  }

  /** After the current callback: that the memory is full must be heard before the next socket of this turn is read. */
  #queueHandOut(): void {
    if (this.#handOutQueued) return;
    this.#handOutQueued = true;
    queueMicrotask(() => {
      this.#handOutQueued = false;
      this.#handOut();
    });
  }

  /** Hands out events at once; what there is to send waits for the end of the turn. */
  #handOut(): void {
    if (this.#flushing || this.#failed) return;
    this.#flushing = true;
    try {
      this.#deliver();
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#flushing = false;
    }
  }

  /** Hands out events, sends packets, sets the timer. Inputs made by listeners meanwhile are taken up in the loop. */
  flush(): void {
    if (this.#flushing || this.#failed) return;
    this.#flushing = true;
    try {
      this.#deliver();
      for (let packet = this.#next(); packet !== undefined; packet = this.#next()) {
        this.#send(packet);
        this.#deliver();
      }
      this.#arm();
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#flushing = false;
    }
  }

  #next(): Transmit | undefined {
    return this.#tunnel.pollTransmit(performance.now());
  }

  #send({ link, lead, body }: Transmit): void {
    const carrier = this.#carriers.get(link);
    if (carrier === undefined) return this.#tunnel.detach(link);
    if (carrier.send(lead) && (body === undefined || carrier.send(body))) return;
    this.lose(link, "the connection took no more");
  }

  #deliver(): void {
    for (let event = this.#tunnel.pollEvent(); event !== undefined; event = this.#tunnel.pollEvent()) {
      this.#dispatch(event);
    }
  }

  #dispatch(event: TunnelEvent): void {
    switch (event.kind) {
      case "data":
        this.bytesIn += event.bytes.length;
        return this.#listeners.get(event.stream)?.onData(event.bytes);
      case "full":
        return this.#listeners.get(event.stream)?.onFull();
      case "writable":
        return this.#listeners.get(event.stream)?.onWritable(event.most);
      case "fin":
        return this.#listeners.get(event.stream)?.onFin();
      case "response":
        return this.#listeners.get(event.stream)?.onResponse(event.result);
      case "reset": {
        const listener = this.#listeners.get(event.stream);
        this.#listeners.delete(event.stream);
        return listener?.onReset(event.code);
      }
      case "dead": {
        const link = [...this.#carriers.keys()].find((one) => one.slot === event.slot);
        if (link !== undefined) this.lose(link, "no sign of life");
        return;
      }
      default:
        this.#onEvent(event);
    }
  }

  #wake(dueAt: number): void {
    this.#timerAt = Number.POSITIVE_INFINITY;
    this.command((tunnel, now) => {
      if (now - dueAt > SLEPT_MS) tunnel.woke(now);
      tunnel.tick(now);
    });
    this.flush();
  }

  #arm(): void {
    const now = performance.now();
    const wake = this.#tunnel.nextWake();
    if (wake >= this.#timerAt && this.#timerAt > now) return;
    clearTimeout(this.#timer);
    this.#timerAt = wake;
    if (wake === Number.POSITIVE_INFINITY) return;
    this.#timer = setTimeout(() => this.#wake(wake), Math.max(wake - now, MIN_TIMER_MS));
  }
}
