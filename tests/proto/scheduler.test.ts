import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { LIMITS } from "../../src/proto/limits.ts";
import { Scheduler } from "../../src/proto/scheduler.ts";
import { Stream } from "../../src/proto/stream.ts";
import { keepWriting, type TestEnd, Tunnels } from "./support/tunnels.ts";

// Seconds of a simulated path take a second or two; a busy machine may take ten times as long.
setDefaultTimeout(60_000);

const PACKET = 64 * 1024;

/** Jain's index of fairness: 1 where all shares are equal, 1/n where one has everything. */
function jain(shares: readonly number[]): number {
  const sum = shares.reduce((total, share) => total + share, 0);
  const squares = shares.reduce((total, share) => total + share * share, 0);
  return sum ** 2 / (shares.length * squares);
}

/** Sends `packets` packets of streams that always have more, and says how many bytes each stream sent. */
function serve(scheduler: Scheduler, packets: number, now = 0, bytes = PACKET): Map<Stream, number> {
  const sent = new Map<Stream, number>();
  for (let packet = 0; packet < packets; packet++) {
    const stream = scheduler.next();
    if (stream === undefined) break;
    sent.set(stream, (sent.get(stream) ?? 0) + bytes);
    scheduler.charge(stream, bytes, now);
  }
  return sent;
}

function streams(count: number): Stream[] {
  return Array.from({ length: count }, (_, id) => new Stream(id));
}

/** A scheduler in which `all` have already shown to be bulk. */
function bulkOnly(all: readonly Stream[]): Scheduler {
  const scheduler = new Scheduler();
  for (const stream of all) scheduler.add(stream, 0);
  serve(scheduler, all.length * 4);
  return scheduler;
}

describe("bulk streams", () => {
  test("take turns by bytes, whatever the size of their packets", () => {
    const all = streams(8);
    const scheduler = bulkOnly(all);
    const sent = new Map(all.map((stream) => [stream, 0]));
    for (let packet = 0; packet < 2_000; packet++) {
      const stream = scheduler.next();
      if (stream === undefined) throw new Error("nothing to send");
      const bytes = 10_000 + stream.id * 30_000;
      sent.set(stream, (sent.get(stream) ?? 0) + bytes);
      scheduler.charge(stream, bytes, 0);
    }
    expect(jain([...sent.values()])).toBeGreaterThan(0.99);
  });

  test("each have a turn within one round", () => {
    const all = streams(20);
    const round = serve(bulkOnly(all), (20 * LIMITS.maxChunkBytes) / PACKET);
    expect(round.size).toBe(20);
  });

  test("that pause for less than 100 ms are no new streams when they come back", () => {
    const [one, other] = streams(2) as [Stream, Stream];
    const scheduler = bulkOnly([one, other]);
    scheduler.remove(one);
    scheduler.add(one, 99);
    expect([scheduler.next("fresh"), one.queue]).toEqual([undefined, "bulk"]);
    scheduler.remove(one);
    scheduler.add(one, 100);
    expect([scheduler.next("fresh"), one.queue]).toEqual([one, "first"]);
  });

  test("cannot gain by pausing: a debt is kept", () => {
    const [one, other] = streams(2) as [Stream, Stream];
    const scheduler = bulkOnly([one, other]);
    let sent = 0;
    for (let round = 0; round < 400; round++) {
      const stream = scheduler.next();
      if (stream === undefined) throw new Error("nothing to send");
      scheduler.charge(stream, LIMITS.maxChunkBytes, 0);
      if (stream !== one) continue;
      sent += 1;
      scheduler.remove(one);
      scheduler.add(one, 1);
    }
    expect(sent).toBeWithin(190, 211);
  });
});

describe("new and small streams", () => {
  test("go before bulk", () => {
    const bulk = streams(4);
    const scheduler = bulkOnly(bulk);
    const fresh = new Stream(99);
    scheduler.add(fresh, 0);
    expect(scheduler.next()).toBe(fresh);
  });

  test("take up to half of the bytes while bulk waits, however many they are", () => {
    const bulk = streams(2);
    const scheduler = bulkOnly(bulk);
    let freshBytes = 0;
    let bulkBytes = 0;
    for (let id = 100; id < 1_100; id++) {
      scheduler.add(new Stream(id), 0);
      const stream = scheduler.next();
      if (stream === undefined) throw new Error("nothing to send");
      if (stream.queue === "bulk") bulkBytes += 2_000;
      else freshBytes += 2_000;
      scheduler.charge(stream, 2_000, 0);
      if (stream.queue !== "bulk") scheduler.remove(stream);
    }
    expect(freshBytes / (freshBytes + bulkBytes)).toBeWithin(0.45, 0.55);
  });

  // Beyond the flight's limit bulk has no turn: a few small streams one after another would have everything.
  test("do not go beyond the flight while they lead over bulk, but for a keystroke", () => {
    const scheduler = bulkOnly(streams(1));
    const [object, key, flood] = [100, 101, 102].map((id) => new Stream(id)) as [Stream, Stream, Stream];
    scheduler.add(object, 0);
    expect(scheduler.next("fresh")).toBe(object);
    scheduler.charge(object, 10_000, 0);
    expect([scheduler.next("fresh"), scheduler.next("first")]).toEqual([undefined, undefined]);
    scheduler.add(key, 0);
    expect([scheduler.next("fresh"), scheduler.next("first")]).toEqual([key, key]);
    scheduler.charge(key, 1, 0);
    scheduler.remove(key);
    scheduler.charge(object, 50_000, 0);
    scheduler.add(flood, 0);
    scheduler.charge(flood, 10_000, 0);
    scheduler.add(key, 0);
    expect([scheduler.next("fresh"), scheduler.next("first")]).toEqual([undefined, undefined]);
    const bulk = scheduler.next();
    if (bulk === undefined) throw new Error("nothing to send");
    expect(bulk.queue).toBe("bulk");
    scheduler.charge(bulk, 100_000, 0);
    expect(scheduler.next("fresh")).toBe(key);
  });

  test("have everything where no bulk waits", () => {
    const scheduler = new Scheduler();
    const all = streams(10);
    for (const stream of all) scheduler.add(stream, 0);
    for (const stream of all) {
      expect(scheduler.next()).toBe(stream);
      scheduler.charge(stream, 1_000, 0);
      scheduler.remove(stream);
    }
    expect([scheduler.idle, scheduler.next()]).toEqual([true, undefined]);
  });

  test("are bulk after 64 KiB", () => {
    const scheduler = new Scheduler();
    const [stream] = streams(1) as [Stream];
    scheduler.add(stream, 0);
    scheduler.charge(stream, 65_535, 0);
    expect(stream.queue).toBe("fresh");
    scheduler.charge(stream, 1, 0);
    expect(stream.queue).toBe("bulk");
  });
});

