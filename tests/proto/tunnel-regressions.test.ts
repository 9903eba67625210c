import { describe, expect, test } from "bun:test";
import { Flight } from "../../src/proto/flight.ts";
import { type Frame, LIMITS, type TunnelEvent } from "../../src/proto/index.ts";
import { Liveness } from "../../src/proto/liveness.ts";
import { ReceivingHalf } from "../../src/proto/receiving-half.ts";
import { tapLinks } from "../sim/link-tap.ts";
import { TunnelPair } from "../support/tunnel-pair.ts";
import { Tunnels } from "./support/tunnels.ts";

// Bugs that the simulator found, each as the shortest story that shows it. Where a link is replaced while it still
// works, `old` is the link before and `fresh` the one that is offered beside it.

const KiB = 1024;
const bytes = (length: number) => new Uint8Array(length).fill(7);
const kinds = (events: readonly TunnelEvent[]) => events.map(({ kind }) => kind);

describe("before Accept", () => {
  test("packet 0 has no body, however much was written early", () => {
    const pair = new TunnelPair();
    const stream = pair.open();
    pair.client.write(stream, bytes(60 * KiB), 0);
    pair.connect("created");
    expect(kinds(pair.serverEvents)).toContain("connect");
    expect(pair.received(pair.serverEvents, stream)).toBe(60 * KiB);
  });

  test("a new link says nothing of streams that began on another one", () => {
    const pair = new TunnelPair();
    const old = pair.connect("created");
    const stream = pair.open();
    pair.flush();
    pair.cut(old);
    const fresh = pair.offer();
    pair.client.write(stream, bytes(100), pair.now);
    pair.run();
    expect(pair.received(pair.serverEvents, stream)).toBe(100);
    expect(fresh.serverLink).toBeDefined();
  });

  test("a second offer takes over what the first has not sent, and as early", () => {
    const pair = new TunnelPair();
    pair.offer("created");
    const stream = pair.open();
    pair.client.write(stream, bytes(100), pair.now);
    pair.deliverUp(pair.offer("created"));
    expect(pair.received(pair.serverEvents, stream)).toBe(100);
  });

  test("no more messages go out than the server takes, however small they are", () => {
    const pair = new TunnelPair();
    const line = pair.offer("created");
    const stream = pair.open();
    for (let piece = 0; piece < 200; piece++) {
      pair.client.write(stream, bytes(20), pair.now);
      pair.flush();
    }
    expect(line.up.length - 1).toBeWithin(32, LIMITS.maxMessagesBeforeAccept + 1);
    pair.run();
    expect(pair.received(pair.serverEvents, stream)).toBe(4_000);
  });

  test("no more of a long resume list goes out than the server takes, and the rest behind Accept", () => {
    const pair = new TunnelPair();
    const old = pair.connect("created");
    const streams = Array.from({ length: LIMITS.maxStreams }, () => pair.open());
    for (const stream of streams) pair.client.write(stream, bytes(100), pair.now);
    pair.run();
    for (const stream of streams) {
      pair.server.respond(stream, "connected", pair.now);
      pair.server.write(stream, bytes(100), pair.now);
    }
    pair.run();
    for (const stream of streams) pair.client.consumed(stream, 100, pair.now);
    pair.cut(old);
    const line = pair.offer();
    const early = line.up.slice(1);
    expect(early.length).toBeWithin(2, LIMITS.maxMessagesBeforeAccept + 1);
    expect(early.reduce((sum, { length }) => sum + length, 0)).toBeLessThan(
      LIMITS.maxBytesBeforeAccept / 2 + LIMITS.maxFramesBytes,
    );
    pair.run();
    const last = streams.length - 1;
    pair.client.write(last, bytes(100), pair.now);
    pair.run();
    expect(pair.received(pair.serverEvents, last)).toBe(200);
  });
});

test("a list that goes wrong halfway through a stream leaves no bytes counted that nobody keeps", () => {
  const { pair, stream, old } = streaming();
  pair.server.write(stream, bytes(5_000), pair.now);
  pair.flush();
  pair.deliverDown(old);
  pair.cut(old);
  const tooMuch = (frame: Frame): Frame =>
    frame.type === "resume"
      ? { ...frame, entries: frame.entries.map((entry) => ({ ...entry, consumed: 6_000 })) }
      : frame;
  const untap = tapLinks({ seal: (frames) => frames.map(tooMuch) });
  const line = pair.offer();
  untap();
  expect(() => pair.deliverUp(line)).toThrow("consumed bytes that were never sent");
  pair.cut(line);
  pair.server.check();
  pair.server.breakAll("lost");
  expect(pair.server.stats().heldBytes).toBe(0);
});

