import { Writer } from "./bytes.ts";
import { SplitRatchet } from "./crypto/ratchet.ts";
import { ProtocolError } from "./errors.ts";
import { Flight, type FlightRecord } from "./flight.ts";
import { decodeFrames, encodeFrame } from "./frame-codec.ts";
import type { Frame, HelloFrame } from "./frames.ts";
import { LIMITS } from "./limits.ts";
import { Liveness } from "./liveness.ts";
import { type PaddingPolicy, paddingFor } from "./padding.ts";
import { release } from "./release.ts";

/** Stream units below `end` are in a packet: what its acknowledgement frees. */
export interface SentUnits {
  readonly stream: number;
  readonly end: number;
}

/** One packet, ready for the carrier: the lead message and, for bulk, the body message right behind it. */
export interface SealedPacket {
  readonly lead: Uint8Array;
  readonly body?: Uint8Array;
}

interface SentPacket {
  /** Ordinal on this link and direction, from 0. */
  readonly number: number;
  readonly units: readonly SentUnits[];
  readonly flight: FlightRecord;
}

export interface LinkOptions {
  readonly slot: number;
  readonly gen: number;
  readonly ratchet: SplitRatchet;
  readonly padding: PaddingPolicy;
  /** In [0, 1): spreads this link's idle pings. */
  readonly jitter: number;
  readonly now: number;
}

/** Bytes of a lead around its frames: flags, N and tag. Only the rare first packet of a chain has more. */
const LEAD_OVERHEAD_BYTES = 21;
/** Longest lead: full of frames, and the first packet of a chain. */
const MAX_LEAD_BYTES = LIMITS.maxFramesBytes + 64;
/** Acknowledgements come after a quarter of what has arrived, but not for less than this. */
const MIN_ACK_EVERY_BYTES = 32 * 1024;

/**
 * Packets of one link: pairs lead and body, opens and seals through the ratchet, numbers packets, acknowledges what
 * arrives and keeps what was sent until it is acknowledged. What the frames mean is the tunnel's business.
 */
export class Link {
  readonly slot: number;
  readonly gen: number;
  readonly flight = new Flight();
  readonly liveness: Liveness;
  readonly #ratchet: SplitRatchet;
  readonly #padding: PaddingPolicy;
  readonly #scratch = new Writer(new Uint8Array(LIMITS.maxFramesBytes));
  #waitingLead: Uint8Array | undefined;
  #sentCount = 0;
  #ackedCount = 0;
  readonly #unacked: SentPacket[] = [];
  #receivedCount = 0;
  #receivedBytes = 0;
  #ackOwedBytes = 0;
  #ackDueAt = Number.POSITIVE_INFINITY;
  #newestOwedAt = 0;

  constructor(options: LinkOptions) {
    this.slot = options.slot;
    this.gen = options.gen;
    this.#ratchet = options.ratchet;
    this.#padding = options.padding;
    this.liveness = new Liveness(options.now, options.jitter);
  }

  /**
   * Server: the link that a client's packet 0, already opened, asks for in its Hello.
   * @throws ProtocolError when the packet does not begin with Hello
   */
  static ofFirstPacket(options: Omit<LinkOptions, "slot" | "gen"> & { plaintext: Uint8Array }): FirstPacket {
    const [hello, ...rest] = decodeFrames(options.plaintext);
    if (hello?.type !== "hello")
      throw new ProtocolError("unexpectedFrame", "packet 0 does not begin with Hello");
    const link = new Link({ ...options, slot: hello.slot, gen: hello.gen });
    link.#count(options.plaintext.length, options.now);
    return { link, hello, rest };
  }

  /**
   * One message from the carrier, which is taken over: the frames of the packet it completes, or none while a body is
   * still to come.
   * @throws ProtocolError; the link must then be closed.
   */
  receive(message: Uint8Array, now: number): readonly Frame[] {
    this.liveness.heard(now);
    const lead = this.#waitingLead;
    if (lead === undefined && SplitRatchet.bodyFollows(message)) {
      if (message.length > MAX_LEAD_BYTES) throw new ProtocolError("tooLarge", "lead");
      this.#waitingLead = message;
      return [];
    }
    this.#waitingLead = undefined;
    const opened = lead === undefined ? this.#open(message, undefined, now) : this.#open(lead, message, now);
    const frames = decodeFrames(opened.frames, opened.chunk);
    const bytes = opened.frames.length + (opened.chunk?.length ?? 0);
    this.#count(frames.some(wantsAck) ? bytes : 0, now);
    if (frames.some(hasBytes)) this.liveness.heardBytes();
    return frames;
  }

