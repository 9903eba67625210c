import {
  type AcceptResult,
  type Destination,
  Link,
  type PaddingPolicy,
  type ResetCode,
  Tunnel,
  type TunnelEvent,
  type TunnelOptions,
} from "../../../src/proto/index.ts";
import { seededRandom } from "./random.ts";
import { ratchetPair } from "./ratchets.ts";

export interface TunnelsOptions {
  /** One way, in ms. */
  readonly delayMs?: number;
  /** Bytes per ms that pass each way; unlimited unless given. */
  readonly rate?: number;
  readonly padding?: PaddingPolicy;
  readonly clientPoolBytes?: number;
  readonly serverPoolBytes?: number;
  readonly sendPoolBytes?: number;
  /** When links are to be replaced; by default, never in a test's time. */
  readonly linkAgeMs?: number;
}

/** A message under way. */
interface Message {
  readonly to: TestEnd;
  readonly line: Line;
  readonly bytes: Uint8Array;
  readonly arrivesAt: number;
}

/** One link, from both ends. The server's is there once the first packet has arrived. */
export interface Line {
  readonly client: Link;
  server: Link | undefined;
  /** Opens the client's first packet. */
  readonly take: (lead: Uint8Array) => void;
  freeUpAt: number;
  freeDownAt: number;
  /** Messages are lost, and nobody is told. */
  stalled: boolean;
}

/** One end: its tunnel, what it was told, and applications that take everything at once unless they are `slow`. */
export class TestEnd {
  readonly tunnel: Tunnel;
  readonly events: TunnelEvent[] = [];
  readonly slow = new Set<number>();
  readonly #bytes = new Map<number, Uint8Array[]>();
  readonly #untaken = new Map<number, number>();
  /** Called with every event, after it was counted. */
  onEvent: (event: TunnelEvent, now: number) => void = () => {};

  constructor(options: TunnelOptions) {
    this.tunnel = new Tunnel(options);
  }

