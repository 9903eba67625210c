import {
  type AcceptResult,
  ClientHandshake,
  generateIdentity,
  Link,
  ServerHandshake,
  Tunnel,
  type TunnelEvent,
  type TunnelOptions,
} from "../../src/proto/index.ts";
import { Dice } from "../sim/dice.ts";
import { toyKem } from "../sim/handshakes.ts";

const SUITES = ["aes-256-gcm"] as const;
const ACK_DELAY_MS = 11;

/** One link between the two tunnels of a pair. Messages wait in it until a test delivers them. */
export interface Line {
  readonly clientLink: Link;
  serverLink: Link | undefined;
  readonly up: Uint8Array[];
  readonly down: Uint8Array[];
  /** How the server takes it. */
  readonly result: AcceptResult;
  readonly handshake: ServerHandshake;
  readonly kemPublicKey: Uint8Array;
  prefix: Uint8Array | undefined;
}

export interface TunnelPairOptions {
  readonly client?: Partial<TunnelOptions>;
  readonly server?: Partial<TunnelOptions>;
}

/** A client's and a server's tunnel joined by hand: nothing moves unless the test says so. */
export class TunnelPair {
  readonly client: Tunnel;
  server: Tunnel;
  now = 0;
  readonly dice = new Dice(1);
  readonly clientEvents: TunnelEvent[] = [];
  readonly serverEvents: TunnelEvent[] = [];
  readonly #lines = new Set<Line>();
  readonly #secret = this.dice.random(32);
  readonly #identities = {
    client: generateIdentity(this.dice.random),
    server: generateIdentity(this.dice.random),
  };
  #gen = 0;

  constructor(options: TunnelPairOptions = {}) {
    const common = { random: this.dice.random, padding: "none" } as const;
    this.client = new Tunnel({ ...common, role: "client", ...options.client });
    this.server = new Tunnel({ ...common, role: "server", ...options.server });
  }

  /** The client offers a new link, which the server will take with `result` once the first message is delivered. */
  offer(result: AcceptResult = "resumed", slot = 0, secret = this.#secret): Line {
    const { random } = this.dice;
    const kemPublicKey = toyKem.publicKey(this.dice);
    const boot = new Uint8Array(16);
    const identity = this.#identities.server;
    const handshake = new ServerHandshake({ identity, boot, kemPublicKey, random, suites: SUITES });
    const clientSide = new ClientHandshake({
      identity: this.#identities.client,
      serverKey: identity.publicKey,
      random,
      suites: SUITES,
    });
    clientSide.receive(handshake.bundle);
    const { ratchet, prefix } = clientSide.finish(toyKem.encapsulate(this.dice, kemPublicKey), this.now);
    const clientLink = new Link({
      slot,
      gen: this.#gen++,
      ratchet,
      padding: "none",
      jitter: 0,
      now: this.now,
    });
    const line: Line = {
      clientLink,
      serverLink: undefined,
      up: [],
      down: [],
      result,
      handshake,
      kemPublicKey,
      prefix,
    };
    this.#lines.add(line);
    this.client.offer(clientLink, secret);
    this.flush();
    return line;
  }

  /** Offers a link and lets it come up. */
  connect(result: AcceptResult = "resumed", slot = 0, secret = this.#secret): Line {
    const line = this.offer(result, slot, secret);
    this.run();
    return line;
  }

  /** The line is cut: both ends know, and what was under way is lost. */
  cut(line: Line): void {
    this.#lines.delete(line);
    this.client.detach(line.clientLink);
    if (line.serverLink !== undefined) this.server.detach(line.serverLink);
  }

  /** Puts what both tunnels have to say into the lines, and their events into the lists. */
  flush(): void {
    this.#flush(this.client, this.clientEvents, (line, message) => {
      line.up.push(line.prefix === undefined ? message : Uint8Array.from([...line.prefix, ...message]));
      line.prefix = undefined;
    });
    this.#flush(this.server, this.serverEvents, (line, message) => line.down.push(message));
  }

  #flush(tunnel: Tunnel, events: TunnelEvent[], put: (line: Line, message: Uint8Array) => void): void {
    for (let packet = tunnel.pollTransmit(this.now); packet; packet = tunnel.pollTransmit(this.now)) {
      const { link, lead, body } = packet;
      const line = [...this.#lines].find((one) => one.clientLink === link || one.serverLink === link);
      if (line === undefined) continue;
      put(line, Uint8Array.from(lead));
      if (body !== undefined) put(line, Uint8Array.from(body));
    }
    for (let event = tunnel.pollEvent(); event; event = tunnel.pollEvent()) events.push(event);
  }

  /** Delivers what waits for the server on `line`. */
  deliverUp(line: Line): void {
    for (const message of line.up.splice(0)) {
      if (line.serverLink === undefined) this.#take(line, message);
      else this.server.receive(line.serverLink, message, this.now);
    }
    this.flush();
  }

  #take(line: Line, message: Uint8Array): void {
    const { ciphertext } = line.handshake.receive(message);
    const secret = toyKem.decapsulate(line.kemPublicKey, ciphertext);
    const { ratchet, frames: plaintext } = line.handshake.finish(secret, this.now);
    const first = Link.ofFirstPacket({ ratchet, plaintext, padding: "none", jitter: 0, now: this.now });
    line.serverLink = first.link;
    this.server.accept(first.link, first.hello, line.result, first.rest, this.now);
  }

  /** Delivers what waits for the client on `line`. */
  deliverDown(line: Line): void {
    for (const message of line.down.splice(0)) this.client.receive(line.clientLink, message, this.now);
    this.flush();
  }

  /** Delivers everything, acknowledgements that take their time included, until nothing moves. */
  run(): void {
    this.flush();
    for (let quiet = 0; quiet < 3; ) {
      const waiting = [...this.#lines].some(({ up, down }) => up.length + down.length > 0);
      quiet = waiting ? 0 : quiet + 1;
      for (const line of this.#lines) this.deliverUp(line);
      for (const line of this.#lines) this.deliverDown(line);
      this.now += ACK_DELAY_MS;
      this.flush();
    }
  }

  /** A stream whose far connection stands. */
  openStream(): number {
    const stream = this.open();
    this.run();
    this.server.respond(stream, "connected", this.now);
    this.run();
    return stream;
  }

  open(): number {
    const stream = this.client.open({ host: { kind: "name", name: "example.com" }, port: 80 }, this.now);
    if (stream === undefined) throw new Error("no stream");
    return stream;
  }

  /** Bytes of `data` events of `stream` that were not taken before. */
  received(events: TunnelEvent[], stream: number): number {
    let count = 0;
    for (const event of events)
      if (event.kind === "data" && event.stream === stream) count += event.bytes.length;
    return count;
  }
}