  /** True when an acknowledgement should go out now, with or without anything else. */
  ackDue(now: number): boolean {
    const every = Math.max(Math.min(this.#receivedBytes / 4, LIMITS.ackEveryBytes), MIN_ACK_EVERY_BYTES);
    return this.#ackOwedBytes >= every || now >= this.#ackDueAt;
  }

  /** When an acknowledgement falls due, if one is owed. */
  get ackDueAt(): number {
    return this.#ackDueAt;
  }

  /** Makes sure that a packet goes out within the acknowledgement delay, for news that can wait that long. */
  promptWithin(now: number): void {
    this.#ackDueAt = Math.min(this.#ackDueAt, now + LIMITS.ackDelayMs);
  }

  /** The acknowledgement for the packet being built, if one is owed. */
  takeAck(now: number): Frame | undefined {
    this.#ackDueAt = Number.POSITIVE_INFINITY;
    if (this.#ackOwedBytes === 0) return undefined;
    this.#ackOwedBytes = 0;
    const delayUs = Math.max(Math.round((now - this.#newestOwedAt) * 1000), 0);
    return { type: "packetAck", count: this.#receivedCount, delayUs };
  }

  /** The peer has the first `count` packets: returns the units they carried. */
  acknowledged(count: number, delayUs: number, now: number): readonly SentUnits[] {
    if (count > this.#sentCount) throw new ProtocolError("badAck", `${count} packets of ${this.#sentCount}`);
    if (count < this.#ackedCount) throw new ProtocolError("badAck", "a count that goes down");
    this.#ackedCount = count;
    let done = 0;
    let bytes = 0;
    const units: SentUnits[] = [];
    let newest: SentPacket | undefined;
    for (const packet of this.#unacked) {
      if (packet.number >= count) break;
      done += 1;
      bytes += packet.flight.bytes;
      units.push(...packet.units);
      newest = packet;
    }
    if (newest === undefined) return units;
    this.#unacked.splice(0, done);
    this.flight.acked(bytes, newest.flight, delayUs / 1000, now);
    return units;
  }

  /**
   * Seals `frames` into the next packet; the last one's bytes travel in the body when `body` is set. `extraPadding`
   * bytes of padding hide the length of a handshake message.
   */
  seal(frames: readonly Frame[], options: SealOptions, now: number): SealedPacket {
    const { body, units, appLimited, extraPadding = 0 } = options;
    const chunk = body ? lastBytes(frames) : undefined;
    this.#encode(frames, body, extraPadding);
    const sealed = this.#ratchet.seal(this.#scratch.written(), chunk, now);
    const number = this.#sentCount;
    this.#sentCount += 1;
    if (frames.some(wantsAck)) {
      const bytes = this.#scratch.length + (chunk?.length ?? 0);
      this.#unacked.push({ number, units, flight: this.flight.sent(bytes, appLimited, now) });
      this.liveness.expectSoon(now);
    }
    return sealed;
  }

  #encode(frames: readonly Frame[], body: boolean, extraPadding: number): void {
    const writer = this.#scratch;
    writer.clear();
    frames.forEach((frame, index) => {
      encodeFrame(writer, frame, body && index === frames.length - 1);
    });
    if (body) return;
    const length = writer.length + LEAD_OVERHEAD_BYTES + extraPadding;
    const padding = Math.min(paddingFor(length, this.#padding) + extraPadding, writer.free);
    if (padding > 0) encodeFrame(writer, { type: "padding", length: padding });
  }

  #open(
    lead: Uint8Array,
    body: Uint8Array | undefined,
    now: number,
  ): { frames: Uint8Array; chunk?: Uint8Array } {
    if (lead.length > MAX_LEAD_BYTES) throw new ProtocolError("tooLarge", "lead");
    const size = body?.length;
    if (size !== undefined && (size < LIMITS.minBodyBytes || size > LIMITS.maxChunkBytes)) {
      throw new ProtocolError("tooLarge", `body of ${size} bytes`);
    }
    const opened = this.#ratchet.open(lead, body, now);
    if (body !== undefined) release(body);
    return opened;
  }

  // A packet arrived, with `bytes` that want an acknowledgement.
  #count(bytes: number, now: number): void {
    this.#receivedCount += 1;
    if (bytes === 0) return;
    this.#receivedBytes += bytes;
    this.#ackOwedBytes += bytes;
    this.#newestOwedAt = now;
    this.promptWithin(now);
  }

  /** The link is over: forgets its keys. */
  wipe(): void {
    this.#ratchet.wipe();
  }

  /** After a message was handled: what is still in flight will be acknowledged soon, so silence means something. */
  expectAnswer(now: number): void {
    if (this.flight.inFlightBytes > 0) this.liveness.expectSoon(now);
  }
}

/** What a client's packet 0 holds. */
export interface FirstPacket {
  readonly link: Link;
  readonly hello: HelloFrame;
  readonly rest: readonly Frame[];
}

export interface SealOptions {
  readonly body: boolean;
  readonly units: readonly SentUnits[];
  readonly appLimited: boolean;
  readonly extraPadding?: number;
}

/** Frames that carry something of a stream, or open the link: a packet of only others needs no acknowledgement. */
function wantsAck(frame: Frame): boolean {
  switch (frame.type) {
    case "padding":
    case "windowUpdate":
    case "packetAck":
    case "ping":
    case "pong":
      return false;
    default:
      return true;
  }
}

function hasBytes(frame: Frame): boolean {
  return frame.type === "proxyData" && frame.bytes.length > 0 && !frame.fin;
}

function lastBytes(frames: readonly Frame[]): Uint8Array | undefined {
  const last = frames.at(-1);
  return last?.type === "proxyData" ? last.bytes : undefined;
}
