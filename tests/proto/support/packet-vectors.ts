import { concatBytes } from "../../../src/proto/crypto/octets.ts";
import { nativePrimitives } from "../../../src/proto/crypto/primitives/index.ts";
import type { SplitRatchet } from "../../../src/proto/crypto/ratchet.ts";
import type { ProtocolErrorName } from "../../../src/proto/errors.ts";
import { type Frame, LIMITS, Link, type PaddingPolicy } from "../../../src/proto/index.ts";
import { endsOf, type SessionPacket, type SessionStart } from "../vectors/make-ratchets.ts";
import { flipBit } from "./bytes.ts";
import { toJson } from "./frame-vectors.ts";
import { encodeFrames } from "./frames.ts";
import { seededRandom } from "./random.ts";
import { connectFrame, HELLO } from "./raw-peer.ts";

/** A packet that a link seals: `frames` as they are, padding added by the policy. */
interface Sealing {
  readonly name: string;
  readonly from: "client" | "server";
  readonly frames: readonly Frame[];
  readonly body?: boolean;
  readonly extraPadding?: number;
}

export interface PacketVector {
  readonly name: string;
  readonly from: string;
  readonly frames: readonly unknown[];
  readonly extraPadding?: number;
  /** Frames and padding, as sealed. */
  readonly plaintext: string;
  readonly lead: string;
  readonly body?: string;
}

export interface BadPacket {
  readonly name: string;
  readonly after: number;
  readonly to: string;
  readonly messages: readonly string[];
  readonly error: ProtocolErrorName;
}

export interface LinkSession {
  readonly padding: PaddingPolicy;
  readonly start: SessionStart;
  readonly clientRatchetSecret: string;
  readonly serverRatchetSecret: string;
  readonly packets: readonly PacketVector[];
  readonly bad: readonly BadPacket[];
}

/** The vectors as they stand in tests/vectors/packets.json. */
export function packetVectors() {
  return {
    description:
      "Packets of a link after a handshake that gave th and RK0, all at 0 ms, opened in the order listed. `plaintext` is the lead's: `frames`, and padding by the policy and `extraPadding`; the bytes of a frame with a body are the body's plaintext. Each entry of bad is given to the link of `to` right after packet `after`, all its messages in order, and ends that link with `error`. badFirst: plaintexts of a packet 0 that a server refuses.",
    sessions: [session("none"), session("padme")],
    badFirst: BAD_FIRST,
  };
}

/** Both ratchets of a session, which draw the secrets that it names. */
export function ratchetsOf(of: Pick<LinkSession, "start" | "clientRatchetSecret" | "serverRatchetSecret">) {
  const packet = (from: string, ratchetSecret: string): SessionPacket => ({
    from,
    atMs: 0,
    ratchetSecret,
    frames: "",
  });
  const drawn = [packet("client", of.clientRatchetSecret), packet("server", of.serverRatchetSecret)];
  return endsOf(of.start, drawn, nativePrimitives);
}

/** A link of one side. */
export function linkOf(ratchet: SplitRatchet, padding: PaddingPolicy): Link {
  return new Link({ slot: HELLO.slot, gen: HELLO.gen, ratchet, padding, jitter: 0.5, now: 0 });
}

function session(padding: PaddingPolicy): LinkSession {
  const random = seededRandom(`rvpn/2 packet vectors ${padding}`);
  const draw = (length: number) => random(length).toHex();
  const start: SessionStart = {
    suite: padding === "none" ? "aes-256-gcm" : "chacha20-poly1305",
    th: draw(32),
    RK0: draw(32),
    prekeySecret: draw(32),
    maxSkip: 0,
    stepAfterMs: 120_000,
  };
  const secrets = { clientRatchetSecret: draw(32), serverRatchetSecret: draw(32) };
  const ends = ratchetsOf({ start, ...secrets });
  const links = { client: linkOf(ends.client, padding), server: linkOf(ends.server, padding) };
  const sealed: PacketVector[] = [];
  for (const packet of sealings(random(LIMITS.minBodyBytes), padding === "none")) {
    sealed.push(sealOne(packet, links[packet.from], ends));
  }
  return { padding, start, ...secrets, packets: sealed, bad: badPackets(sealed) };
}