  /** Every byte that arrived on `stream`. */
  bytes(stream: number): Uint8Array {
    return new Uint8Array(Buffer.concat(this.#bytes.get(stream) ?? []));
  }

  count(stream: number): number {
    return (this.#bytes.get(stream) ?? []).reduce((sum, { length }) => sum + length, 0);
  }

  /** Bytes that arrived on `stream` and that its application has not taken. */
  untaken(stream: number): number {
    return this.#untaken.get(stream) ?? 0;
  }

  /** The application of a slow stream takes `count` bytes, or all there are. */
  take(stream: number, now: number, count = this.untaken(stream)): void {
    this.#untaken.set(stream, this.untaken(stream) - count);
    this.tunnel.consumed(stream, count, now);
  }

  told(kind: TunnelEvent["kind"], stream?: number): readonly TunnelEvent[] {
    return this.events.filter(
      (event) =>
        event.kind === kind && (stream === undefined || ("stream" in event && event.stream === stream)),
    );
  }

  resetCode(stream: number): ResetCode | undefined {
    const event = this.events.find((each) => each.kind === "reset" && each.stream === stream);
    return event?.kind === "reset" ? event.code : undefined;
  }

  deliver(now: number): void {
    for (let event = this.tunnel.pollEvent(); event !== undefined; event = this.tunnel.pollEvent()) {
      if (event.kind !== "data") this.events.push(event);
      else {
        const { stream, bytes } = event;
        this.#bytes.set(stream, [...(this.#bytes.get(stream) ?? []), bytes]);
        this.#untaken.set(stream, this.untaken(stream) + bytes.length);
        if (!this.slow.has(stream)) this.take(stream, now);
      }
      this.onEvent(event, now);
    }
  }
}

/** A tunnel with both ends, joined by lines with a delay and a rate, on a clock of its own. */
export class Tunnels {
  readonly client: TestEnd;
  readonly server: TestEnd;
  now = 0;
  /** Wire bytes and messages of each direction so far. */
  readonly sent = { client: { bytes: 0, messages: 0 }, server: { bytes: 0, messages: 0 } };
  /** Every message, in the order sent, where a test asks for it. */
  onMessage: (from: "client" | "server", bytes: Uint8Array, now: number) => void = () => {};
  readonly #options: TunnelsOptions;
  readonly #random = seededRandom("tunnels");
  readonly #secret = this.#random(32);
  readonly lines: Line[] = [];
  #messages: Message[] = [];
  #gen = 0;
  #accepted = false;

  constructor(options: TunnelsOptions = {}) {
    this.#options = options;
    const { padding = "none", clientPoolBytes, serverPoolBytes, sendPoolBytes, linkAgeMs } = options;
    const end = (role: "client" | "server", poolBytes: number | undefined) =>
      new TestEnd({
        role,
        random: this.#random,
        padding,
        ...(poolBytes === undefined ? {} : { poolBytes }),
        ...(sendPoolBytes === undefined ? {} : { sendPoolBytes }),
        ...(linkAgeMs === undefined ? {} : { linkAgeMs }),
      });
    this.client = end("client", clientPoolBytes);
    this.server = end("server", serverPoolBytes);
  }

  /** Two tunnels with a link that stands. */
  static connected(options: TunnelsOptions = {}): Tunnels {
    const tunnels = new Tunnels(options);
    tunnels.connect();
    tunnels.run(20 + 4 * (options.delayMs ?? 0));
    return tunnels;
  }

  /** The client offers a new link of `slot`; the server will take it. */
  connect(slot = 0, result?: AcceptResult): Line {
    const { padding = "none" } = this.#options;
    const { client, server } = ratchetPair(this.#random);
    const common = { padding, jitter: 0.5, now: this.now };
    const line: Line = {
      client: new Link({ ...common, slot, gen: this.#gen++, ratchet: client }),
      server: undefined,
      take: (lead) => {
        const plaintext = server.open(lead, undefined, this.now).frames;
        const first = Link.ofFirstPacket({ ...common, now: this.now, ratchet: server, plaintext });
        line.server = first.link;
        const how = result ?? (this.#accepted ? "resumed" : "created");
        this.#accepted = true;
        this.server.tunnel.accept(first.link, first.hello, how, first.rest, this.now);
      },
      freeUpAt: 0,
      freeDownAt: 0,
      stalled: false,
    };
    this.lines.push(line);
    this.client.tunnel.offer(line.client, this.#secret);
    return line;
  }

  /** The line is gone: what is under way is lost, and both ends are told. */
  cut(line: Line): void {
    this.#messages = this.#messages.filter((message) => message.line !== line);
    this.lines.splice(this.lines.indexOf(line), 1);
    this.client.tunnel.detach(line.client);
    if (line.server !== undefined) this.server.tunnel.detach(line.server);
  }

  /** Opens a stream that the server will be told of. */
  open(destination: Destination = { host: { kind: "name", name: "a.example" }, port: 80 }): number {
    const stream = this.client.tunnel.open(destination, this.now);
    if (stream === undefined) throw new Error("no stream");
    return stream;
  }

  /** Streams whose far connections stand. */
  openConnected(count: number): number[] {
    const streams = Array.from({ length: count }, () => this.open());
    this.settle();
    for (const stream of streams) this.server.tunnel.respond(stream, "connected", this.now);
    this.settle();
    return streams;
  }

  /** Long enough for everything under way to arrive, and for delayed acknowledgements. */
  settle(): void {
    this.run(30 + 4 * (this.#options.delayMs ?? 0));
  }

  /** Lets `ms` pass. */
  run(ms: number): void {
    this.runUntil(() => false, ms);
  }

  /** Lets time pass until `done`, at most `maxMs`. False if it never was. */
  runUntil(done: () => boolean, maxMs: number): boolean {
    const end = this.now + maxMs;
    this.#flush();
    while (!done()) {
      const next = Math.min(
        this.#messages[0]?.arrivesAt ?? Number.POSITIVE_INFINITY,
        Math.max(this.client.tunnel.nextWake(), this.now + 0.1),
        Math.max(this.server.tunnel.nextWake(), this.now + 0.1),
      );
      if (next > end) {
        this.now = end;
        this.#flush();
        return done();
      }
      this.now = Math.max(this.now, next);
      this.#arrive();
      this.client.tunnel.tick(this.now);
      this.server.tunnel.tick(this.now);
      this.#flush();
    }
    return true;
  }

  #arrive(): void {
    while (this.#messages[0] !== undefined && this.#messages[0].arrivesAt <= this.now) {
      const message = this.#messages.shift();
      if (message === undefined) return;
      const { to, line, bytes } = message;
      if (to === this.client) to.tunnel.receive(line.client, bytes, this.now);
      else if (line.server === undefined) line.take(bytes);
      else to.tunnel.receive(line.server, bytes, this.now);
      this.#flush();
    }
  }

  #flush(): void {
    for (const end of [this.client, this.server]) {
      end.deliver(this.now);
      for (
        let packet = end.tunnel.pollTransmit(this.now);
        packet;
        packet = end.tunnel.pollTransmit(this.now)
      ) {
        const { link, lead, body } = packet;
        this.#send(end, link, lead);
        if (body !== undefined) this.#send(end, link, body);
        end.deliver(this.now);
      }
    }
  }

  #send(from: TestEnd, link: Link, bytes: Uint8Array): void {
    const line = this.lines.find(({ client, server }) => client === link || server === link);
    const up = from === this.client;
    const side = up ? "client" : "server";
    this.sent[side].bytes += bytes.length;
    this.sent[side].messages += 1;
    this.onMessage(side, bytes, this.now);
    if (line === undefined || line.stalled) return;
    const { delayMs = 0, rate = Number.POSITIVE_INFINITY } = this.#options;
    const leftAt = Math.max(this.now, up ? line.freeUpAt : line.freeDownAt) + bytes.length / rate;
    if (up) line.freeUpAt = leftAt;
    else line.freeDownAt = leftAt;
    const message = { to: up ? this.server : this.client, line, bytes, arrivesAt: leftAt + delayMs };
    // Lines keep their order; several lines are merged by time.
    let at = this.#messages.length;
    while (at > 0 && (this.#messages[at - 1]?.arrivesAt ?? 0) > message.arrivesAt) at -= 1;
    this.#messages.splice(at, 0, message);
  }
}

/** An application that always has more: writes chunks until told to pause, and again when told to go on. */
export function keepWriting(end: TestEnd, stream: number, tunnels: Tunnels, chunkBytes = 256 * 1024): void {
  const write = (most = chunkBytes) => {
    while (end.tunnel.write(stream, new Uint8Array(Math.min(most, chunkBytes)), tunnels.now));
  };
  const before = end.onEvent;
  end.onEvent = (event, now) => {
    before(event, now);
    if (event.kind === "writable" && event.stream === stream) write(event.most);
  };
  write();
}
