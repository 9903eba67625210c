import { describe, expect, test } from "bun:test";
import { SplitRatchet } from "../../src/proto/crypto/ratchet.ts";
import type { Frame, HelloFrame } from "../../src/proto/frames.ts";
import { LIMITS } from "../../src/proto/limits.ts";
import { Link, type SealedPacket } from "../../src/proto/link.ts";
import type { PaddingPolicy } from "../../src/proto/padding.ts";
import { flipBit } from "./support/bytes.ts";
import { protocolErrorOf } from "./support/errors.ts";
import { encodeFrames } from "./support/frames.ts";
import { seededRandom } from "./support/random.ts";
import { ratchetPair } from "./support/ratchets.ts";
import { dataFrame, HELLO } from "./support/raw-peer.ts";

const NO_UNITS = { units: [], appLimited: false } as const;
const PING: Frame = { type: "ping", nonce: 0 };

/** Two ends of a link behind their first packets, so that no packet starts a chain. */
function linkPair(padding: PaddingPolicy = "none"): { client: Link; server: Link } {
  const { client, server } = ratchetPair(seededRandom("link"));
  const common = { slot: 0, gen: 1, padding, jitter: 0.5, now: 0 };
  const pair = {
    client: new Link({ ...common, ratchet: client }),
    server: new Link({ ...common, ratchet: server }),
  };
  pass(pair.client, pair.server, seal(pair.client, [PING]));
  pass(pair.server, pair.client, seal(pair.server, [PING]));
  return pair;
}

function seal(link: Link, frames: Frame[], body = false, now = 0): SealedPacket {
  return link.seal(frames, { ...NO_UNITS, body }, now);
}

function pass(_from: Link, to: Link, { lead, body }: SealedPacket, now = 0): readonly Frame[] {
  const frames = to.receive(lead, now);
  return body === undefined ? frames : to.receive(body, now);
}

