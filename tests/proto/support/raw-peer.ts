import { ProtocolError, type ProtocolErrorName } from "../../../src/proto/errors.ts";
import {
  type Frame,
  type HelloFrame,
  LIMITS,
  Link,
  Tunnel,
  type TunnelEvent,
} from "../../../src/proto/index.ts";
import { repeated } from "./bytes.ts";
import { seededRandom } from "./random.ts";
import { ratchetPair } from "./ratchets.ts";

const NO_UNITS = { units: [], appLimited: true } as const;

export const HELLO: HelloFrame = {
  type: "hello",
  tunnel: repeated(7, 32),
  slot: 0,
  gen: 1,
  capabilities: 0,
  poolBytes: LIMITS.poolBytes,
  base: 0,
  entries: 0,
};

export const ACCEPT = {
  type: "accept",
  result: "created",
  capabilities: 0,
  poolBytes: LIMITS.poolBytes,
  maxStreams: 16_384,
  entries: 0,
} as const;

/**
 * A tunnel whose peer is the test: it seals any frames at all and sees every frame that comes back. Packets are opened
 * at once, so that nothing but the frames themselves can be wrong.
 */
export class RawPeer {
  readonly tunnel: Tunnel;
  readonly events: TunnelEvent[] = [];
  /** What the tunnel has sent. */
  readonly frames: Frame[] = [];
  now = 0;
  /** Nothing that the tunnel has to say is taken: its carrier takes no more. */
  deaf = false;
  readonly #link: Link;
  readonly #tunnelLink: Link;

  private constructor(tunnel: Tunnel, link: Link, tunnelLink: Link) {
    this.tunnel = tunnel;
    this.#link = link;
    this.#tunnelLink = tunnelLink;
  }

  /** The test is the client of a server's tunnel. */
  static ofServer(
    options: {
      poolBytes?: number;
      resumeWindowMs?: number;
      hello?: Partial<HelloFrame>;
      rest?: Frame[];
    } = {},
  ): RawPeer {
    const random = seededRandom("raw client");
    const { client, server } = ratchetPair(random);
    const tunnel = new Tunnel({
      role: "server",
      random,
      padding: "none",
      ...(options.poolBytes === undefined ? {} : { poolBytes: options.poolBytes }),
      ...(options.resumeWindowMs === undefined ? {} : { resumeWindowMs: options.resumeWindowMs }),
    });
    const common = { padding: "none", jitter: 0.5, now: 0 } as const;
    const link = new Link({ ...common, slot: 0, gen: 1, ratchet: client });
    const hello = { ...HELLO, ...options.hello };
    const { lead } = link.seal([hello, ...(options.rest ?? [])], { ...NO_UNITS, body: false }, 0);
    const plaintext = server.open(lead, undefined, 0).frames;
    const first = Link.ofFirstPacket({ ...common, ratchet: server, plaintext });
    const peer = new RawPeer(tunnel, link, first.link);
    tunnel.accept(first.link, first.hello, "created", first.rest, 0);
    peer.flush();
    return peer;
  }

  /** The test is the server of a client's tunnel. Nothing is answered before the test does. */
  static ofClient(prepare: (tunnel: Tunnel) => void = () => {}): RawPeer {
    const random = seededRandom("raw server");
    const { client, server } = ratchetPair(random);
    const tunnel = new Tunnel({ role: "client", random, padding: "none" });
    const common = { padding: "none", jitter: 0.5, now: 0 } as const;
    const tunnelLink = new Link({ ...common, slot: 0, gen: 1, ratchet: client });
    prepare(tunnel);
    tunnel.offer(tunnelLink, repeated(7, 32));
    const hello = tunnel.pollTransmit(0);
    if (hello === undefined) throw new Error("no Hello");
    const plaintext = server.open(hello.lead, undefined, 0).frames;
    const first = Link.ofFirstPacket({ ...common, ratchet: server, plaintext });
    const peer = new RawPeer(tunnel, first.link, tunnelLink);
    peer.frames.push(first.hello, ...first.rest);
    peer.flush();
    return peer;
  }

  /** Gives the tunnel one packet of `frames`. */
  send(...frames: Frame[]): void {
    this.#give(frames, false);
  }

  /** A packet whose last frame has its bytes in the body. */
  sendBody(...frames: Frame[]): void {
    this.#give(frames, true);
  }

  #give(frames: Frame[], body: boolean): void {
    const packet = this.#link.seal(frames, { ...NO_UNITS, body }, this.now);
    try {
      this.tunnel.receive(this.#tunnelLink, packet.lead, this.now);
      if (packet.body !== undefined) this.tunnel.receive(this.#tunnelLink, packet.body, this.now);
    } finally {
      this.flush();
    }
  }

  /** `send`, and the error that it is answered with. */
  refusal(...frames: Frame[]): ProtocolErrorName | "none" {
    try {
      this.send(...frames);
      return "none";
    } catch (error) {
      if (error instanceof ProtocolError) return error.reason;
      throw error;
    }
  }

  /** Takes what the tunnel has to say. */
  flush(): void {
    if (this.deaf) return;
    for (let event = this.tunnel.pollEvent(); event !== undefined; event = this.tunnel.pollEvent()) {
      this.events.push(event);
    }
    let packet = this.tunnel.pollTransmit(this.now);
    for (; packet !== undefined; packet = this.tunnel.pollTransmit(this.now)) {
      this.frames.push(...this.#link.receive(packet.lead, this.now));
      if (packet.body !== undefined) this.frames.push(...this.#link.receive(packet.body, this.now));
    }
    for (let event = this.tunnel.pollEvent(); event !== undefined; event = this.tunnel.pollEvent()) {
      this.events.push(event);
    }
  }

  /** Lets time pass, so that delayed acknowledgements and credit go out. */
  wait(ms: number): void {
    this.now += ms;
    this.tunnel.tick(this.now);
    this.flush();
  }

  /** Frames of one type among those that the tunnel sent. */
  sent<Type extends Frame["type"]>(type: Type): Extract<Frame, { type: Type }>[] {
    return this.frames.filter((frame): frame is Extract<Frame, { type: Type }> => frame.type === type);
  }
}

export function connectFrame(stream: number): Frame {
  return {
    type: "proxyConnect",
    stream,
    destination: { host: { kind: "name", name: "a.example" }, port: 80 },
  };
}

export function dataFrame(stream: number, firstUnit: number, length: number, fin = false): Frame {
  return { type: "proxyData", stream, firstUnit, fin, bytes: new Uint8Array(length) };
}
