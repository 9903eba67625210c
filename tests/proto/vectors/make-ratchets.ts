import { concatBytes } from "../../../src/proto/crypto/octets.ts";
import type { Packet } from "../../../src/proto/crypto/packet.ts";
import type { Primitives } from "../../../src/proto/crypto/primitives/index.ts";
import { type RatchetStart, SplitRatchet } from "../../../src/proto/crypto/ratchet.ts";
import type { ProtocolErrorName } from "../../../src/proto/errors.ts";
import { flipBit, hex, repeated, toHex } from "../support/bytes.ts";
import { scriptedRandom, seededRandom } from "../support/random.ts";
import { suiteOf } from "./make-handshakes.ts";

/** What both ends of a session start with, in hex, and the ratchet secrets that each will draw, in order. */
export interface SessionStart {
  readonly suite: string;
  readonly th: string;
  readonly RK0: string;
  readonly prekeySecret: string;
  readonly maxSkip: number;
  readonly stepAfterMs: number;
}

export interface SessionPacket {
  readonly from: string;
  readonly atMs: number;
  /** Present if this packet starts a chain: the sender's new ratchet secret. */
  readonly ratchetSecret?: string | undefined;
  readonly frames: string;
  readonly chunk?: string | undefined;
}

/** Both ends of a session. */
export function endsOf(start: SessionStart, packets: readonly SessionPacket[], primitives: Primitives) {
  const prekey = primitives.x25519KeyPair(hex(start.prekeySecret));
  const drawnBy = (side: string) =>
    scriptedRandom(
      packets.flatMap(({ from, ratchetSecret }) =>
        from === side && ratchetSecret ? [hex(ratchetSecret)] : [],
      ),
    );
  const startOf = (side: string): RatchetStart => ({
    primitives,
    suite: suiteOf(start.suite),
    random: drawnBy(side),
    transcript: hex(start.th),
    rootKey: hex(start.RK0),
    options: { maxSkip: start.maxSkip, stepAfterMs: start.stepAfterMs },
  });
  return {
    client: SplitRatchet.initiator(startOf("client"), prekey.publicKey, 0),
    server: SplitRatchet.responder(startOf("server"), prekey),
  };
}

export function sealAt(ends: ReturnType<typeof endsOf>, packet: SessionPacket): Packet {
  const sender = packet.from === "client" ? ends.client : ends.server;
  return sender.seal(
    hex(packet.frames),
    packet.chunk === undefined ? undefined : hex(packet.chunk),
    packet.atMs,
  );
}

export function makeRatchetVectors(primitives: Primitives) {
  return {
    description:
      "Sessions of the ratchet after a handshake that gave th and RK0. Packets are sealed and opened in the order listed (`opened` where it differs); each entry of bad is refused by `to` with `error` right after packet `after`, and changes nothing.",
    sessions: [
      linkSession(primitives, "aes-256-gcm"),
      linkSession(primitives, "chacha20-poly1305"),
      signalSession(primitives),
    ],
  };
}

function linkSession(primitives: Primitives, suite: string) {
  const random = seededRandom(`rvpn/2 ratchet vectors ${suite}`);
  const draw = (length: number) => toHex(random(length));
  const start = {
    suite,
    th: draw(32),
    RK0: draw(32),
    prekeySecret: draw(32),
    maxSkip: 0,
    stepAfterMs: 120_000,
  };
  const packet = (from: string, atMs: number, steps = false, chunkLength = 0): SessionPacket => ({
    from,
    atMs,
    ...(steps ? { ratchetSecret: draw(32) } : {}),
    frames: draw(12),
    ...(chunkLength > 0 ? { chunk: draw(chunkLength) } : {}),
  });
  const packets = [
    packet("client", 0, true),
    packet("client", 1),
    packet("server", 2, true),
    packet("server", 3, false, 40),
    packet("client", 119_999, false, 33),
    packet("client", 120_000, true, 25),
    packet("server", 120_001),
    packet("server", 122_000, true),
    packet("client", 239_000),
    packet("client", 240_000, true),
  ];
  const ends = endsOf(start, packets, primitives);
  const sealed = packets.map((each) => {
    const result = sealAt(ends, each);
    const receiver = each.from === "client" ? ends.server : ends.client;
    receiver.open(result.lead, result.body, each.atMs);
    return result;
  });
  return {
    start,
    packets: packets.map((each, index) => toEntry(each, sealed[index])),
    bad: badPackets(sealed),
  };
}

function toEntry(packet: SessionPacket, sealed: Packet | undefined) {
  const lead = toHex(sealed?.lead ?? repeated(0, 0));
  return { ...packet, lead, ...(sealed?.body === undefined ? {} : { body: toHex(sealed.body) }) };
}