function sealings(chunk: Uint8Array, withBody: boolean): Sealing[] {
  const data = (firstUnit: number, bytes: Uint8Array, fin = false): Frame => ({
    type: "proxyData",
    stream: 0,
    firstUnit,
    fin,
    bytes,
  });
  const request = new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n");
  const accept: Frame = {
    type: "accept",
    result: "created",
    capabilities: 0,
    poolBytes: LIMITS.poolBytes,
    maxStreams: LIMITS.maxStreams,
    entries: 0,
  };
  const response: Frame = { type: "proxyResponse", stream: 0, result: "connected" };
  const taken: Frame = {
    type: "windowUpdate",
    stream: 0,
    consumed: chunk.length,
    limit: chunk.length + 262_144,
  };
  return [
    {
      name: "packet 0: Hello, an early stream and its first bytes",
      from: "client",
      frames: [HELLO, connectFrame(0), data(1, request)],
      extraPadding: 300,
    },
    {
      name: "the server's first packet",
      from: "server",
      frames: [{ type: "packetAck", count: 1, delayUs: 450 }, accept, response],
    },
    { name: "an acknowledgement", from: "client", frames: [{ type: "packetAck", count: 1, delayUs: 9_800 }] },
    ...(withBody
      ? [{ name: "bulk: lead and body", from: "server" as const, frames: [data(1, chunk)], body: true }]
      : []),
    { name: "the end of a stream", from: "server", frames: [data(1, chunk.subarray(0, 1_000), true)] },
    { name: "credit and a ping", from: "client", frames: [taken, { type: "ping", nonce: 0 }] },
    { name: "a pong", from: "server", frames: [{ type: "pong", nonce: 0 }] },
  ];
}

function sealOne(packet: Sealing, link: Link, ends: ReturnType<typeof ratchetsOf>): PacketVector {
  const { name, from, frames, body = false, extraPadding } = packet;
  const options = {
    body,
    units: [],
    appLimited: false,
    ...(extraPadding === undefined ? {} : { extraPadding }),
  };
  const sealed = link.seal(frames, options, 0);
  const peer = from === "client" ? ends.server : ends.client;
  const plaintext = peer.open(sealed.lead, sealed.body, 0).frames;
  return {
    name,
    from,
    frames: frames.map(toJson),
    ...(extraPadding === undefined ? {} : { extraPadding }),
    plaintext: plaintext.toHex(),
    lead: sealed.lead.toHex(),
    ...(sealed.body === undefined ? {} : { body: sealed.body.toHex() }),
  };
}

/** Messages that the client's link refuses behind the server's first packet, which is packet 1. */
function badPackets(sealed: readonly PacketVector[]): BadPacket[] {
  const bytes = (text = "") => Uint8Array.fromHex(text);
  const bad = (name: string, error: ProtocolErrorName, ...messages: Uint8Array[]): BadPacket => ({
    name,
    after: 1,
    to: "client",
    messages: messages.map((message) => message.toHex()),
    error,
  });
  const next = bytes(sealed.slice(2).find(({ from, body }) => from === "server" && body === undefined)?.lead);
  const own = bytes(sealed[2]?.lead);
  const cases = [
    bad("an empty message", "malformed", new Uint8Array(0)),
    bad("20 bytes", "malformed", new Uint8Array(20)),
    bad("a reserved flag", "malformed", next.with(0, (next[0] ?? 0) | 0x80)),
    bad("the packet before again", "unexpectedPacket", bytes(sealed[1]?.lead)),
    bad("a packet left out", "unexpectedPacket", next.with(4, 2)),
    bad(
      "a new chain out of turn",
      "unexpectedPacket",
      concatBytes(next.subarray(0, 1).with(0, 1), new Uint8Array(60).fill(9)),
    ),
    bad("the client's own packet", "badTag", own),
  ];
  const bulk = sealed.find(({ body }) => body !== undefined);
  if (bulk === undefined) return [...cases, bad("a changed bit", "badTag", flipBit(next, 50))];
  const [lead, body] = [bytes(bulk.lead), bytes(bulk.body)];
  return [
    ...cases,
    bad("a lead of 20 KiB and 65 bytes", "tooLarge", new Uint8Array(LIMITS.maxFramesBytes + 65)),
    bad("a body of less than 16 KiB", "tooLarge", lead, body.subarray(1)),
    bad("the next lead instead of the body", "tooLarge", lead, next),
    bad("a changed bit in the body", "badTag", lead, flipBit(body, 77)),
    bad("a body with a byte more", "badTag", lead, concatBytes(body, Uint8Array.of(0))),
    bad(
      "a byte moved from the lead to the body",
      "badTag",
      concatBytes(lead.subarray(0, -17), lead.subarray(-16)),
      concatBytes(lead.subarray(-17, -16), body),
    ),
    bad("the flag of the body taken off", "badTag", lead.with(0, 0)),
  ];
}

/** Plaintexts of packet 0 that a server refuses although they decode. */
const BAD_FIRST: readonly {
  readonly name: string;
  readonly plaintext: string;
  readonly error: ProtocolErrorName;
}[] = [
  {
    name: "a ping in front of Hello",
    plaintext: encodeFrames([{ type: "ping", nonce: 0 }, HELLO]).toHex(),
    error: "unexpectedFrame",
  },
  { name: "no Hello", plaintext: encodeFrames([connectFrame(0)]).toHex(), error: "unexpectedFrame" },
];
