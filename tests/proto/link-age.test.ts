import { describe, expect, test } from "bun:test";
import { LIMITS } from "../../src/proto/limits.ts";
import { Link } from "../../src/proto/link.ts";
import { Tunnel } from "../../src/proto/tunnel.ts";
import { seededRandom } from "./support/random.ts";
import { ratchetPair } from "./support/ratchets.ts";
import { Tunnels } from "./support/tunnels.ts";

const HOUR = 3_600_000;

/** When the client of a tunnel with this seed says that its first link is old. */
function agedAt(seed: string, linkAgeMs?: number): number {
  const random = seededRandom(seed);
  const options = { role: "client", random, padding: "none" } as const;
  const client = new Tunnel({ ...options, ...(linkAgeMs === undefined ? {} : { linkAgeMs }) });
  const server = new Tunnel({ ...options, role: "server" });
  const ends = ratchetPair(random);
  const common = { padding: "none", jitter: 0.5, now: 0 } as const;
  const link = new Link({ ...common, slot: 0, gen: 0, ratchet: ends.client });
  client.offer(link, random(32));
  const hello = client.pollTransmit(0);
  const plaintext = ends.server.open(hello?.lead ?? new Uint8Array(0), undefined, 0).frames;
  const first = Link.ofFirstPacket({ ...common, ratchet: ends.server, plaintext });
  server.accept(first.link, first.hello, "created", first.rest, 0);
  client.receive(link, server.pollTransmit(0)?.lead ?? new Uint8Array(0), 0);
  client.pollEvent();
  // No ticks before: silence is not what is looked at.
  for (let minute = 1; minute <= 20 * 60; minute++) {
    client.tick(minute * 60_000);
    for (let event = client.pollEvent(); event !== undefined; event = client.pollEvent()) {
      if (event.kind === "aged") return minute * 60_000;
    }
  }
  return Number.POSITIVE_INFINITY;
}

describe("an old link", () => {
  test("is said to be old at 12 h ± 20 %, spread by the random source", () => {
    const ages = Array.from({ length: 40 }, (_, at) => agedAt(`age ${at}`) / HOUR);
    expect(Math.min(...ages)).toBeWithin(9.6, 10.8);
    expect(Math.max(...ages)).toBeWithin(13.2, 14.5);
    expect(LIMITS.linkAgeMs).toBe(12 * HOUR);
  });

  test("is so sooner where the core was told to", () => {
    expect(agedAt("sooner", 10 * 60_000)).toBeWithin(8 * 60_000, 13 * 60_000);
  });

  test("is said to be so once, by the client alone, and its replacement is young", () => {
    const tunnels = Tunnels.connected({ delayMs: 5, linkAgeMs: 60_000 });
    tunnels.run(200_000);
    expect([tunnels.client.told("aged").length, tunnels.server.told("aged").length]).toEqual([1, 0]);
    tunnels.connect();
    tunnels.run(47_000);
    expect(tunnels.client.told("aged")).toHaveLength(1);
    tunnels.run(30_000);
    expect(tunnels.client.told("aged")).toHaveLength(2);
  });
});

describe("a process that has slept", () => {
  test("gives the link another 10 s, and is answered at once", () => {
    const tunnels = Tunnels.connected({ delayMs: 5 });
    const [line] = tunnels.lines;
    const { tunnel } = tunnels.client;
    tunnels.open();
    tunnels.run(0);
    tunnels.now += 40_000;
    tunnel.woke(tunnels.now);
    tunnel.tick(tunnels.now);
    tunnels.run(1_000);
    expect(line).toBeDefined();
    expect([tunnels.client.told("dead"), tunnels.client.told("suspect")]).toEqual([[], []]);
  });

  test("finds a dead path suspect after 3 s and dead after 9 s, though it had heard something just before", () => {
    const tunnels = Tunnels.connected({ delayMs: 5 });
    for (const line of tunnels.lines) line.stalled = true;
    tunnels.client.tunnel.woke(tunnels.now);
    tunnels.run(LIMITS.urgentPingDeadlineMs - 1);
    expect(tunnels.client.told("suspect")).toEqual([]);
    tunnels.run(2);
    expect(tunnels.client.told("suspect")).toEqual([{ kind: "suspect", slot: 0 }]);
    tunnels.run(LIMITS.pingDeadlineMs);
    expect(tunnels.client.told("dead").length).toBeGreaterThan(0);
  });
});

describe("a new stream", () => {
  test("goes to the least loaded slot", () => {
    const tunnels = Tunnels.connected({ delayMs: 5 });
    tunnels.connect(1);
    tunnels.connect(2);
    tunnels.settle();
    for (let count = 0; count < 7; count++) tunnels.open();
    tunnels.settle();
    expect([0, 1, 2].map((slot) => tunnels.client.tunnel.slotStats(slot).streams)).toEqual([3, 2, 2]);
    expect([0, 1, 2].map((slot) => tunnels.server.tunnel.slotStats(slot).streams)).toEqual([3, 2, 2]);
  });

  test("keeps off a slot that is suspect", () => {
    const tunnels = Tunnels.connected({ delayMs: 5 });
    const second = tunnels.connect(1);
    tunnels.settle();
    second.stalled = true;
    tunnels.client.tunnel.checkLinks(tunnels.now);
    tunnels.run(LIMITS.urgentPingDeadlineMs + 10);
    expect(tunnels.client.told("suspect")).toEqual([{ kind: "suspect", slot: 1 }]);
    for (let count = 0; count < 4; count++) tunnels.open();
    expect([0, 1].map((slot) => tunnels.client.tunnel.slotStats(slot).streams)).toEqual([4, 0]);
  });
});
