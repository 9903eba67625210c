import { afterAll, describe, expect, test } from "bun:test";
import { tunnelFlags } from "../../src/cli/client-options.ts";
import { type Log, silentLog } from "../../src/runtime/log.ts";
import { parseDuration } from "../../src/runtime/units.ts";
import type { Dialer } from "../../src/server/dialer.ts";
import type { TunnelRegistry } from "../../src/server/registry.ts";
import { SERVER_LIMITS } from "../../src/server/server-limits.ts";
import { dialerOf, to } from "./dialer-setup.ts";
import { IDLE, Target, TestClient, until, useRegistries } from "./registry-support.ts";

const newRegistry = useRegistries();
const targets: Target[] = [];
afterAll(() => {
  for (const target of targets) target.stop();
});

function newTarget(bytes = 0, half = false): Target {
  const target = new Target(bytes, half);
  targets.push(target);
  return target;
}

/** A client with one link and `streams` connected streams. */
async function connected(
  registry: TunnelRegistry,
  target: Target,
  streams: number,
  client = new TestClient(registry),
) {
  expect(await client.dial(1)).toBe("created");
  const opened = Array.from({ length: streams }, () => client.open(target.destination));
  await until("all streams are connected", () => opened.every(({ response }) => response === "connected"));
  return { client, opened };
}

/** Another dial of the same tunnel, from before: with a request that rides along in its first packet. */
function lateDial(registry: TunnelRegistry, { clientKey, secret }: TestClient, target: Target): TestClient {
  const late = new TestClient(registry, { clientKey, secret });
  late.open(target.destination);
  return late;
}

describe("a tunnel without a link", () => {
  test("goes on where it was when its client is back in time", async () => {
    const registry = newRegistry();
    const target = newTarget(2_000_000);
    const { client, opened } = await connected(registry, target, 3);
    await client.cut();
    expect(registry.stats()).toMatchObject({ tunnels: 1, detached: 1, links: 0, streams: 3, timers: 1 });
    expect(await client.dial(2)).toBe("resumed");
    expect(registry.stats()).toMatchObject({
      tunnels: 1,
      detached: 0,
      links: 1,
      detachedBytes: 0,
      timers: 0,
    });
    await until("all of it has come", () => opened.every(({ ended }) => ended));
    expect(opened.map(({ received }) => received)).toEqual([2_000_000, 2_000_000, 2_000_000]);
    expect(target.accepted).toBe(3);
    await client.cut();
  });

  test("reads nothing from its sockets meanwhile", async () => {
    const registry = newRegistry({ resumeWindowMs: 60_000 });
    const target = newTarget(50_000_000);
    const { client } = await connected(registry, target, 4);
    await client.cut();
    const { heldBytes } = registry.stats();
    await Bun.sleep(100);
    expect(registry.stats().heldBytes).toBe(heldBytes);
    expect(await client.dial(2)).toBe("resumed");
    await until("it reads again", () => target.sent === 4 * 50_000_000, 20_000);
    await client.cut();
  }, 30_000);

  test("does not read from a socket that connects while it waits, until its client is back", async () => {
    const dialer = dialerOf();
    const slow: Dialer = {
      dial: async (...args) => {
        await Bun.sleep(50);
        return await dialer.dial(...args);
      },
    };
    const registry = newRegistry({ resumeWindowMs: 60_000, dialers: { dialerOf: () => slow } });
    const target = newTarget(300_000);
    const client = new TestClient(registry);
    await client.dial(1);
    const stream = client.open(target.destination);
    await until("the request is at the server", () => registry.stats().streams === 1);
    await client.cut();
    await until("the socket stands", () => registry.stats().sockets === 1);
    await Bun.sleep(50);
    expect(registry.stats().heldBytes).toBe(0);
    expect(await client.dial(2)).toBe("resumed");
    await until("all of it has come", () => stream.ended);
    expect([stream.response, stream.received]).toEqual(["connected", 300_000]);
    await client.cut();
  });

  test("is given up after the resume window, and leaves nothing behind", async () => {
    const registry = newRegistry();
    const target = newTarget(50_000_000);
    const { client } = await connected(registry, target, 5);
    await client.cut();
    await until("the window has passed", () => registry.stats().tunnels === 0);
    await until("its sockets are gone", () => target.open === 0);
    expect(registry.stats()).toEqual({ ...IDLE, remembered: 1 });
    expect(registry.clientStats(client.clientKey)).toBeUndefined();
  });

  test("and without streams goes after the short time", async () => {
    const registry = newRegistry({ resumeWindowMs: 60_000 });
    const { client } = await connected(registry, newTarget(), 0);
    await client.cut();
    expect(registry.stats()).toMatchObject({ tunnels: 1, timers: 1 });
    await until("the short time has passed", () => registry.stats().tunnels === 0, 1_000);
    expect(registry.stats()).toEqual({ ...IDLE, remembered: 1 });
  });

  test("is not kept at all with a window of 0", async () => {
    const registry = newRegistry({ resumeWindowMs: 0 });
    const { client } = await connected(registry, newTarget(), 2);
    await client.cut();
    await until("it is gone", () => registry.stats().tunnels === 0, 500);
    expect(await client.dial(2)).toBe("dropped");
  });
});

