import { afterAll, expect, test } from "bun:test";
import { LIMITS, tunnelMemoryBound } from "../../src/proto/index.ts";
import { detachedBudgetInAll } from "../../src/server/server-limits.ts";
import { IDLE, Target, TestClient, type TestStream, until, useRegistries } from "./registry-support.ts";

/** Small by default; `CROWD=1000 bun test tests/server/crowd.test.ts` is the promise at full size. */
const CLIENTS = Number(process.env.CROWD ?? 50);
const STREAMS = 2 * CLIENTS;
const LIMIT_MS = 20_000 + 100 * CLIENTS;
/** Of a machine with 1 GiB: small enough for a crowd to reach it. */
const BUDGET_BYTES = detachedBudgetInAll(2 ** 30) / 8;

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

test(
  `${CLIENTS} clients vanish in mid-download: never over budget, and zero of everything after the window`,
  async () => {
    const registry = newRegistry({ resumeWindowMs: 1_000, detachedBytesInAll: BUDGET_BYTES });
    const endless = newTarget(1_000_000_000);
    const short = newTarget(500_000);
    const clients: TestClient[] = [];
    for (let count = 0; count < CLIENTS; count++) {
      const client = new TestClient(registry);
      expect(await client.dial(1)).toBe("created");
      // One that is read, and stays half-closed, and two that are not: bytes wait at both ends.
      client.open(short.destination);
      for (let stalled = 0; stalled < 2; stalled++) client.open(endless.destination, false);
      clients.push(client);
    }
    await until("all streams stand", () => registry.stats().sockets >= 2 * CLIENTS, LIMIT_MS);
    await until("much is held", () => registry.stats().heldBytes > CLIENTS * 2 ** 20, LIMIT_MS);
    let mostDetached = 0;
    for (const client of clients) {
      await client.cut();
      const { detachedBytes, detached } = registry.stats();
      expect(detachedBytes).toBeLessThanOrEqual(BUDGET_BYTES);
      mostDetached = Math.max(mostDetached, detached);
    }
    // The crowd was large enough to meet the budget, and the budget left most of it alone.
    expect(mostDetached).toBeGreaterThan(BUDGET_BYTES / 8 / 2 ** 20);
    expect(registry.stats().tunnels).toBeLessThan(CLIENTS);
    await until("the window has passed", () => registry.stats().tunnels === 0, LIMIT_MS);
    await until(
      "the sockets have closed",
      () => endless.open === 0 && registry.stats().sockets === 0,
      LIMIT_MS,
    );
    expect(registry.stats()).toEqual({ ...IDLE, remembered: CLIENTS });
    for (const { clientKey } of clients) expect(registry.clientStats(clientKey)).toBeUndefined();
  },
  LIMIT_MS,
);

test(
  `${STREAMS} streams that are never read, beside one that is: the one finishes`,
  async () => {
    const registry = newRegistry({ resumeWindowMs: 500 });
    const endless = newTarget(1_000_000_000);
    const client = new TestClient(registry);
    expect(await client.dial(1)).toBe("created");
    const stalled: TestStream[] = [];
    while (stalled.length < STREAMS) {
      // No more at once than a server dials.
      const some = Math.min(500, STREAMS - stalled.length);
      for (let count = 0; count < some; count++) stalled.push(client.open(endless.destination, false));
      await until("they are connected", () => stalled.every(({ response }) => response === "connected"));
    }
    const isFull = () => stalled.every(({ received }) => received >= LIMITS.exemptBytes);
    await until("every stalled stream has its share", isFull, LIMIT_MS);
    const bytes = 20_000_000;
    const reader = client.open(newTarget(bytes).destination);
    await until("the one that reads has all", () => reader.ended, LIMIT_MS);
    expect([reader.received, reader.reset]).toEqual([bytes, undefined]);
    // None of the others was broken for it, and what they hold is within the tunnel's bound.
    expect(stalled.filter(({ reset }) => reset !== undefined)).toEqual([]);
    const { heldBytes, pooledBytes, streams } = registry.stats();
    expect(heldBytes + pooledBytes).toBeLessThanOrEqual(tunnelMemoryBound(streams, LIMITS.poolBytes));
    await client.cut();
    await until("the window has passed", () => registry.stats().tunnels === 0, LIMIT_MS);
    await until("the sockets have closed", () => registry.stats().sockets === 0, LIMIT_MS);
    expect(registry.stats()).toEqual({ ...IDLE, remembered: 1 });
  },
  LIMIT_MS,
);