describe("lead and body", () => {
  const chunk = seededRandom("chunk")(LIMITS.minBodyBytes);
  const bulk: Frame = { type: "proxyData", stream: 3, firstUnit: 1, fin: false, bytes: chunk };

  test("a packet without bulk is one message", () => {
    const { client, server } = linkPair();
    const packet = seal(client, [dataFrame(3, 1, 100)]);
    expect(packet.body).toBeUndefined();
    expect(pass(client, server, packet)).toEqual([dataFrame(3, 1, 100)]);
  });

  test("a packet with bulk is two, and its frames are there with the second", () => {
    const { client, server } = linkPair();
    const { lead, body } = seal(client, [PING, bulk], true);
    expect(server.receive(lead, 0)).toEqual([]);
    expect(body?.length).toBe(chunk.length);
    expect(server.receive(body ?? chunk, 0)).toEqual([PING, bulk]);
  });

  test("go on in order, packet after packet, in both directions", () => {
    const { client, server } = linkPair();
    for (let round = 0; round < 20; round++) {
      expect(pass(client, server, seal(client, [bulk], true))).toEqual([bulk]);
      expect(pass(client, server, seal(client, [PING]))).toEqual([PING]);
      expect(pass(server, client, seal(server, [dataFrame(0, 1, round + 1)]))).toEqual([
        dataFrame(0, 1, round + 1),
      ]);
    }
  });

  test("a body of 256 KiB is the largest, of 16 KiB the smallest", () => {
    const { client, server } = linkPair();
    const largest = { ...bulk, bytes: new Uint8Array(LIMITS.maxChunkBytes) };
    expect(pass(client, server, seal(client, [largest], true))).toEqual([largest]);
  });

  test.each([LIMITS.minBodyBytes - 1, LIMITS.maxChunkBytes + 1])(
    "a body of %d bytes is refused",
    (length) => {
      const { client, server } = linkPair();
      server.receive(seal(client, [bulk], true).lead, 0);
      expect(protocolErrorOf(() => server.receive(new Uint8Array(length), 0))).toBe("tooLarge");
    },
  );

  test.each([
    ["an empty message", () => new Uint8Array(0), "malformed"],
    ["20 bytes", () => new Uint8Array(20), "malformed"],
    ["a reserved flag", (lead: Uint8Array) => lead.with(0, 0x04), "malformed"],
    ["a text's bytes", () => new TextEncoder().encode("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), "malformed"],
    ["a changed tag", (lead: Uint8Array) => flipBit(lead, lead.length * 8 - 1), "badTag"],
    ["changed frames", (lead: Uint8Array) => flipBit(lead, 40), "badTag"],
    ["another number", (lead: Uint8Array) => lead.with(4, 9), "unexpectedPacket"],
    ["a lead longer than leads are", () => new Uint8Array(LIMITS.maxFramesBytes + 65), "tooLarge"],
    [
      "the same with a body announced",
      () => new Uint8Array(LIMITS.maxFramesBytes + 65).with(0, 2),
      "tooLarge",
    ],
    ["16 MiB", () => new Uint8Array(2 ** 24), "tooLarge"],
  ])("%s is refused", (_, change, error) => {
    const { client, server } = linkPair();
    const { lead } = seal(client, [PING]);
    expect<string>(protocolErrorOf(() => server.receive(change(lead), 0))).toBe(error);
  });

  test("the next lead in the place of a body is refused", () => {
    const { client, server } = linkPair();
    server.receive(seal(client, [bulk], true).lead, 0);
    expect(protocolErrorOf(() => server.receive(seal(client, [PING]).lead, 0))).toBe("tooLarge");
  });

  test("another packet's body is refused", () => {
    const { client, server } = linkPair();
    const first = seal(client, [bulk], true);
    const second = seal(client, [bulk], true);
    server.receive(first.lead, 0);
    expect(protocolErrorOf(() => server.receive(second.body ?? chunk, 0))).toBe("badTag");
  });

  test("a packet twice is refused", () => {
    const { client, server } = linkPair();
    const packet = seal(client, [PING]);
    pass(client, server, packet);
    expect(protocolErrorOf(() => pass(client, server, packet))).toBe("unexpectedPacket");
  });

  test("frames that open but do not decode are refused for what is wrong with them", () => {
    const { client, server } = ratchetPair(seededRandom("garbage"));
    const link = new Link({ slot: 0, gen: 0, ratchet: server, padding: "none", jitter: 0, now: 0 });
    const packet = client.seal(Uint8Array.of(0x0b), undefined, 0);
    expect(protocolErrorOf(() => link.receive(packet.lead, 0))).toBe("unknownFrame");
  });
});

describe("packet 0", () => {
  const first = (frames: Frame[]) => () =>
    Link.ofFirstPacket({
      ratchet: ratchetPair(seededRandom("first")).server,
      plaintext: encodeFrames(frames),
      padding: "none",
      jitter: 0,
      now: 0,
    });

  test("names the link's slot and gen, and is the first packet to acknowledge", () => {
    const hello: HelloFrame = { ...HELLO, slot: 4, gen: 77 };
    const { link, rest } = first([hello, PING])();
    expect([link.slot, link.gen, rest]).toEqual([4, 77, [PING]]);
    expect(link.takeAck(5)).toEqual({ type: "packetAck", count: 1, delayUs: 5_000 });
  });

  test.each([[[PING]], [[PING, HELLO]], [[{ type: "padding", length: 3 } as const]]])(
    "begins with Hello and nothing else",
    (frames) => {
      expect(protocolErrorOf(first(frames))).toBe("unexpectedFrame");
    },
  );
});

describe("acknowledgements", () => {
  const DATA = 10_000;

  test("are not owed for packets of credit, acknowledgements and pings alone", () => {
    const { client, server } = linkPair();
    const credit: Frame = { type: "windowUpdate", stream: 0, consumed: 0, limit: 1 };
    pass(
      client,
      server,
      seal(client, [PING, { type: "pong", nonce: 1 }, credit, { type: "packetAck", count: 1, delayUs: 0 }]),
    );
    expect([server.ackDueAt, server.takeAck(0)]).toEqual([Number.POSITIVE_INFINITY, undefined]);
    expect(client.flight.inFlightBytes).toBe(0);
  });

  test("count those packets all the same", () => {
    const { client, server } = linkPair();
    pass(client, server, seal(client, [PING]));
    pass(client, server, seal(client, [dataFrame(0, 1, 1)]));
    expect(server.takeAck(0)).toEqual({ type: "packetAck", count: 3, delayUs: 0 });
  });

  test.each([
    ["Reset", { type: "reset", stream: 0, code: "closed" }],
    ["ResetAck", { type: "resetAck", stream: 0 }],
    ["GoAway", { type: "goAway" }],
    ["ProxyResponse", { type: "proxyResponse", stream: 0, result: "connected" }],
    ["FIN", dataFrame(0, 1, 0, true)],
    ["GateKey", { type: "gateKey", key: new Uint8Array(32) }],
  ] as [string, Frame][])("are owed for %s within 10 ms", (_, frame) => {
    const { client, server } = linkPair();
    pass(client, server, seal(client, [frame]), 100);
    expect(server.ackDueAt).toBe(100 + LIMITS.ackDelayMs);
    expect([server.ackDue(109.9), server.ackDue(110)]).toEqual([false, true]);
    expect(server.takeAck(104)).toEqual({ type: "packetAck", count: 2, delayUs: 4_000 });
    expect([server.ackDueAt, server.takeAck(104)]).toEqual([Number.POSITIVE_INFINITY, undefined]);
  });

  test("say how long the newest packet has waited, and are due from the oldest on", () => {
    const { client, server } = linkPair();
    pass(client, server, seal(client, [dataFrame(0, 1, 1)]), 100);
    pass(client, server, seal(client, [dataFrame(0, 2, 1)]), 107);
    expect(server.ackDueAt).toBe(110);
    expect(server.takeAck(110)).toEqual({ type: "packetAck", count: 3, delayUs: 3_000 });
  });

  test("are due at once for a quarter of everything received, between 32 and 512 KiB", () => {
    const { client, server } = linkPair();
    const received: number[] = [];
    let unit = 1;
    for (let owed = 0, total = 0; total < 6 * 2 ** 20; ) {
      pass(client, server, seal(client, [dataFrame(0, unit, DATA)]));
      unit += DATA;
      owed += DATA;
      total += DATA;
      if (!server.ackDue(0)) continue;
      const due = Math.max(32 * 1024, Math.min(total / 4, LIMITS.ackEveryBytes));
      expect(owed).toBeWithin(due * 0.98, due + 2 * DATA);
      received.push(owed);
      owed = 0;
      server.takeAck(0);
    }
    expect(received[0]).toBe(40_000);
    expect(received.at(-1)).toBeWithin(LIMITS.ackEveryBytes, LIMITS.ackEveryBytes + DATA);
  });

  test("give back the units of every packet they name, once", () => {
    const { client } = linkPair();
    const units = (end: number) => [{ stream: 0, end }];
    for (const end of [2, 3, 4])
      client.seal([dataFrame(0, end - 1, 1)], { ...NO_UNITS, body: false, units: units(end) }, 0);
    // The first packet of the pair was a ping.
    expect(client.acknowledged(3, 0, 10)).toEqual([...units(2), ...units(3)]);
    expect(client.acknowledged(3, 0, 10)).toEqual([]);
    expect(client.acknowledged(4, 0, 10)).toEqual(units(4));
    expect(client.flight.inFlightBytes).toBe(0);
  });

  test("of packets that were never sent, or fewer than before, are the peer's fault", () => {
    const { client } = linkPair();
    seal(client, [dataFrame(0, 1, 1)]);
    expect(protocolErrorOf(() => client.acknowledged(3, 0, 0))).toBe("badAck");
    client.acknowledged(2, 0, 0);
    expect(protocolErrorOf(() => client.acknowledged(1, 0, 0))).toBe("badAck");
  });
});

describe("what a packet costs", () => {
  test("a small frame less than 40 bytes", () => {
    const { client } = linkPair();
    for (const length of [1, 100, 1_400, 16_383]) {
      // Far into a stream with a high id, where the fields are longest in practice.
      const frame: Frame = {
        type: "proxyData",
        stream: 20_000,
        firstUnit: 2 ** 29,
        fin: false,
        bytes: new Uint8Array(length),
      };
      expect(seal(client, [frame]).lead.length - length).toBeLessThan(40);
    }
  });

  test("bulk less than 0.1 %", () => {
    const { client } = linkPair();
    const bytes = new Uint8Array(LIMITS.maxChunkBytes);
    const ack: Frame = { type: "packetAck", count: 2 ** 29, delayUs: 9_999 };
    const bulk: Frame = { type: "proxyData", stream: 20_000, firstUnit: 2 ** 31, fin: false, bytes };
    const { lead, body } = seal(client, [ack, bulk], true);
    // With the WebSocket's own headers: 4 bytes before the lead, 14 before a masked body.
    const overhead = lead.length + 4 + ((body?.length ?? 0) - bytes.length) + 14;
    expect(overhead / bytes.length).toBeLessThan(0.001);
  });
});

describe("padding", () => {
  test("makes a keystroke, an acknowledgement and a ping look alike: 96 bytes", () => {
    const { client } = linkPair("padme");
    const frames: Frame[][] = [
      [dataFrame(0, 1, 1)],
      [PING],
      [{ type: "packetAck", count: 1, delayUs: 100 }],
      [{ type: "goAway" }],
    ];
    expect(frames.map((each) => seal(client, each).lead.length)).toEqual([96, 96, 96, 96]);
  });

  test("leaves few lengths of leads to see, and none of it in front of a body", () => {
    const { client, server } = linkPair("padme");
    const lengths = new Set(
      Array.from({ length: 1_000 }, (_, length) => seal(client, [dataFrame(0, 1, length + 1)]).lead.length),
    );
    expect(lengths.size).toBeLessThan(50);
    const { lead } = seal(client, [dataFrame(0, 1, LIMITS.minBodyBytes)], true);
    expect(lead.length).toBeLessThan(40);
    expect(pass(server, client, seal(server, [PING]))).toEqual([
      PING,
      { type: "padding", length: 96 - 21 - 2 },
    ]);
  });

  test("of a handshake message hides the length of what is in it, under either policy", () => {
    for (const padding of ["padme", "none"] as const) {
      const { client } = linkPair(padding);
      const lead = (extraPadding: number) =>
        client.seal([HELLO], { ...NO_UNITS, body: false, extraPadding }, 0).lead.length;
      expect(lead(1_000) - lead(0)).toBeGreaterThanOrEqual(900);
    }
  });

  test("never makes a lead longer than leads are", () => {
    const { client, server } = linkPair("padme");
    const entries = Array.from({ length: 512 }, (_, index) => ({
      stream: 2 ** 40 + index,
      next: 2 ** 40,
      consumed: 2 ** 40,
      limit: 2 ** 41,
    }));
    const packet = client.seal(
      [{ type: "resume", entries }],
      { ...NO_UNITS, body: false, extraPadding: 5_000 },
      0,
    );
    expect(packet.lead.length).toBeLessThanOrEqual(LIMITS.maxFramesBytes + 21);
    expect(pass(client, server, packet)[0]?.type).toBe("resume");
  });
});

test("a lead shows before it is opened whether a body follows, and a packet's type in no other way", () => {
  const { client } = linkPair("padme");
  const flags = [[PING], [dataFrame(0, 1, 40)], [HELLO]].map((frames) => seal(client, frames).lead[0]);
  expect(flags).toEqual([0, 0, 0]);
  expect(SplitRatchet.bodyFollows(seal(client, [dataFrame(0, 1, LIMITS.minBodyBytes)], true).lead)).toBe(
    true,
  );
});
