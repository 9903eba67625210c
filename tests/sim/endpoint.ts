import { type DialResult, LIMITS, type ResetCode } from "../../src/proto/index.ts";
import type { Timer } from "./clock.ts";
import { checkContent, content } from "./content.ts";
import type { SimDriver, SimListener } from "./driver.ts";
import { check } from "./failure.ts";
import type { Node } from "./node.ts";
import type { EndPlan, Request } from "./request.ts";

/** How it stands between an application and its stream. */
export type EndState = "open" | "done" | "reset" | "refused" | "vanished";

export interface EndpointOptions {
  readonly side: "client" | "server";
  readonly request: Request;
  readonly plan: EndPlan;
  readonly driver: SimDriver;
  readonly node: Node;
  readonly stream: number;
  /** The other end, once it exists. */
  readonly peer: () => Endpoint | undefined;
  readonly onEnd: () => void;
}

/** Writes made in one go, so that several chunks are queued at times. */
const MAX_BURST = 4;

/** An application at one end of a stream: does what its plan says and believes nothing it is told. */
export class Endpoint implements SimListener {
  readonly #options: EndpointOptions;
  readonly #timers = new Set<Timer>();
  state: EndState = "open";
  /** Bytes given to the tunnel, and whether FIN was. */
  written = 0;
  finished = false;
  received = 0;
  finArrived = false;
  /** Bytes that arrived and were not taken. */
  unread = 0;
  #mayWrite: boolean;
  /** Its tunnel is no more, whether it was done by then or not. */
  isGone = false;
  #paused = false;
  /** Bytes that the next write may have; at first, what a connection brings before anybody could stop its reader. */
  #most: number = LIMITS.firstReadBytes;
  #writeQueued = false;
  #readQueued = false;
  /** The faults are over: reads and writes at once. */
  #hurry = false;

  constructor(options: EndpointOptions) {
    this.#options = options;
    const { plan, request, side } = options;
    this.#mayWrite = side === "client" ? request.optimistic : false;
    if (plan.resetAfterMs !== undefined) this.#after(plan.resetAfterMs, () => this.reset("connection"));
    this.#queueWrite(0);
  }

  /** Server: the dial has succeeded. */
  connected(): void {
    this.#mayWrite = true;
    this.#queueWrite(0);
  }

  reset(code: ResetCode): void {
    if (this.state !== "open") return;
    const { request, driver, stream, side } = this.#options;
    if (side === "client") request.clientReset = code;
    else request.serverReset = code;
    driver.tunnel.reset(stream, code);
    this.end("reset");
  }

  hurry(): void {
    this.#hurry = true;
    if (this.state !== "open") return;
    this.#read();
    this.#queueWrite(0);
  }

  onResponse(result: DialResult): void {
    const { request, side } = this.#options;
    check(side === "client" && this.state === "open", () => `${this}: a response in state ${this.state}`);
    check(result === request.dialResult, () => `${this}: response ${result}, not ${request.dialResult}`);
    if (result !== "connected") return this.end("refused");
    this.#mayWrite = true;
    this.#queueWrite(0);
  }

  onData(bytes: Uint8Array): void {
    check(this.state === "open", () => `${this}: data in state ${this.state}`);
    check(!this.finArrived, () => `${this}: data behind FIN`);
    const { side, request } = this.#options;
    checkContent(
      saltOf(request, side === "client" ? "server" : "client"),
      this.received,
      bytes,
      () => `${this}`,
    );
    this.received += bytes.length;
    this.unread += bytes.length;
    this.#queueRead();
  }

  onFin(): void {
    const peer = this.#options.peer();
    check(this.state === "open" && !this.finArrived, () => `${this}: FIN in state ${this.state}`);
    check(peer?.finished === true, () => `${this}: a clean end that the peer has not made`);
    check(
      peer.written === this.received,
      () => `${this}: FIN after ${this.received} of ${peer.written} bytes`,
    );
    this.finArrived = true;
    this.#queueWrite(0);
    this.#endIfDone();
  }