describe("a tunnel that was given up", () => {
  test.each([
    ["with streams", 2],
    ["without streams", 0],
  ])("%s is not brought back by a dial from before, whose requests do not run", async (_, streams) => {
    const registry = newRegistry();
    const target = newTarget();
    const { client, opened } = await connected(registry, target, streams);
    expect(await client.dial(7)).toBe("resumed");
    await client.cut();
    await until("it is given up", () => registry.stats().tunnels === 0);
    const { accepted } = target;
    expect(await lateDial(registry, client, target).dial(6)).toBe("staleLink");
    expect(await client.dial(8)).toBe("dropped");
    for (const { reset } of opened) expect(reset).toBe("lost");
    // The tunnel that took its place knows what is stale, and so does the memory of that one's end.
    expect(await lateDial(registry, client, target).dial(8)).toBe("staleLink");
    await client.cut();
    await until("this one is given up too", () => registry.stats().tunnels === 0);
    expect(await lateDial(registry, client, target).dial(8)).toBe("staleLink");
    expect(target.accepted).toBe(accepted);
    expect(registry.stats()).toEqual({ ...IDLE, remembered: 1 });
  });

  test("is another's business under another identity", async () => {
    const registry = newRegistry();
    const { client } = await connected(registry, newTarget(), 1);
    const thief = new TestClient(registry, { secret: client.secret });
    expect(await thief.dial(9)).toBe("created");
    expect(registry.stats()).toMatchObject({ tunnels: 2, links: 2, streams: 1 });
    await Promise.all([thief.cut(), client.cut()]);
  });
});

