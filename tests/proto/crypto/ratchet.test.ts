import { describe, expect, test } from "bun:test";
import { concatBytes } from "../../../src/proto/crypto/octets.ts";
import type { Packet } from "../../../src/proto/crypto/packet.ts";
import { SplitRatchet } from "../../../src/proto/crypto/ratchet.ts";
import type { Random } from "../../../src/proto/random.ts";
import { ascii, flipBit, hex, repeated, toHex } from "../support/bytes.ts";
import { protocolErrorOf } from "../support/errors.ts";
import { seededRandom } from "../support/random.ts";
import { type RatchetPair, ratchetPair, watchedPrimitives } from "../support/ratchets.ts";

const HOUR = 3_600_000;
const MiB = 1024 * 1024;
const empty = repeated(0, 0);
const startsChain = ({ lead }: Packet) => ((lead[0] ?? 0) & 1) === 1;

/** Opens as a link does: what the flags say decides whether the second message belongs to the first. */
function open(ratchet: SplitRatchet, { lead, body }: Packet, now = 0) {
  const follows = SplitRatchet.bodyFollows(lead);
  return ratchet.open(lead, follows ? (body ?? repeated(1, 20)) : undefined, now);
}

/** Seals at one end and opens at the other. */
function send(from: SplitRatchet, to: SplitRatchet, now = 0, frames = ascii("frames")): Packet {
  const packet = from.seal(frames, undefined, now);
  expect(toHex(open(to, packet, now).frames)).toBe(toHex(frames));
  return packet;
}

/** A pair whose both first packets have been exchanged: both chains stand, and it is the client's turn. */
function connected(options = {}): RatchetPair {
  const pair = ratchetPair(seededRandom("connected"), options);
  send(pair.client, pair.server);
  send(pair.server, pair.client);
  return pair;
}

describe("a packet", () => {
  test("starts with 5 bytes, or 41 at the start of a chain, and costs 16 more", () => {
    const { client, server } = ratchetPair(seededRandom("sizes"));
    const first = send(client, server, 0, repeated(1, 100));
    expect(first.lead).toHaveLength(41 + 100 + 16);
    expect(toHex(first.lead.subarray(0, 9))).toBe("010000000000000000");
    const second = send(client, server, 0, repeated(1, 100));
    expect(second.lead).toHaveLength(5 + 100 + 16);
    expect(toHex(second.lead.subarray(0, 5))).toBe("0000000001");
    expect(send(client, server, 0, empty).lead).toHaveLength(21);
  });

  test("carries bulk in a body of the same length", () => {
    const { client, server } = connected();
    const chunk = seededRandom("bulk")(100_000);
    const packet = client.seal(ascii("data"), chunk, 0);
    expect(packet.lead[0]).toBe(2);
    expect(packet.body).toHaveLength(chunk.length);
    const opened = server.open(packet.lead, packet.body, 0);
    expect(toHex(opened.frames)).toBe(toHex(ascii("data")));
    expect(opened.chunk?.toHex()).toBe(toHex(chunk));
  });

  test("is never the same twice", () => {
    const { client } = connected();
    const leads = Array.from({ length: 50 }, () =>
      toHex(client.seal(ascii("same"), undefined, 0).lead.subarray(5)),
    );
    expect(new Set(leads).size).toBe(50);
  });

  test.each([
    ["no bytes", ""],
    ["less than a header and a tag", "00".repeat(20)],
    ["a chain's start without a key", `01${"00".repeat(55)}`],
    ["a reserved flag", `04${"00".repeat(60)}`],
    ["all flags", `ff${"00".repeat(60)}`],
  ])("of %s is malformed", (_, lead) => {
    const { client } = connected();
    expect(protocolErrorOf(() => open(client, { lead: hex(lead) }))).toBe("malformed");
  });

  test("has no empty body", () => {
    const { client, server } = connected();
    expect(() => client.seal(ascii("x"), empty, 0)).toThrow("a body is never empty");
    const { lead } = client.seal(ascii("x"), repeated(1, 1), 0);
    expect(protocolErrorOf(() => server.open(lead, empty, 0))).toBe("malformed");
  });

  test("is opened with the body that it announces", () => {
    const { client, server } = connected();
    const { lead, body } = client.seal(ascii("x"), repeated(1, 10), 0);
    expect(() => server.open(lead, undefined, 0)).toThrow("with the body its lead announces");
    server.open(lead, body, 0);
    const small = client.seal(ascii("x"), undefined, 0);
    expect(() => server.open(small.lead, repeated(1, 10), 0)).toThrow("with the body its lead announces");
  });

  // AES-GCM sees frames ‖ chunk as one text: only the length in the associated data keeps the cut in its place.
  test.each([1, 5, 20])("cannot have %d bytes moved between lead and body", (count) => {
    const { client, server } = connected();
    const { lead, body = empty } = client.seal(repeated(1, 40), repeated(2, 60), 0);
    const tag = lead.subarray(lead.length - 16);
    const frames = lead.subarray(0, lead.length - 16);
    const toBody = {
      lead: concatBytes(frames.subarray(0, frames.length - count), tag),
      body: concatBytes(frames.subarray(frames.length - count), body),
    };
    const toLead = {
      lead: concatBytes(frames, body.subarray(0, count), tag),
      body: body.subarray(count),
    };
    for (const moved of [toBody, toLead]) expect(protocolErrorOf(() => open(server, moved))).toBe("badTag");
    server.open(lead, body, 0);
  });
});