describe("a link that replaces one which still works", () => {
  test("goes on behind what the old one acknowledged after the offer", () => {
    const { pair, stream, old } = streaming();
    const fresh = pair.offer();
    pair.server.write(stream, bytes(5_000), pair.now);
    deliverBothWays(pair, old);
    replace(pair, old, fresh);
    pair.server.write(stream, bytes(5_000), pair.now);
    pair.run();
    expect(pair.received(pair.clientEvents, stream)).toBe(10_000);
  });

  test("goes on behind what the application has taken, acknowledged or not", () => {
    const { pair, stream, old } = streaming();
    const fresh = pair.offer();
    pair.server.write(stream, bytes(50 * KiB), pair.now);
    pair.flush();
    pair.deliverDown(old);
    replace(pair, old, fresh);
    pair.client.consumed(stream, 50 * KiB, pair.now);
    pair.run();
    expect(pair.received(pair.clientEvents, stream)).toBe(50 * KiB);
    expect(pair.server.stats().peerPoolUsed).toBe(0);
  });

  test("drops what waits to be sent again once the application is known to have it", () => {
    const { pair, stream, old } = streaming();
    const warmUp = LIMITS.initialWindowBytes / 2;
    for (let round = 0; round < 4; round++) {
      pair.server.write(stream, bytes(warmUp), pair.now);
      pair.run();
      pair.client.consumed(stream, warmUp, pair.now);
      pair.run();
    }
    const fresh = pair.offer();
    pair.server.write(stream, bytes(LIMITS.initialWindowBytes), pair.now);
    pair.flush();
    pair.deliverDown(old);
    // What went out at once on the old link does not on the fresh one, which has yet to learn what the path carries.
    replace(pair, old, fresh);
    pair.client.consumed(stream, LIMITS.initialWindowBytes, pair.now);
    pair.flush();
    pair.deliverUp(fresh);
    pair.run();
    expect(pair.server.stats()).toMatchObject({ heldBytes: 0, peerPoolUsed: 0 });
  });

  test("keeps a stream that was opened on the old one after the offer", () => {
    const { pair, old } = streaming();
    const fresh = pair.offer();
    const late = pair.open();
    pair.flush();
    pair.deliverUp(old);
    pair.server.respond(late, "connected", pair.now);
    pair.flush();
    replace(pair, old, fresh);
    pair.run();
    expect(kinds(pair.clientEvents).filter((kind) => kind === "response")).toHaveLength(2);
    expect(kinds(pair.serverEvents)).not.toContain("reset");
  });

  test("leaves nothing behind of a stream that ended on the old one after the offer", () => {
    const { pair, stream, old } = streaming();
    pair.client.finish(stream, pair.now);
    pair.run();
    const fresh = pair.offer();
    pair.server.write(stream, bytes(50 * KiB), pair.now);
    pair.server.finish(stream, pair.now);
    pair.flush();
    pair.deliverDown(old);
    pair.client.consumed(stream, 50 * KiB, pair.now);
    pair.now += LIMITS.ackDelayMs;
    pair.flush();
    expect(pair.client.stats().streams).toBe(0);
    replace(pair, old, fresh);
    pair.run();
    expect([pair.client.stats().streams, pair.server.stats().streams]).toEqual([0, 0]);
  });

  test("tells again what WindowUpdates on the old one told nobody", () => {
    const { pair, stream, old } = streaming();
    const fresh = pair.offer();
    pair.server.write(stream, bytes(50 * KiB), pair.now);
    pair.flush();
    pair.deliverDown(old);
    pair.client.consumed(stream, 50 * KiB, pair.now);
    pair.flush();
    replace(pair, old, fresh);
    pair.run();
    expect(pair.server.stats().peerPoolUsed).toBe(0);
  });
});