  onReset(code: ResetCode): void {
    check(this.state === "open", () => `${this}: reset in state ${this.state}`);
    const { request, side } = this.#options;
    const cause = side === "client" ? request.serverReset : request.clientReset;
    const lost = code === "lost" && request.mayBeLost;
    check(code === cause || lost, () => `${this}: reset ${code} out of nothing`);
    this.end("reset");
  }

  onFull(): void {
    this.#paused = true;
  }

  onWritable(most = Number.POSITIVE_INFINITY): void {
    this.#paused = false;
    this.#most = most;
    this.#queueWrite(0);
  }

  /** The server has lost the tunnel that it is of; the client may not have heard. */
  get isOrphan(): boolean {
    return this.#options.peer()?.isGone === true;
  }

  belongsTo(driver: SimDriver): boolean {
    return this.#options.driver === driver;
  }

  /** The process that it ran in is gone. */
  vanish(): void {
    this.isGone = true;
    if (this.state === "open") this.end("vanished");
  }

  /** The application needs its stream no more. */
  end(state: EndState): void {
    this.state = state;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    this.unread = 0;
    this.#options.driver.forget(this.#options.stream);
    this.#options.onEnd();
  }

  #queueWrite(ms: number): void {
    if (this.#writeQueued || this.state !== "open") return;
    this.#writeQueued = true;
    this.#after(ms, () => {
      this.#writeQueued = false;
      this.#write();
    });
  }

  #write(): void {
    const { plan, driver, stream, request, side } = this.#options;
    if (!this.#mayWrite || this.finished) return;
    for (let burst = 0; burst < MAX_BURST && !this.#paused && this.written < plan.bytes; burst++) {
      const length = Math.min(plan.chunkBytes, plan.bytes - this.written, this.#most);
      this.#most = Number.POSITIVE_INFINITY;
      const bytes = content(saltOf(request, side), this.written, length);
      this.written += bytes.length;
      this.#paused = !driver.tunnel.write(stream, bytes, driver.now);
    }
    if (this.written < plan.bytes) {
      if (!this.#paused) this.#queueWrite(this.#hurry ? 0 : plan.pauseMs);
    } else if (!plan.answersFin || this.finArrived) this.#finish();
  }

  #finish(): void {
    const { driver, stream } = this.#options;
    this.finished = true;
    driver.tunnel.finish(stream, driver.now);
    this.#endIfDone();
  }

  #queueRead(): void {
    const { reading } = this.#options.plan;
    if (this.#hurry || reading.kind === "eager") return this.#read();
    if (this.#readQueued || reading.kind === "late") return;
    this.#readQueued = true;
    this.#after(reading.everyMs, () => {
      this.#readQueued = false;
      this.#read();
      if (this.unread > 0) this.#queueRead();
    });
  }

  #read(): void {
    const { plan, driver, stream } = this.#options;
    const all = this.#hurry || plan.reading.kind !== "slow";
    const count = all ? this.unread : Math.min(this.unread, plan.reading.bytes);
    if (count === 0) return;
    this.unread -= count;
    driver.tunnel.consumed(stream, count, driver.now);
    this.#endIfDone();
  }

  #endIfDone(): void {
    if (this.finished && this.finArrived && this.unread === 0) this.end("done");
  }

  #after(ms: number, run: () => void): void {
    const timer = this.#options.node.after(ms, () => {
      this.#timers.delete(timer);
      run();
    });
    this.#timers.add(timer);
  }

  toString(): string {
    const { side, request, stream, plan } = this.#options;
    const fin = `${this.finished ? " fin sent" : ""}${this.finArrived ? " fin received" : ""}`;
    return (
      `${side} of request ${request.id} (stream ${stream}, ${this.state}, ${this.written} of ${plan.bytes} written, ` +
      `${this.received} received, ${this.unread} unread${fin})`
    );
  }
}

function saltOf(request: Request, sender: "client" | "server"): number {
  return request.id * 2 + (sender === "client" ? 0 : 1);
}