function badPackets(sealed: readonly Packet[]) {
  const lead = (index: number) => sealed[index]?.lead ?? repeated(0, 0);
  const body = (index: number) => sealed[index]?.body ?? repeated(0, 0);
  const bad = (after: number, to: string, error: ProtocolErrorName, comment: string, packet: Packet) => ({
    comment,
    after,
    to,
    lead: toHex(packet.lead),
    ...(packet.body === undefined ? {} : { body: toHex(packet.body) }),
    error,
  });
  const put = (bytes: Uint8Array, at: number, value: number) =>
    bytes.map((byte, index) => (index === at ? value : byte));
  const tag = lead(3).subarray(-16);
  const moved = {
    lead: concatBytes(lead(3).subarray(0, -17), tag),
    body: concatBytes(lead(3).subarray(-17, -16), body(3)),
  };
  return [
    bad(0, "server", "malformed", "20 bytes", { lead: repeated(0, 20) }),
    bad(0, "server", "malformed", "a reserved flag", { lead: put(lead(1), 0, 0x04) }),
    bad(0, "server", "malformed", "a chain's start in a lead of 56 bytes", {
      lead: put(repeated(0, 56), 0, 0x01),
    }),
    bad(0, "server", "unexpectedPacket", "packet 0 again", { lead: lead(0) }),
    bad(0, "server", "unexpectedPacket", "packet 2 in the place of 1", { lead: put(lead(1), 4, 2) }),
    bad(0, "server", "chainExhausted", "the number that no packet has", {
      lead: concatBytes(hex("00ffffffff"), repeated(0, 16)),
    }),
    bad(0, "server", "badTag", "changed frames", { lead: flipBit(lead(1), 8 * 5) }),
    bad(0, "server", "badTag", "a changed tag", { lead: flipBit(lead(1), 8 * lead(1).length - 1) }),
    bad(0, "server", "badTag", "cut by a byte", { lead: lead(1).subarray(0, -1) }),
    bad(0, "server", "badTag", "a body where none was sealed", {
      lead: put(lead(1), 0, 0x02),
      body: repeated(0, 5),
    }),
    bad(1, "client", "badTag", "the client's own packet sent back", { lead: lead(0) }),
    bad(1, "client", "unexpectedPacket", "no chain yet", { lead: lead(1) }),
    bad(1, "client", "badKey", "a ratchet key of small order", {
      lead: concatBytes(lead(2).subarray(0, 9), repeated(0, 32), lead(2).subarray(41)),
    }),
    bad(1, "client", "unexpectedPacket", "a previous chain that never was", { lead: put(lead(2), 8, 1) }),
    bad(2, "client", "malformed", "an empty body", { lead: lead(3), body: repeated(0, 0) }),
    bad(2, "client", "badTag", "a changed body", { lead: lead(3), body: flipBit(body(3), 9) }),
    bad(2, "client", "badTag", "the body cut by a byte", { lead: lead(3), body: body(3).subarray(1) }),
    bad(2, "client", "badTag", "a byte moved from lead to body", moved),
    bad(5, "server", "unexpectedPacket", "a new chain out of turn", {
      lead: flipBit(lead(5), 8 * 9),
      body: body(5),
    }),
    bad(6, "client", "unexpectedPacket", "the old chain said to be shorter than it was", {
      lead: put(lead(7), 8, 2),
    }),
  ];
}

/** Packets of three chains, lost for a while and opened out of order. */
function signalSession(primitives: Primitives) {
  const random = seededRandom("rvpn/2 ratchet vectors with gaps");
  const draw = (length: number) => toHex(random(length));
  const start = {
    suite: "aes-256-gcm",
    th: draw(32),
    RK0: draw(32),
    prekeySecret: draw(32),
    maxSkip: 3,
    stepAfterMs: 0,
  };
  const packet = (from: string, steps = false): SessionPacket => ({
    from,
    atMs: 0,
    ...(steps ? { ratchetSecret: draw(32) } : {}),
    frames: draw(8),
  });
  const packets = [
    packet("client", true),
    packet("client"),
    packet("client"),
    packet("server", true),
    packet("server"),
    packet("client", true),
    packet("client"),
  ];
  // Sealing and opening alternate as a script: positive numbers seal a packet, negative ones open it; from 1.
  const script = [1, 2, 3, -2, 4, 5, -5, 6, 7, -7, -3, -6, -1, -4];
  const ends = endsOf(start, packets, primitives);
  const sealed: Packet[] = [];
  for (const step of script) {
    const each = packets[Math.abs(step) - 1];
    if (each === undefined) continue;
    if (step > 0) sealed.push(sealAt(ends, each));
    else
      (each.from === "client" ? ends.server : ends.client).open(
        sealed[-step - 1]?.lead ?? repeated(0, 0),
        undefined,
        0,
      );
  }
  return {
    start,
    script: script.join(" "),
    packets: packets.map((each, index) => toEntry(each, sealed[index])),
    bad: [],
  };
}