describe("the first packets", () => {
  test("start both chains: the server steps at once, the client waits for its turn to be due", () => {
    const { client, server } = ratchetPair(seededRandom("first"));
    expect(startsChain(send(client, server))).toBe(true);
    expect(startsChain(send(client, server))).toBe(false);
    expect(startsChain(send(server, client))).toBe(true);
    expect(startsChain(send(server, client))).toBe(false);
    expect(startsChain(send(client, server))).toBe(false);
  });

  test("come from the client", () => {
    const { client, server } = ratchetPair(seededRandom("order"));
    expect(() => server.seal(ascii("x"), undefined, 0)).toThrow("the responder seals before it has opened");
    expect(protocolErrorOf(() => client.open(repeated(0, 30), undefined, 0))).toBe("unexpectedPacket");
    expect(protocolErrorOf(() => server.open(repeated(0, 30), undefined, 0))).toBe("unexpectedPacket");
  });
});

describe("the step policy", () => {
  const chains = (pair: RatchetPair, times: readonly number[]) =>
    times.map((now) => [
      startsChain(send(pair.client, pair.server, now)),
      startsChain(send(pair.server, pair.client, now)),
    ]);

  test("renews both keys every 120 s of a link in use", () => {
    const pair = connected();
    expect(chains(pair, [1_000, 119_999, 120_000, 121_000, 239_999, 240_000])).toEqual([
      [false, false],
      [false, false],
      [true, true],
      [false, false],
      [false, false],
      [true, true],
    ]);
  });

  test("takes turns: whoever has stepped waits for the other, however long", () => {
    const { client, server } = connected({ overdueAfterMs: Number.POSITIVE_INFINITY });
    expect(startsChain(send(client, server, HOUR))).toBe(true);
    expect(startsChain(send(client, server, 5 * HOUR))).toBe(false);
    expect(startsChain(send(server, client, 5 * HOUR))).toBe(true);
    expect(startsChain(send(client, server, 5 * HOUR))).toBe(true);
  });

  test("counts what was opened as well as what was sealed, so that a download does not run on one chain", () => {
    const { client, server } = connected({ stepAfterBytes: MiB });
    const chunk = repeated(1, 64 * 1024);
    let clientSteps = 0;
    let serverSteps = 0;
    for (let index = 0; index < 256; index++) {
      const packet = server.seal(ascii("data"), chunk, 0);
      serverSteps += Number(startsChain(packet));
      client.open(packet.lead, packet.body, 0);
      if (index % 4 === 3) clientSteps += Number(startsChain(send(client, server)));
    }
    // 16 MiB down, a key for each MiB or the little more until the client says something.
    expect(clientSteps).toBeGreaterThanOrEqual(12);
    expect(serverSteps).toBeGreaterThanOrEqual(12);
  });

  test("ends a link whose peer keeps an old chain for 360 s of its turn", () => {
    const { client, server } = connected();
    // It is the server's turn from now on; its packets are sealed by a clock that stands still.
    expect(startsChain(send(client, server, 120_000))).toBe(true);
    const seal = () => server.seal(ascii("x"), undefined, 1_000);
    open(client, seal(), 480_000);
    const late = seal();
    const before = client.fingerprint();
    expect(protocolErrorOf(() => open(client, late, 480_001))).toBe("overdueStep");
    expect(client.fingerprint()).toEqual(before);
    // A new chain is in time whenever it comes.
    const { server: honest, client: patient } = connected();
    send(patient, honest, 120_000);
    send(honest, patient, 10 * HOUR);
  });

  test("ends a link whose peer keeps an old chain for 4 GiB of its turn", () => {
    const { client, server } = connected({ overdueAfterBytes: 4 * MiB, stepAfterBytes: MiB });
    const lazy = connected({ overdueAfterBytes: 4 * MiB, stepAfterBytes: Number.POSITIVE_INFINITY });
    const chunk = repeated(1, 256 * 1024);
    const download = (from: SplitRatchet, to: SplitRatchet) => {
      for (let index = 0; index < 20; index++) {
        const packet = from.seal(ascii("data"), chunk, 0);
        to.open(packet.lead, packet.body, 0);
        // The other side has stepped: it is the sender's turn.
        if (index === 0) send(to, from, 120_000);
      }
    };
    download(server, client);
    expect(protocolErrorOf(() => download(lazy.server, lazy.client))).toBe("overdueStep");
  });

  test("a second step out of turn is refused", () => {
    const random = seededRandom("out of turn");
    const { client, server } = ratchetPair(random);
    send(client, server);
    const again = client.seal(ascii("x"), undefined, 0);
    const forged = concatBytes(Uint8Array.of(1), repeated(0, 8), random(32), again.lead.subarray(5));
    expect(protocolErrorOf(() => open(server, { lead: forged }))).toBe("unexpectedPacket");
    open(server, again);
  });
});

