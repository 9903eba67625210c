import {
  type DialResult,
  type Link,
  ProtocolError,
  type ResetCode,
  type Tunnel,
  type TunnelEvent,
} from "../../src/proto/index.ts";
import type { Timer } from "./clock.ts";
import { check, fail, type Trace } from "./failure.ts";
import type { Node } from "./node.ts";
import type { WireEnd } from "./wire.ts";

/** What a stream's application is told. */
export interface SimListener {
  onResponse(result: DialResult): void;
  onData(bytes: Uint8Array): void;
  onFin(): void;
  onReset(code: ResetCode): void;
  onFull(): void;
  onWritable(most?: number): void;
}

export interface SimDriverOptions {
  readonly name: string;
  readonly node: Node;
  readonly tunnel: Tunnel;
  readonly trace: Trace;
  /** Events that are no stream's business. */
  readonly onEvent: (event: TunnelEvent) => void;
  readonly onLinkLost: (link: Link, reason: string) => void;
  /** The peer has broken the protocol on a wire that nobody tampered with. */
  readonly onBlame: (error: ProtocolError) => void;
  /** After each input: the moment for checks. */
  readonly onFlushed: (driver: SimDriver) => void;
}

/** More wake-ups than this at one instant are a busy loop. */
const MAX_WAKES_AT_ONCE = 20;
/** As in `runtime/tunnel-driver.ts`. */
const SLEPT_MS = 3_000;

/** The shell of one end of a tunnel, as `runtime/tunnel-driver.ts`, on virtual time and simulated wires. */
export class SimDriver {
  readonly tunnel: Tunnel;
  readonly #options: SimDriverOptions;
  readonly #carriers = new Map<Link, WireEnd>();
  readonly #listeners = new Map<number, SimListener>();
  #timer: Timer | undefined;
  #wakesAt = 0;
  #wakesAtOnce = 0;
  #stopped = false;
  /** How often the timer fired: a quiet tunnel must be quiet. */
  wakes = 0;

  constructor(options: SimDriverOptions) {
    this.#options = options;
    this.tunnel = options.tunnel;
  }

  get now(): number {
    return this.#options.node.now;
  }

  attach(link: Link, carrier: WireEnd): void {
    this.#carriers.set(link, carrier);
    carrier.onMessage = (bytes) => this.#receive(link, bytes);
    carrier.onClose = (reason) => this.lose(link, reason);
  }

  #receive(link: Link, bytes: Uint8Array): void {
    const carrier = this.#carriers.get(link);
    if (carrier === undefined) return;
    try {
      this.tunnel.receive(link, bytes, this.now);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#trace(() => `ProtocolError ${error.reason} ${error.message}`);
      if (!carrier.wire.tampered) this.#options.onBlame(error);
      this.lose(link, error.reason);
    }
  }

  lose(link: Link, reason: string): void {
    const carrier = this.#carriers.get(link);
    if (carrier === undefined) return;
    this.#trace(() => `link ${link.slot}/${link.gen} lost: ${reason}`);
    this.#carriers.delete(link);
    carrier.close();
    this.tunnel.detach(link);
    this.#options.onLinkLost(link, reason);
  }

  listen(stream: number, listener: SimListener): void {
    this.#listeners.set(stream, listener);
  }

  /** The application is done with the stream. */
  forget(stream: number): void {
    this.#listeners.delete(stream);
  }

  /** Hands out events, sends packets, sets the timer: after every input. */
  flush(): void {
    if (this.#stopped) return;
    this.#deliver();
    for (
      let packet = this.tunnel.pollTransmit(this.now);
      packet;
      packet = this.tunnel.pollTransmit(this.now)
    ) {
      const carrier = this.#carriers.get(packet.link);
      check(carrier !== undefined, () => `${this.#options.name}: a packet for a link without a carrier`);
      const { lead, body } = packet;
      if (!carrier.send(lead) || (body !== undefined && !carrier.send(body)))
        this.lose(packet.link, "not sent");
      this.#deliver();
    }
    this.#options.onFlushed(this);
    this.#arm();
  }

  #deliver(): void {
    for (let event = this.tunnel.pollEvent(); event; event = this.tunnel.pollEvent()) {
      const told = event;
      this.#trace(() => describe(told));
      this.#dispatch(event);
    }
  }

  #dispatch(event: TunnelEvent): void {
    switch (event.kind) {
      case "data":
        return this.#listeners.get(event.stream)?.onData(event.bytes);
      case "full":
        return this.#listeners.get(event.stream)?.onFull();
      case "writable":
        return this.#listeners.get(event.stream)?.onWritable(event.most);
      case "fin":
        return this.#listeners.get(event.stream)?.onFin();
      case "response":
        return this.#listeners.get(event.stream)?.onResponse(event.result);
      case "reset":
        return this.#listeners.get(event.stream)?.onReset(event.code);
      case "dead": {
        const link = [...this.#carriers.keys()].find(({ slot }) => slot === event.slot);
        if (link !== undefined) this.lose(link, "no sign of life");
        return;
      }
      default:
        this.#options.onEvent(event);
    }
  }

  #arm(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const wake = this.tunnel.nextWake();
    if (wake === Number.POSITIVE_INFINITY) return;
    this.#timer = this.#options.node.at(wake, () => this.#wake(wake));
  }

  #wake(dueAt: number): void {
    if (this.#stopped) return;
    this.wakes += 1;
    this.#wakesAtOnce = this.now === this.#wakesAt ? this.#wakesAtOnce + 1 : 0;
    this.#wakesAt = this.now;
    if (this.#wakesAtOnce > MAX_WAKES_AT_ONCE) {
      fail(`${this.#options.name} wakes without end at ${this.now}: nextWake ${this.tunnel.nextWake()}`);
    }
    if (this.now - dueAt > SLEPT_MS) this.tunnel.woke(this.now);
    this.tunnel.tick(this.now);
  }

  /** Ends all carriers and the timer. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    for (const link of [...this.#carriers.keys()]) this.lose(link, "stopped");
    this.#listeners.clear();
  }

  /** The machine's process is gone: nobody is told anything. */
  vanish(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#carriers.clear();
    this.#listeners.clear();
  }

  #trace(line: () => string): void {
    const { trace, node, name } = this.#options;
    trace.add(node.clock.now, () => `${name}: ${line()}`);
  }
}

function describe(event: TunnelEvent): string {
  const { kind, ...rest } = event;
  const fields = Object.entries(rest).map(([name, value]) =>
    value instanceof Uint8Array ? `${name}=[${value.length}]` : `${name}=${JSON.stringify(value)}`,
  );
  return `${kind} ${fields.join(" ")}`;
}