describe("the budget of detached tunnels", () => {
  test("lets the oldest of the same identity go, and touches nobody else's", async () => {
    const target = newTarget();
    // Each tunnel weighs its streams' exemptions: 4 × 8 KiB.
    const registry = newRegistry({ resumeWindowMs: 60_000, limits: { detachedBytesPerClient: 100_000 } });
    const other = await connected(registry, target, 4, new TestClient(registry, { name: "other" }));
    await other.client.cut();
    const { clientKey } = new TestClient(registry);
    const mine = [];
    for (let round = 0; round < 5; round++) {
      const one = await connected(registry, target, 4, new TestClient(registry, { clientKey }));
      await one.client.cut();
      mine.push(one.client);
      const { heldBytes = 0, pooledBytes = 0 } = registry.clientStats(clientKey) ?? {};
      expect(heldBytes + pooledBytes).toBeLessThanOrEqual(100_000);
      expect(registry.stats().detachedBytes).toBeLessThanOrEqual(100_000 + 4 * 8_192);
    }
    expect(registry.clientStats(clientKey)).toMatchObject({ tunnels: 3, detached: 3, streams: 12 });
    const outcomes = [];
    for (const client of mine) outcomes.push(await client.dial(2));
    expect(outcomes).toEqual(["dropped", "dropped", "resumed", "resumed", "resumed"]);
    expect(await other.client.dial(2)).toBe("resumed");
    registry.close();
    expect(registry.stats()).toMatchObject({ ...IDLE, sockets: expect.any(Number) });
    await until("the sockets have closed", () => registry.stats().sockets === 0);
  });

  test("of all together is paid for by who holds most", async () => {
    const target = newTarget();
    const registry = newRegistry({ resumeWindowMs: 60_000, detachedBytesInAll: 8 * 8_192 });
    const small = await connected(registry, target, 1);
    await small.client.cut();
    const { clientKey } = new TestClient(registry);
    for (let round = 0; round < 3; round++) {
      const { client } = await connected(registry, target, 3, new TestClient(registry, { clientKey }));
      await client.cut();
      expect(registry.stats().detachedBytes).toBeLessThanOrEqual(8 * 8_192);
    }
    expect(registry.clientStats(clientKey)).toMatchObject({ tunnels: 2 });
    expect(await small.client.dial(2)).toBe("resumed");
    registry.close();
  });
});

test("a tunnel without streams outlasts a request that was under way to it and waits for the next link", () => {
  const patienceMs = parseDuration(tunnelFlags.wait.default, "--wait");
  expect(SERVER_LIMITS.emptyTunnelMs).toBeGreaterThan(2 * patienceMs);
});

describe("admission limits", () => {
  test("tunnels of one identity: what it left behind makes room, then it is refused", async () => {
    const registry = newRegistry({
      resumeWindowMs: 60_000,
      limits: { tunnelsPerClient: 2, emptyTunnelMs: 60_000 },
    });
    const { clientKey } = new TestClient(registry);
    const [first, second, third, fourth] = Array.from(
      { length: 4 },
      () => new TestClient(registry, { clientKey }),
    );
    expect(await first?.dial(1)).toBe("created");
    expect(await second?.dial(1)).toBe("created");
    await first?.cut();
    expect(await third?.dial(1)).toBe("created");
    expect(await fourth?.dial(1)).toBe("tooMany");
    expect(await first?.dial(2)).toBe("tooMany");
    expect(await new TestClient(registry).dial(1)).toBe("created");
    registry.close();
  });

  test("tunnels in all: nobody else's is given up for a new one", async () => {
    const registry = newRegistry({ resumeWindowMs: 60_000, limits: { tunnels: 2, emptyTunnelMs: 60_000 } });
    const [first, second, third] = Array.from({ length: 3 }, () => new TestClient(registry));
    expect(await first?.dial(1)).toBe("created");
    expect(await second?.dial(1)).toBe("created");
    await first?.cut();
    expect(await third?.dial(1)).toBe("tooMany");
    expect(await first?.dial(2)).toBe("resumed");
    registry.close();
  });

  test("links of a tunnel, of an identity and in all; one that takes another's place needs no room", async () => {
    const registry = newRegistry({ limits: { linksPerTunnel: 3, linksPerClient: 4, links: 5 } });
    const { clientKey } = new TestClient(registry);
    const [one, two] = [new TestClient(registry, { clientKey }), new TestClient(registry, { clientKey })];
    for (const slot of [0, 1, 2]) expect(await one.dial(1, slot)).toBe(slot === 0 ? "created" : "resumed");
    expect(await one.dial(1, 3)).toBe("tooMany");
    expect(await two.dial(1, 0)).toBe("created");
    expect(await two.dial(1, 1)).toBe("tooMany");
    expect(await two.dial(2, 0)).toBe("resumed");
    expect(await new TestClient(registry).dial(1)).toBe("created");
    expect(await new TestClient(registry).dial(1)).toBe("tooMany");
    expect(registry.stats().links).toBe(5);
    await one.cut(2);
    expect(registry.stats().links).toBe(4);
    expect(await new TestClient(registry).dial(1)).toBe("created");
    registry.close();
    expect(registry.stats()).toMatchObject({ ...IDLE });
  });

  test("streams of an identity and in all: the one too many is answered, and the others go on", async () => {
    const registry = newRegistry({ limits: { streamsPerClient: 3, streams: 4 } });
    const target = newTarget();
    const { client, opened } = await connected(registry, target, 3);
    const fourth = client.open(target.destination);
    await until("it is answered", () => fourth.response !== undefined);
    expect(fourth.response).toBe("overloaded");
    const other = await connected(registry, target, 1);
    const fifth = other.client.open(target.destination);
    await until("it is answered", () => fifth.response !== undefined);
    expect(fifth.response).toBe("overloaded");
    opened[0]?.stream?.reset("cancelled");
    await until("there is room", () => registry.stats().sockets === 3);
    const sixth = client.open(target.destination);
    await until("it is answered", () => sixth.response !== undefined);
    expect([sixth.response, target.accepted]).toEqual(["connected", 5]);
    registry.close();
    await until("nothing is left", () => registry.stats().sockets === 0);
  });
});

