import { expect } from "bun:test";
import { totalmem } from "node:os";
import { chaosOf } from "./support/chaos-run.ts";
import { LightClient } from "./support/light-client.ts";
import { countersOf, descriptorsOf, expectMemoryBack, settledBytes } from "./support/process-size.ts";
import { ALLOW_LOOPBACK, type RvpnServer } from "./support/rvpn.ts";
import { describeWith, FULL, programsFor } from "./support/settings.ts";
import { useWorld, type World } from "./support/world.ts";

const CLIENTS = FULL ? 1_000 : 40;
/** Memory is judged by a second wave against the first; the quick tier looks at counters only. */
const WAVES = FULL ? 3 : 1;
const RESUME_WINDOW_MS = 2_000;
/** Clients that join at once. */
const AT_ONCE = 20;
/** Each has a session that says little. Some also load all the time: 20 messages/s each, which is what the cores bear. */
const PACED_EVERY = FULL ? 10 : 1;
/** Some have a stream that fills whatever it may, and do not read it. */
const GREEDY_EVERY = 4;
const RATE = 10_000;
const LOAD_MS = FULL ? 5_000 : 1_000;
/** Until the last client has its first byte. */
const SERVED_MS = 60_000;
/** Silence is noticed with data pending within 10 s, else after 35 s. */
const GONE_MS = 35_000 + RESUME_WINDOW_MS + 15_000;
/** How long a WebSocket may linger whose Close frame is not answered: Bun's idle time and more. */
const CLOSED_MS = 150_000;
/** What counts what has been, or names something, and not what is open. */
const NOT_OPEN = new Set(["pid", "bytesIn", "bytesOut", "rssBytes", "remembered"]);

const ARGS = ["--resume-window", `${RESUME_WINDOW_MS}ms`];

describeWith(programsFor("direct"), `${CLIENTS} clients vanish without a word`, () => {
  const it = useWorld({ route: "direct", chaos: true, serverArgs: [...ALLOW_LOOPBACK, ...ARGS] });
  it("after the resume window the server has nothing of them left", vanish, FULL ? 590_000 : 80_000);
});

async function vanish(world: World): Promise<void> {
  // The counters of an idle server are those before any client, and the world has one.
  await world.client.child.stop();
  await expectNothingOpen(world.server);
  const descriptors = descriptorsOf(world.server.child);
  const resident: number[] = [];
  for (let wave = 0; wave < WAVES; wave++) {
    await oneWave(world, wave);
    if (WAVES > 1) resident.push(await settledBytes(world.server.child, () => countersOf(world.server)));
    await expectClosed(world.server, descriptors);
  }
  const shown = resident.map((bytes) => (bytes / 1e6).toFixed(1));
  if (WAVES > 1) process.stderr.write(`vanish: server RSS after each wave: ${shown.join(", ")} MB\n`);
  for (const bytes of resident.slice(1)) expectMemoryBack(resident[0] ?? 0, bytes);
}

async function oneWave(world: World, wave: number): Promise<void> {
  const chaos = chaosOf(world);
  const invite = await world.server.invite(`wave${wave}`, "--uses", String(CLIENTS), "--url", world.url);
  const clients: LightClient[] = [];
  while (clients.length < CLIENTS) {
    const some = Array.from({ length: Math.min(AT_ONCE, CLIENTS - clients.length) }, () => new LightClient());
    await Promise.all(some.map((client) => client.join(invite)));
    clients.push(...some);
  }
  // The server makes 1,024 dials at once and refuses more.
  for (let at = 0; at < CLIENTS; at += AT_ONCE)
    await Promise.all(
      clients.slice(at, at + AT_ONCE).map((client, index) => load(world, client, at + index)),
    );
  const isServed = () => clients.every(({ receivedBytes }) => receivedBytes > 0);
  for (const deadline = performance.now() + SERVED_MS; !isServed(); await Bun.sleep(50))
    if (performance.now() > deadline) throw new Error("some clients got nothing");
  await Bun.sleep(LOAD_MS);
  const under = await countersOf(world.server);
  expect(under["tunnels"]).toBe(CLIENTS);
  expect(under["streams"]).toBeGreaterThanOrEqual(CLIENTS);

  chaos.blackhole(true);
  const vanishedAt = performance.now();
  for (const client of clients) client.discard();
  const { detachedBytes } = await expectNothingOpen(world.server);
  const goneMs = performance.now() - vanishedAt;
  chaos.blackhole(false);
  process.stderr.write(
    `vanish: wave ${wave}: ${CLIENTS} clients, ${under["streams"]} streams, ${mb(under["heldBytes"])} MB held; ` +
      `at most ${mb(detachedBytes)} MB detached; all gone after ${goneMs.toFixed(0)} ms\n`,
  );
  // The server promises half of the machine's memory to clients that are away.
  expect(detachedBytes).toBeLessThanOrEqual(totalmem() / 2);
}

async function load({ origin }: World, client: LightClient, index: number): Promise<void> {
  const { banner, http, flood } = origin.ports;
  const request = `GET /bytes/1000000000?rate=${RATE} HTTP/1.1\r\nHost: origin\r\n\r\n`;
  await client.open(banner, "", "reads");
  if (index % PACED_EVERY === 0) await client.open(http, request, "reads");
  if (index % GREEDY_EVERY === 0) await client.open(flood, "", "never reads");
}

/** Waits until every counter of what is open is zero. Returns the most that was detached meanwhile. */
async function expectNothingOpen(server: RvpnServer): Promise<{ detachedBytes: number }> {
  let detachedBytes = 0;
  for (const deadline = performance.now() + GONE_MS; ; await Bun.sleep(100)) {
    const counters = await countersOf(server);
    detachedBytes = Math.max(detachedBytes, counters["detachedBytes"] ?? 0);
    const open = Object.entries(counters).filter(([name, value]) => value !== 0 && !NOT_OPEN.has(name));
    if (open.length === 0) return { detachedBytes };
    if (performance.now() > deadline) expect(Object.fromEntries(open)).toEqual({});
  }
}

/** Waits until the server has no more descriptors than before: a close that nobody answers takes its time. */
async function expectClosed({ child }: RvpnServer, before: number): Promise<void> {
  const [startedAt, many] = [performance.now(), descriptorsOf(child)];
  while (descriptorsOf(child) > before && performance.now() - startedAt < CLOSED_MS) await Bun.sleep(100);
  const ms = (performance.now() - startedAt).toFixed(0);
  process.stderr.write(
    `vanish: descriptors ${before} before, ${many} then, ${descriptorsOf(child)} after ${ms} ms\n`,
  );
  expect(descriptorsOf(child)).toBeLessThanOrEqual(before);
}

function mb(bytes = 0): string {
  return (bytes / 1e6).toFixed(1);
}
