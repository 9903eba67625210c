import { assert } from "./assert.ts";
import type { AttachedLink } from "./attached-link.ts";
import type { Destination, DialResult } from "./destination.ts";
import { ProtocolError } from "./errors.ts";
import type { TunnelEvent } from "./events.ts";
import type { AcceptResult, Frame, HelloFrame, ResetCode } from "./frames.ts";
import { LIMITS } from "./limits.ts";
import type { Link, SealedPacket } from "./link.ts";
import { accept, detach, giveUp, offer, withdraw } from "./tunnel-attach.ts";
import { TunnelCore, type TunnelOptions } from "./tunnel-core.ts";
import { consumed, receiveFrame } from "./tunnel-receive.ts";
import { nextPacket } from "./tunnel-transmit.ts";

export type { TunnelOptions } from "./tunnel-core.ts";

/** A packet and the link it belongs on. */
export interface Transmit extends SealedPacket {
  readonly link: Link;
}

/**
 * One end of a tunnel, without IO (step 4 of the journey in docs/ARCHITECTURE.md): messages and commands go in, then
 * `pollEvent` says what to tell the applications, `pollTransmit` what to send, `nextWake` when to call `tick`. Times
 * are ms of any steady clock. After a `ProtocolError` the link that caused it must be closed and detached.
 */
export class Tunnel {
  readonly #core: TunnelCore;

  constructor(options: TunnelOptions) {
    this.#core = new TunnelCore(options);
  }