describe("credit", () => {
  test("is given in the resume entry for what was taken while there was no link", () => {
    const { pair, stream, old } = streaming();
    pair.server.write(stream, bytes(300 * KiB), pair.now);
    pair.run();
    expect(pair.received(pair.clientEvents, stream)).toBe(LIMITS.initialWindowBytes);
    pair.cut(old);
    pair.client.consumed(stream, LIMITS.initialWindowBytes, pair.now);
    pair.connect();
    expect(pair.received(pair.clientEvents, stream)).toBe(300 * KiB);
  });

  test("is not swallowed by offers that come to nothing", () => {
    const { pair, stream } = streaming();
    pair.server.write(stream, bytes(300 * KiB), pair.now);
    pair.run();
    for (let taken = 0; taken < LIMITS.initialWindowBytes; taken += LIMITS.exemptBytes) {
      pair.client.consumed(stream, LIMITS.exemptBytes, pair.now);
      pair.cut(pair.offer());
    }
    pair.run();
    expect(pair.received(pair.clientEvents, stream)).toBe(300 * KiB);
  });

  test("is restated when exactly the exemption is outstanding, which is all that a full pool leaves", () => {
    const receiving = new ReceivingHalf();
    receiving.head();
    receiving.data(1, bytes(LIMITS.exemptBytes), false);
    receiving.consume(LIMITS.exemptBytes);
    expect(receiving.updateDue()).toBe("later");
  });

  test("is a whole number, whatever is left of an odd pool", () => {
    const { pair, old, stream } = streaming({ client: { poolBytes: 4 * LIMITS.initialWindowBytes + 101 } });
    for (let round = 0; round < 8; round++) {
      pair.server.write(stream, bytes(64 * KiB), pair.now);
      pair.flush();
      pair.deliverDown(old);
      pair.client.consumed(stream, 64 * KiB, pair.now);
      pair.flush();
      pair.deliverUp(old);
    }
    expect(pair.received(pair.clientEvents, stream)).toBe(512 * KiB);
  });

  test("of a slot's Hello counts at once, because the server may use it on another slot", () => {
    const pair = new TunnelPair({ client: { poolBytes: LIMITS.maxEarlyBytes } });
    pair.connect("created");
    const first = pair.openStream();
    const other = pair.connect("resumed", 1);
    const second = pair.openStream();
    pair.server.write(first, bytes(40 * KiB), pair.now);
    pair.run();
    pair.client.consumed(first, 40 * KiB, pair.now);
    const fresh = pair.offer();
    pair.deliverUp(fresh);
    pair.server.write(second, bytes(60 * KiB), pair.now);
    pair.flush();
    pair.deliverDown(other);
    expect(pair.received(pair.clientEvents, second)).toBeGreaterThan(8 * KiB);
  });

  test("of what a lost tunnel has sent is none of the next one's", () => {
    const pair = new TunnelPair({ client: { poolBytes: LIMITS.maxEarlyBytes } });
    const old = pair.connect("created");
    for (const unread of [pair.openStream(), pair.openStream()]) {
      pair.server.write(unread, bytes(40 * KiB), pair.now);
      pair.run();
    }
    pair.cut(old);
    // The server has given the tunnel up, and the client hears of it on another slot first.
    pair.server = new TunnelPair().server;
    pair.connect("dropped", 1);
    const stream = pair.openStream();
    pair.server.write(stream, bytes(40 * KiB), pair.now);
    pair.run();
    expect(pair.received(pair.clientEvents, stream)).toBeGreaterThan(32 * KiB);
  });
});

describe("a list of more streams than one frame holds", () => {
  test("comes before anything of a stream, from both sides", () => {
    const pair = new TunnelPair();
    const old = pair.connect("created");
    // Enough for a list of more than one packet.
    const streams = Array.from({ length: 6 * LIMITS.maxResumeEntries }, () => pair.open());
    pair.run();
    for (const id of streams) pair.server.respond(id, "connected", pair.now);
    pair.run();
    pair.cut(old);
    for (const id of streams) pair.server.write(id, bytes(10), pair.now);
    for (const id of streams) pair.client.write(id, bytes(10), pair.now);
    pair.client.reset(streams[0] ?? 0, "connection");
    pair.connect();
    const last = streams.at(-1) ?? 0;
    expect(pair.received(pair.clientEvents, last)).toBe(10);
    expect(pair.received(pair.serverEvents, last)).toBe(10);
  });
});

describe("no request runs twice", () => {
  test("when the answer `dropped` was lost", () => {
    const pair = new TunnelPair();
    const first = pair.offer("created");
    const stream = pair.open();
    pair.flush();
    pair.deliverUp(first);
    pair.cut(first);
    // The server has given the tunnel up, with the stream that ran in it.
    pair.server = new TunnelPair().server;
    const second = pair.offer("dropped");
    pair.deliverUp(second);
    pair.cut(second);
    pair.connect("resumed");
    expect(kinds(pair.serverEvents).filter((kind) => kind === "connect")).toHaveLength(1);
    expect(pair.clientEvents).toContainEqual({ kind: "reset", stream, code: "lost" });
  });

  test("when a restarted server's old process still holds the old link", () => {
    const { pair, old } = streaming();
    pair.server = new TunnelPair().server;
    pair.connect("created", 1, pair.dice.random(32));
    const stream = pair.open();
    pair.flush();
    expect(old.up).toHaveLength(0);
    pair.run();
    expect(pair.serverEvents.at(-1)).toMatchObject({ kind: "connect", stream });
    expect(pair.clientEvents).toContainEqual({ kind: "dead", slot: 0 });
  });
});

