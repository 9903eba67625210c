import { describe, expect, test } from "bun:test";
import { Flight } from "../../src/proto/flight.ts";
import { LIMITS } from "../../src/proto/limits.ts";
import { PathSimulation } from "./support/path.ts";

/** Of a fast path, the queue in ms: 2 MiB, or 4 ms where that is more. */
const queueMs = (rate: number) => Math.min(20, Math.max((2 * 2 ** 20) / rate, 4));
/** rate × (round trip + queue), in bytes. */
const ideal = (rate: number, rttMs: number) => rate * (rttMs + queueMs(rate));
const MBIT = 125; // bytes per ms

const PATHS = [
  ["20 Mbit/s at 30 ms", 20 * MBIT, 30],
  ["100 Mbit/s at 10 ms", 100 * MBIT, 10],
  ["1 Gbit/s at 100 ms", 1_000 * MBIT, 100],
  ["8 Gbit/s at 0.1 ms, as over loopback", 8_000 * MBIT, 0.1],
] as const;

describe.each(PATHS)("on %s", (_, rate, rttMs) => {
  test("in flight is rate × (round trip + queue) within 10 %, after 5 s", () => {
    const path = new PathSimulation({ rate, rttMs });
    path.run(5_000);
    expect(path.flight.limitBytes / ideal(rate, rttMs)).toBeWithin(0.9, 1.1);
    expect(path.flight.rate / rate).toBeWithin(0.95, 1.1);
  });

  test("the path is full, and its queue is no longer than that", () => {
    const path = new PathSimulation({ rate, rttMs });
    path.run(5_000);
    const before = path.deliveredBytes;
    path.peakQueueMs = 0;
    path.run(3_000);
    expect((path.deliveredBytes - before) / (3_000 * rate)).toBeGreaterThan(0.97);
    expect(path.peakQueueMs).toBeLessThan(queueMs(rate) + 2 * LIMITS.packetTimeMs);
  });

  test("a packet takes at most 5 ms, or is as large as packets get", () => {
    const path = new PathSimulation({ rate, rttMs });
    path.run(5_000);
    const expected = Math.min(rate * LIMITS.packetTimeMs, LIMITS.maxChunkBytes);
    expect(path.flight.packetBytes / expected).toBeWithin(0.9, 1.1);
  });

  // The shortest round trip is measured anew after 10 s: without the own queue in it, or it would grow each time.
  test("the queue is no longer after a minute than after five seconds", () => {
    const path = new PathSimulation({ rate, rttMs });
    path.run(60_000);
    expect(path.flight.limitBytes / ideal(rate, rttMs)).toBeWithin(0.9, 1.2);
  });
});

describe("a young flight", () => {
  test("starts with 64 KiB and doubles every round until the rate grows no more", () => {
    const rate = 1_000 * MBIT;
    const path = new PathSimulation({ rate, rttMs: 50 });
    path.run(60);
    expect(path.flight.limitBytes).toBe(LIMITS.initialFlightBytes);
    const limits = Array.from({ length: 12 }, () => {
      path.run(52);
      return path.flight.limitBytes;
    });
    const ratios = limits.slice(1, 6).map((limit, index) => limit / (limits[index] ?? 1));
    for (const ratio of ratios) expect(ratio).toBeWithin(1.3, 3);
    // From 64 KiB to 8.75 MB by doubling takes seven to eight rounds.
    expect(limits.findIndex((limit) => limit > ideal(rate, 50))).toBeLessThanOrEqual(9);
  });

  test("fills 20 Mbit/s within the first second", () => {
    const path = new PathSimulation({ rate: 20 * MBIT, rttMs: 30 });
    path.run(1_000);
    expect(path.deliveredBytes / (1_000 * 20 * MBIT)).toBeGreaterThan(0.9);
  });

  test.each([
    ["100 Mbit/s at 200 ms", 100 * MBIT, 200],
    ["1 Gbit/s at 100 ms", 1_000 * MBIT, 100],
  ])("fills %s within five seconds", (_, rate, rttMs) => {
    const path = new PathSimulation({ rate, rttMs });
    path.run(5_000);
    const before = path.deliveredBytes;
    path.run(1_000);
    expect((path.deliveredBytes - before) / (1_000 * rate)).toBeGreaterThan(0.95);
  });

  // What is typed beside it waits for this queue.
  test("overfills 20 Mbit/s by 40 ms at most, and for less than 50 ms by more than 30", () => {
    const path = new PathSimulation({ rate: 20 * MBIT, rttMs: 50 });
    const peaks = Array.from({ length: 300 }, () => {
      path.peakQueueMs = 0;
      path.run(10);
      return path.peakQueueMs;
    });
    expect(Math.max(...peaks)).toBeLessThan(40);
    expect(peaks.filter((peak) => peak > 30).length).toBeLessThan(5);
  });

  // 64 KiB are half a second of such a path.
  test("leaves no queue of seconds on 1 Mbit/s", () => {
    const path = new PathSimulation({ rate: MBIT, rttMs: 50 });
    path.run(10_000);
    path.peakQueueMs = 0;
    path.run(10_000);
    expect(path.peakQueueMs).toBeLessThan(500);
  });
});