  /**
   * Client: offers a fresh link. `secret` is the tunnel's id (32 bytes), `join` an invite's secret (16 bytes). Another
   * secret than before asks a server that knows nothing of this tunnel for one: once it has accepted, what was started
   * before is lost, and the links that this side still had are told `dead`.
   */
  offer(link: Link, secret: Uint8Array, join?: Uint8Array): void {
    assert(secret.length === 32, "a tunnel's secret has 32 bytes");
    offer(this.#core, link, secret, join);
  }

  /**
   * Client: no link is left or offered, and the server will have given the tunnel up. Streams of which anything was sent
   * are lost, the others wait for a link; the next secret offered is that of another tunnel.
   */
  giveUp(): void {
    giveUp(this.#core);
  }

  /** Server: takes a link whose first frame was `hello`; `rest` are the frames behind it. */
  accept(link: Link, hello: HelloFrame, result: AcceptResult, rest: readonly Frame[], now: number): void {
    const attached = accept(this.#core, link, hello, result, now);
    this.#receiveFrames(attached, rest, now);
  }

  /** A link is gone. Does nothing for one that was replaced before. */
  detach(link: Link): void {
    const pending = this.#core.pending.get(link.slot);
    if (pending?.link === link) withdraw(this.#core, pending);
    else if (this.#core.links.get(link.slot)?.link === link) detach(this.#core, link.slot);
  }

  /** Server: hands the client a new gate key, 32 bytes, over every link. */
  sendGateKey(key: Uint8Array): void {
    for (const attached of this.#core.links.values()) attached.frames.push({ type: "gateKey", key });
  }

  /** Server: asks the client to replace its links soon and to start nothing on them, nor on those that it takes later. */
  goAway(): void {
    this.#core.goesAway = true;
    for (const attached of this.#core.links.values()) attached.frames.push({ type: "goAway" });
  }

  /** The network has changed: make sure within seconds that the links still live. */
  checkLinks(now: number): void {
    for (const { link } of this.#core.links.values()) link.liveness.probe(now);
  }

  /** This process or its machine has slept: the same, and no link is given up for a silence that was our own. */
  woke(now: number): void {
    for (const attached of this.#core.links.values()) {
      attached.suspected = false;
      attached.link.liveness.woke(now);
    }
  }

  /** One message from a link's carrier. @throws ProtocolError */
  receive(link: Link, message: Uint8Array, now: number): void {
    const attached = this.#attached(link);
    if (attached === undefined) return;
    attached.suspected = false;
    this.#receiveFrames(attached, link.receive(message, now), now);
  }

  #receiveFrames(attached: AttachedLink, frames: readonly Frame[], now: number): void {
    for (const frame of frames) {
      if (attached.frames.length + attached.resetAcks.size > LIMITS.maxControlFrames)
        throw new ProtocolError("tooLarge", "control frames to answer");
      receiveFrame(this.#core, attached, frame, now);
    }
    attached.link.expectAnswer(now);
  }

  #attached(link: Link): AttachedLink | undefined {
    const { links, pending } = this.#core;
    const attached = links.get(link.slot);
    if (attached?.link === link) return attached;
    const waiting = pending.get(link.slot);
    return waiting?.link === link ? waiting : undefined;
  }

  /** Client: opens a stream. Undefined when the server takes no more at once. */
  open(destination: Destination, now: number): number | undefined {
    const core = this.#core;
    if (core.streams.size >= core.maxStreams) return undefined;
    const stream = core.streams.create();
    stream.sending.open({ type: "proxyConnect", stream: stream.id, destination });
    core.ensureHome(stream);
    core.linkOf(stream)?.link.liveness.check(now);
    core.wake(stream, now);
    return stream.id;
  }

  /** Server: answers a `connect` event. After a failure the stream takes no bytes. */
  respond(id: number, result: DialResult, now: number): void {
    const stream = this.#core.streams.get(id);
    if (stream?.phase.kind === "open") this.#core.respond(stream, result, now);
  }

  /** Queues bytes, which the tunnel takes over (`release`). False: pause until the `writable` event. */
  write(id: number, bytes: Uint8Array, now: number): boolean {
    const core = this.#core;
    const stream = core.streams.get(id);
    if (stream?.phase.kind !== "open" || bytes.length === 0) return true;
    core.streams.settle(stream, () => stream.sending.write(bytes));
    core.wake(stream, now);
    return core.mayWriteOn(stream);
  }

  /** The application sends no more on this stream. */
  finish(id: number, now: number): void {
    const stream = this.#core.streams.get(id);
    if (stream?.phase.kind !== "open" || stream.sending.finished) return;
    stream.sending.finish();
    this.#core.wake(stream, now);
  }

  /** The application took bytes of a `data` event: opens credit. */
  consumed(id: number, count: number, now: number): void {
    const stream = this.#core.streams.get(id);
    if (stream?.phase.kind === "open") consumed(this.#core, stream, count, now);
  }

  /** Breaks a stream, both directions. No event follows. */
  reset(id: number, code: ResetCode): void {
    const core = this.#core;
    const stream = core.streams.get(id);
    if (stream === undefined || stream.phase.kind === "reset") return;
    const attached = core.linkOf(stream);
    if (attached === undefined && !stream.sending.started && core.role === "client") return core.drop(stream);
    attached?.scheduler.remove(stream);
    attached?.updates.delete(stream);
    core.poolBlocked.delete(stream);
    core.pausedReaders.delete(stream);
    stream.phase = { kind: "reset", code };
    core.streams.settle(stream, () => stream.sending.abandon());
    attached?.resets.add(stream);
  }

  /** The tunnel is lost: every stream breaks. */
  breakAll(code: ResetCode): void {
    for (const stream of [...this.#core.streams.values()]) this.#core.breakStream(stream, code);
  }

  pollEvent(): TunnelEvent | undefined {
    return this.#core.events.take();
  }

  /** The next packet to send; call until undefined. The carrier must keep the order and lead and body together. */
  pollTransmit(now: number): Transmit | undefined {
    for (const attached of [...this.#core.links.values(), ...this.#core.pending.values()]) {
      const packet = attached.maySend ? nextPacket(this.#core, attached, now) : undefined;
      if (packet === undefined) continue;
      attached.sent(packet);
      return { ...packet, link: attached.link };
    }
    return undefined;
  }

  /** When `tick` should be called next; infinity when there is nothing to wait for. */
  nextWake(): number {
    let wake = Number.POSITIVE_INFINITY;
    for (const { link, suspected, renewAt } of this.#core.links.values()) {
      wake = Math.min(wake, link.liveness.nextWake(suspected), link.ackDueAt, renewAt);
    }
    return wake;
  }

  /** Looks at the clock: links that have been silent for too long, or are old. Acknowledgements go out by `pollTransmit`. */
  tick(now: number): void {
    for (const attached of this.#core.links.values()) {
      const health = attached.link.liveness.health(now);
      const { slot } = attached.link;
      if (health === "dead") this.#core.events.push({ kind: "dead", slot });
      else if (health === "suspect" && !attached.suspected) {
        attached.suspected = true;
        this.#core.events.push({ kind: "suspect", slot });
      }
      if (now >= attached.renewAt) {
        attached.renewAt = Number.POSITIVE_INFINITY;
        this.#core.events.push({ kind: "aged", slot });
      }
    }
  }

  /** Throws unless the sums that are kept agree with the streams. For simulators. */
  check(): void {
    this.#core.streams.check();
  }

  /** Numbers of one slot, for status pages: counts its streams. */
  slotStats(slot: number): SlotStats {
    const rttMs = this.#core.links.get(slot)?.link.flight.rttMs;
    const streams = this.#core.streams.countAt(slot);
    return { streams, ...(rttMs === undefined ? {} : { rttMs }) };
  }

  /** Numbers for status pages, limits and tests. Bytes where not said otherwise. */
  stats(): TunnelStats {
    const { streams, links } = this.#core;
    const rttMs = links.values().next().value?.link.flight.rttMs;
    return {
      streams: streams.size,
      heldBytes: streams.heldBytes,
      ourPoolUsed: streams.ourPoolUsed,
      peerPoolUsed: streams.peerPoolUsed,
      links: links.size,
      ...(rttMs === undefined ? {} : { rttMs }),
    };
  }
}

/** One slot: the round trip of its link, if it has one, and how many streams are at home there. */
export interface SlotStats {
  readonly streams: number;
  readonly rttMs?: number;
}

export interface TunnelStats {
  readonly streams: number;
  readonly heldBytes: number;
  /** Received and not consumed, beyond the exemptions. */
  readonly ourPoolUsed: number;
  /** Sent and not known to be consumed, beyond the exemptions. */
  readonly peerPoolUsed: number;
  readonly links: number;
  readonly rttMs?: number;
}
