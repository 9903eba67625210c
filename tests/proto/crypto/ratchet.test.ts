import { describe, expect, test } from "bun:test";
import { concatBytes } from "../../../src/proto/crypto/octets.ts";
import type { Random } from "../../../src/proto/random.ts";
import { ascii, flipBit, hex, repeated, toHex } from "../support/bytes.ts";
import { protocolErrorOf } from "../support/errors.ts";
import { seededRandom } from "../support/random.ts";
import {
  connectedPair,
  openAsLink,
  ratchetPair,
  send,
  startsChain,
  watchedPrimitives,
} from "../support/ratchets.ts";

const empty = repeated(0, 0);

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
    const { client, server } = connectedPair();
    const chunk = seededRandom("bulk")(100_000);
    const packet = client.seal(ascii("data"), chunk, 0);
    expect(packet.lead[0]).toBe(2);
    expect(packet.body).toHaveLength(chunk.length);
    const opened = server.open(packet.lead, packet.body, 0);
    expect(toHex(opened.frames)).toBe(toHex(ascii("data")));
    expect(opened.chunk?.toHex()).toBe(toHex(chunk));
  });

  test("is never the same twice", () => {
    const { client } = connectedPair();
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
    const { client } = connectedPair();
    expect(protocolErrorOf(() => openAsLink(client, { lead: hex(lead) }))).toBe("malformed");
  });

  test("has no empty body", () => {
    const { client, server } = connectedPair();
    expect(() => client.seal(ascii("x"), empty, 0)).toThrow("a body is never empty");
    const { lead } = client.seal(ascii("x"), repeated(1, 1), 0);
    expect(protocolErrorOf(() => server.open(lead, empty, 0))).toBe("malformed");
  });

  test("is opened with the body that it announces", () => {
    const { client, server } = connectedPair();
    const { lead, body } = client.seal(ascii("x"), repeated(1, 10), 0);
    expect(() => server.open(lead, undefined, 0)).toThrow("with the body its lead announces");
    server.open(lead, body, 0);
    const small = client.seal(ascii("x"), undefined, 0);
    expect(() => server.open(small.lead, repeated(1, 10), 0)).toThrow("with the body its lead announces");
  });

  // AES-GCM sees frames ‖ chunk as one text: only the length in the associated data keeps the cut in its place.
  test.each([1, 5, 20])("cannot have %d bytes moved between lead and body", (count) => {
    const { client, server } = connectedPair();
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
    for (const moved of [toBody, toLead])
      expect(protocolErrorOf(() => openAsLink(server, moved))).toBe("badTag");
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

describe("a chain", () => {
  test("refuses to wrap, at the sender and at the receiver", () => {
    const { client, server } = connectedPair({ maxPackets: 5 });
    for (let index = 1; index < 5; index++) send(client, server);
    expect(protocolErrorOf(() => client.seal(ascii("x"), undefined, 0))).toBe("chainExhausted");
    const lead = concatBytes(hex("00 ffffffff"), repeated(0, 16));
    expect(protocolErrorOf(() => openAsLink(connectedPair().server, { lead }))).toBe("chainExhausted");
  });

  test("of the peer is not believed to have had more packets than it had", () => {
    const { client, server } = connectedPair();
    const lost = client.seal(ascii("lost"), undefined, 0);
    const next = client.seal(ascii("next"), undefined, 120_000);
    expect(startsChain(next)).toBe(true);
    const before = server.fingerprint();
    expect(protocolErrorOf(() => openAsLink(server, next, 120_000))).toBe("unexpectedPacket");
    expect(server.fingerprint()).toEqual(before);
    openAsLink(server, lost, 120_000);
    openAsLink(server, next, 120_000);
  });

  test("says its key once only", () => {
    const random = seededRandom("says too much");
    const link = ratchetPair(random, {});
    const talkative = ratchetPair(seededRandom("says too much"), { maxSkip: 1 });
    send(talkative.client, link.server);
    const again = talkative.client.seal(ascii("x"), undefined, 0);
    expect(startsChain(again)).toBe(true);
    expect(protocolErrorOf(() => openAsLink(link.server, again))).toBe("unexpectedPacket");
  });

  test("that has ended opens nothing any more", () => {
    const { client, server } = connectedPair();
    const old = send(client, server);
    send(client, server, 120_000);
    // Where its number is the expected one of the new chain, its key is not.
    for (const reason of ["badTag", "unexpectedPacket", "unexpectedPacket"] as const) {
      expect(protocolErrorOf(() => openAsLink(server, old, 120_000))).toBe(reason);
      send(client, server, 120_000);
    }
  });
});

describe("secrets", () => {
  test("are wiped: of all keys ever derived only those of the present chains are left", () => {
    const { primitives, aliveSecrets, alivePairs } = watchedPrimitives();
    const { random, drawn } = watchedRandom("wiping");
    const { client, server } = ratchetPair(random, { stepAfterMs: 10 }, primitives);
    for (let now = 0; now < 500; now += 5) {
      for (const [from, to] of [
        [client, server],
        [server, client],
      ] as const) {
        const packet = from.seal(ascii("frames"), undefined, now);
        const forged = { lead: flipBit(packet.lead, packet.lead.length * 8 - 1) };
        expect(protocolErrorOf(() => openAsLink(to, forged, now))).toBe("badTag");
        openAsLink(to, packet, now);
      }
    }
    // A chain key for each direction at both ends, and the ratchet key of the side that stepped last.
    expect(aliveSecrets().size).toBe(4);
    expect(alivePairs()).toBe(1);
    expect(drawn.length).toBeGreaterThan(80);
    expect(drawn.every((bytes) => bytes.every((byte) => byte === 0))).toBe(true);
    client.wipe();
    server.wipe();
    expect([aliveSecrets().size, alivePairs()]).toEqual([0, 0]);
  });

  test("once wiped open and seal nothing", () => {
    const { client, server } = connectedPair();
    const packet = client.seal(ascii("x"), undefined, 0);
    client.wipe();
    server.wipe();
    expect(() => client.seal(ascii("x"), undefined, 0)).toThrow("used after wipe");
    expect(() => openAsLink(server, packet)).toThrow("used after wipe");
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