describe("samples", () => {
  test("of an application that sends little do not lower the rate, however long", () => {
    const flight = new Flight();
    // 100 KiB per 10 ms, measured; then 200 bytes each 100 ms.
    const bulk = [flight.sent(50_000, false, 0), flight.sent(50_000, false, 5)] as const;
    flight.acked(100_000, bulk[1], 0, 20);
    const { rate } = flight;
    for (let now = 100; now < 60_000; now += 100) {
      const record = flight.sent(200, true, now);
      flight.acked(200, record, 0, now + 15);
    }
    expect(flight.rate).toBe(rate);
  });

  test("of an application that sends little raise it where they are higher", () => {
    const flight = new Flight();
    flight.acked(1_000, flight.sent(1_000, false, 0), 0, 10);
    const before = flight.rate;
    flight.acked(50_000, flight.sent(50_000, true, 20), 0, 30);
    expect(flight.rate).toBeGreaterThan(before);
  });

  test("of a full path replace older ones within two seconds: the path may have become slower", () => {
    const flight = new Flight();
    flight.acked(100_000, flight.sent(100_000, false, 0), 0, 10);
    const fast = flight.rate;
    for (let now = 100; now < 3_000; now += 100)
      flight.acked(1_000, flight.sent(1_000, false, now), 0, now + 10);
    expect(fast / flight.rate).toBeGreaterThan(50);
  });

  test("do not count the peer's acknowledgement delay as path", () => {
    const flight = new Flight();
    flight.acked(1_000, flight.sent(1_000, false, 0), 9, 39);
    expect(flight.rttMs).toBe(30);
  });

  test("survive a delay that the peer made up", () => {
    const flight = new Flight();
    flight.acked(1_000, flight.sent(1_000, false, 0), 1e12, 20);
    expect(flight.rttMs).toBe(0);
    expect(Number.isFinite(flight.rate)).toBe(true);
    expect(flight.limitBytes).toBeWithin(LIMITS.minFlightBytes, LIMITS.maxFlightBytes + 1);
  });

  test("of single packets that a busy peer answers late do not end the doubling", () => {
    const flight = new Flight();
    for (let now = 0; now < 2_000; now += 100) {
      const record = flight.sent(300, true, now);
      flight.acked(300, record, 0, now + (now === 0 ? 1 : 90));
    }
    expect(flight.limitBytes).toBe(LIMITS.initialFlightBytes);
  });

  test("smooth the round trip by an eighth", () => {
    const flight = new Flight();
    flight.acked(10, flight.sent(10, false, 0), 0, 40);
    flight.acked(10, flight.sent(10, false, 100), 0, 220);
    expect(flight.rttMs).toBe(50);
  });
});

describe("bounds", () => {
  test("before the first acknowledgement 64 KiB may be in flight", () => {
    const flight = new Flight();
    expect([flight.limitBytes, flight.rate, flight.rttMs]).toEqual([LIMITS.initialFlightBytes, 0, undefined]);
    flight.sent(LIMITS.initialFlightBytes, false, 0);
    expect(flight.freeBytes).toBe(0);
  });

  test("never more than 64 MiB, and packets of 1.4 KiB to 1 MiB, whatever the peer acknowledges", () => {
    const fast = new Flight();
    fast.acked(1e12, fast.sent(1e12, false, 0), 0, 0.001);
    expect([fast.limitBytes, fast.packetBytes]).toEqual([LIMITS.maxFlightBytes, LIMITS.maxChunkBytes]);
    const slow = new Flight();
    slow.acked(1, slow.sent(1, false, 0), 0, 10_000);
    expect([slow.limitBytes >= LIMITS.minFlightBytes, slow.packetBytes]).toEqual([
      true,
      LIMITS.minPacketBytes,
    ]);
  });
});