test("what the policy has refused since the last full minute is told when the server ends", async () => {
  const lines: string[] = [];
  const info: Log["info"] = (message, fields = {}) =>
    void lines.push(`${message} ${fields["count"] ?? "once"}`);
  const registry = newRegistry({ log: { ...silentLog, info } });
  const client = new TestClient(registry);
  await client.dial(1);
  const refused = Array.from({ length: 3 }, () => client.open(to("10.0.0.1", 22)));
  await until("all are answered", () => refused.every(({ response }) => response !== undefined));
  registry.close();
  expect(lines.filter((line) => line.startsWith("destination"))).toEqual([
    "destination refused once",
    "destinations refused 2",
  ]);
});

describe("a drain", () => {
  const LONG_MS = 60_000;

  test("ends with the last stream, takes nothing new, and lets clients resume", async () => {
    const registry = newRegistry();
    const target = newTarget(3_000_000);
    const { client, opened } = await connected(registry, target, 1);
    await client.cut();
    const drained = registry.drain(LONG_MS);
    expect(await new TestClient(registry).dial(1)).toBe("draining");
    expect(await client.dial(2)).toBe("resumed");
    // It is refused, or held back where the client has heard of the drain: connected it is not.
    const late = client.open(target.destination);
    await until("the open one finishes", () => opened[0]?.ended === true);
    opened[0]?.stream?.finish();
    await drained;
    expect(opened[0]?.received).toBe(3_000_000);
    expect(late.response).not.toBe("connected");
    registry.close();
  });

  test("waits for a client whose link was lost a moment ago, and no longer than that", async () => {
    const registry = newRegistry({ resumeWindowMs: LONG_MS, limits: { drainDetachedMs: 300 } });
    const { client } = await connected(registry, newTarget(), 1);
    await client.cut();
    const startedAt = performance.now();
    await registry.drain(LONG_MS);
    const tookMs = performance.now() - startedAt;
    expect(tookMs).toBeGreaterThan(200);
    expect(tookMs).toBeLessThan(2_000);
    registry.close();
  });

  test("waits for an attached client's streams to the deadline", async () => {
    const registry = newRegistry({ limits: { drainDetachedMs: 50 } });
    await connected(registry, newTarget(), 1);
    const startedAt = performance.now();
    await registry.drain(400);
    expect(performance.now() - startedAt).toBeGreaterThan(390);
    registry.close();
    expect(registry.stats().tunnels).toBe(0);
  });
});