test("a stream is queued once, and gone when removed", () => {
  const scheduler = new Scheduler();
  const [stream] = streams(1) as [Stream];
  scheduler.add(stream, 0);
  scheduler.add(stream, 0);
  scheduler.remove(stream);
  expect([scheduler.idle, stream.queue]).toEqual([true, "none"]);
  scheduler.remove(stream);
  expect(scheduler.next()).toBeUndefined();
});

describe("through a tunnel of 20 Mbit/s at 30 ms", () => {
  const PATH = { delayMs: 15, rate: 2_500 };
  const counts = (end: TestEnd, all: readonly number[]) => all.map((stream) => end.count(stream));

  test.each(["down", "up"])("eight equal transfers %s share equally", (direction) => {
    const tunnels = Tunnels.connected(PATH);
    const [from, to] =
      direction === "down" ? [tunnels.server, tunnels.client] : [tunnels.client, tunnels.server];
    const all = tunnels.openConnected(8);
    for (const stream of all) keepWriting(from, stream, tunnels);
    tunnels.run(1_000);
    const before = counts(to, all);
    tunnels.run(4_000);
    const shares = counts(to, all).map((count, index) => count - (before[index] ?? 0));
    expect(jain(shares)).toBeGreaterThanOrEqual(0.95);
    expect(shares.reduce((sum, share) => sum + share, 0) / (4_000 * PATH.rate)).toBeGreaterThan(0.95);
  });

  test("a transfer that begins late has its share at once", () => {
    const tunnels = Tunnels.connected(PATH);
    const [late = 0, ...early] = tunnels.openConnected(4);
    for (const stream of early) keepWriting(tunnels.server, stream, tunnels);
    tunnels.run(3_000);
    keepWriting(tunnels.server, late, tunnels);
    const before = counts(tunnels.client, [late, ...early]);
    tunnels.run(2_000);
    const after = counts(tunnels.client, [late, ...early]);
    expect(jain(after.map((count, index) => count - (before[index] ?? 0)))).toBeGreaterThanOrEqual(0.95);
  });

  test("a small stream beside bulk waits for at most one packet", () => {
    const tunnels = Tunnels.connected(PATH);
    const [small = 0, ...bulk] = tunnels.openConnected(9);
    for (const stream of bulk) keepWriting(tunnels.server, stream, tunnels);
    tunnels.run(3_000);
    for (let round = 0; round < 50; round++) {
      tunnels.run(37);
      const before = tunnels.client.count(small);
      // Everything that is on the line already goes first: no scheduler can call it back.
      const lineFreeAt = Math.max(tunnels.lines[0]?.freeDownAt ?? 0, tunnels.now);
      tunnels.server.tunnel.write(small, new Uint8Array(200), tunnels.now);
      tunnels.runUntil(() => tunnels.client.count(small) > before, 1_000);
      const waitedMs = tunnels.now - lineFreeAt - PATH.delayMs;
      const packetMs = LIMITS.packetTimeMs * 1.2;
      expect(waitedMs).toBeLessThan(packetMs);
    }
  });

  test("and what is on the line already takes little more than 20 ms", () => {
    const tunnels = Tunnels.connected(PATH);
    const bulk = tunnels.openConnected(4);
    for (const stream of bulk) keepWriting(tunnels.server, stream, tunnels);
    tunnels.run(5_000);
    let longest = 0;
    for (let round = 0; round < 100; round++) {
      tunnels.run(11);
      longest = Math.max(longest, (tunnels.lines[0]?.freeDownAt ?? 0) - tunnels.now);
    }
    expect(longest).toBeLessThan(LIMITS.queueDelayMs + 2 * LIMITS.packetTimeMs);
  });

  // Two hundred of them are 12 MB, five seconds of this path: a keystroke must wait for none of it.
  test("two hundred small objects at once do not fill the line either", () => {
    const tunnels = Tunnels.connected(PATH);
    const [keystroke = 0, ...page] = tunnels.openConnected(201);
    tunnels.run(500);
    for (const stream of page) tunnels.server.tunnel.write(stream, new Uint8Array(60_000), tunnels.now);
    tunnels.run(50);
    const writtenAt = tunnels.now;
    tunnels.server.tunnel.write(keystroke, new Uint8Array(10), writtenAt);
    tunnels.runUntil(() => tunnels.client.count(keystroke) === 10, 10_000);
    expect(tunnels.now - writtenAt).toBeLessThan(300);
  });
});