describe("ids", () => {
  test("of streams that ended before they had a link do not run out", () => {
    const pair = new TunnelPair();
    pair.cut(pair.connect("created"));
    for (let i = 0; i <= LIMITS.maxSeenGap; i++) pair.client.reset(pair.open(), "cancelled");
    pair.connect();
    const stream = pair.openStream();
    expect(pair.serverEvents.at(-1)).toMatchObject({ kind: "connect", stream });
  });
});

describe("the send pool", () => {
  test("lets a stream that holds nothing read, though others that stand still fill it", () => {
    const { pair, stream } = streaming({ server: { sendPoolBytes: 2048 * KiB } });
    const stuck = pair.openStream();
    pair.server.write(stuck, bytes(4096 * KiB), pair.now);
    pair.run();
    expect(pair.server.write(stream, bytes(100 * KiB), pair.now)).toBe(false);
    pair.run();
    expect(pair.serverEvents).toContainEqual({ kind: "writable", stream });
  });
});

describe("a peer that asks for answers without reading them", () => {
  test("gets one, and nothing else of its packets is dropped in silence", () => {
    const { pair, old, stream } = streaming();
    const pings = Array.from({ length: 9_000 }, () => ({ type: "ping", nonce: 0 }) as const);
    const untap = tapLinks({
      open: (frames, link) => (link === old.serverLink ? [...pings, ...frames] : frames),
    });
    try {
      for (let i = 0; i < 10; i++) {
        pair.client.write(stream, bytes(10), pair.now);
        pair.flush();
      }
      pair.deliverUp(old);
    } finally {
      untap();
    }
    expect(pair.received(pair.serverEvents, stream)).toBe(100);
    expect(old.down).toHaveLength(1);
  });
});

describe("numbers that are not whole", () => {
  test("never leave the flight limit, whose rest would become a packet of no bytes", () => {
    const flight = new Flight();
    for (let now = 0; now < 100; now += 7) {
      const record = flight.sent(1_000_001, false, now);
      flight.acked(1_000_001, record, 0.3, now + 3.7);
      expect(Number.isInteger(flight.limitBytes)).toBe(true);
    }
  });

  test("do not keep a ping from falling due at the time that was named for it", () => {
    for (let i = 0; i < 1_000; i++) {
      const heard = 1_000 + i / 7;
      const liveness = new Liveness(heard, i / 1_000);
      expect(liveness.takePing(liveness.nextWake(false))).toBe(true);
    }
  });
});

describe("a link that becomes suspect between a look at the clock and the question when to look again", () => {
  test("is looked at again at once, not when it is dead", () => {
    const tunnels = Tunnels.connected({ delayMs: 5 });
    for (const line of tunnels.lines) line.stalled = true;
    const { tunnel } = tunnels.client;
    tunnels.open();
    tunnels.run(0);
    const suspectAt = tunnels.now + LIMITS.urgentPingDeadlineMs;
    // A timer that is a fraction of a millisecond early; by the time it has been handled the deadline has passed.
    tunnel.tick(suspectAt - 0.1);
    expect(tunnel.pollEvent()).toBeUndefined();
    expect(tunnel.nextWake()).toBe(suspectAt);
    tunnel.tick(suspectAt + 0.1);
    expect(tunnel.pollEvent()).toEqual({ kind: "suspect", slot: 0 });
    expect(tunnel.nextWake()).toBe(suspectAt - LIMITS.urgentPingDeadlineMs + LIMITS.pingDeadlineMs);
  });
});

/** A pair with one link and one stream that both sides have opened. */
function streaming(options: ConstructorParameters<typeof TunnelPair>[0] = {}) {
  const pair = new TunnelPair(options);
  const old = pair.connect("created");
  const stream = pair.openStream();
  return { pair, old, stream };
}

function deliverBothWays(pair: TunnelPair, line: ReturnType<TunnelPair["offer"]>): void {
  for (let i = 0; i < 4; i++) {
    pair.now += LIMITS.ackDelayMs;
    pair.flush();
    pair.deliverDown(line);
    pair.deliverUp(line);
  }
}

/** The server takes `fresh`, which fences `old` off; what `old` still carries is lost. */
function replace(
  pair: TunnelPair,
  old: ReturnType<TunnelPair["offer"]>,
  fresh: ReturnType<TunnelPair["offer"]>,
): void {
  pair.deliverUp(fresh);
  old.up.length = 0;
  old.down.length = 0;
  pair.deliverDown(fresh);
}