describe("a chain", () => {
  test("refuses to wrap, at the sender and at the receiver", () => {
    const { client, server } = connected({ maxPackets: 5 });
    for (let index = 1; index < 5; index++) send(client, server);
    expect(protocolErrorOf(() => client.seal(ascii("x"), undefined, 0))).toBe("chainExhausted");
    const lead = concatBytes(hex("00 ffffffff"), repeated(0, 16));
    expect(protocolErrorOf(() => open(connected().server, { lead }))).toBe("chainExhausted");
  });

  test("of the peer is not believed to have had more packets than it had", () => {
    const { client, server } = connected();
    const lost = client.seal(ascii("lost"), undefined, 0);
    const next = client.seal(ascii("next"), undefined, 120_000);
    expect(startsChain(next)).toBe(true);
    const before = server.fingerprint();
    expect(protocolErrorOf(() => open(server, next, 120_000))).toBe("unexpectedPacket");
    expect(server.fingerprint()).toEqual(before);
    open(server, lost, 120_000);
    open(server, next, 120_000);
  });

  test("that has ended opens nothing any more", () => {
    const { client, server } = connected();
    const old = send(client, server);
    send(client, server, 120_000);
    // Where its number is the expected one of the new chain, its key is not.
    for (const reason of ["badTag", "unexpectedPacket", "unexpectedPacket"] as const) {
      expect(protocolErrorOf(() => open(server, old, 120_000))).toBe(reason);
      send(client, server, 120_000);
    }
  });
});

describe("secrets", () => {
  test("are wiped: of all keys ever derived only those of the present chains are left", () => {
    const { primitives, secrets } = watchedPrimitives();
    const { random, drawn } = watchedRandom("wiping");
    const { client, server } = ratchetPair(random, { stepAfterMs: 10 }, primitives);
    for (let now = 0; now < 500; now += 5) {
      for (const [from, to] of [
        [client, server],
        [server, client],
      ] as const) {
        const packet = from.seal(ascii("frames"), undefined, now);
        const forged = { lead: flipBit(packet.lead, packet.lead.length * 8 - 1) };
        expect(protocolErrorOf(() => open(to, forged, now))).toBe("badTag");
        open(to, packet, now);
      }
    }
    const alive = secrets.filter((bytes) => bytes.some((byte) => byte !== 0));
    // A chain key for each direction, at both ends.
    expect(new Set(alive).size).toBe(4);
    expect(drawn.length).toBeGreaterThan(80);
    expect(drawn.every((bytes) => bytes.every((byte) => byte === 0))).toBe(true);
    client.wipe();
    server.wipe();
    expect(alive.every((bytes) => bytes.every((byte) => byte === 0))).toBe(true);
  });

  test("once wiped open and seal nothing", () => {
    const { client, server } = connected();
    const packet = client.seal(ascii("x"), undefined, 0);
    client.wipe();
    server.wipe();
    expect(() => client.seal(ascii("x"), undefined, 0)).toThrow("used after wipe");
    expect(() => open(server, packet)).toThrow("used after wipe");
  });
});

function watchedRandom(seed: string): { random: Random; drawn: Uint8Array[] } {
  const source = seededRandom(seed);
  const drawn: Uint8Array[] = [];
  const random: Random = (length) => {
    const bytes = source(length);
    drawn.push(bytes);
    return bytes;
  };
  return { random, drawn };
}
