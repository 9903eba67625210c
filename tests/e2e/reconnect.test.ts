import { expect } from "bun:test";
import { Dice } from "../sim/dice.ts";
import { curl, through } from "./support/curl.ts";
import { countersOf, descriptorsOf, expectMemoryBack, residentBytes } from "./support/process-size.ts";
import { ALLOW_LOOPBACK, type RvpnServer } from "./support/rvpn.ts";
import { describeWith, FULL, programsFor } from "./support/settings.ts";
import { useWorld, type World } from "./support/world.ts";

/** The promise: from the server listening to the first page. */
const MEDIAN_MS = 2_000;
const ALWAYS_MS = 5_000;
const ROUNDS = FULL ? 20 : 4;
/** How long the server is away: long enough, at full size, for the backoff to have grown. */
const AWAY_MS = FULL ? 12_000 : 1_000;
/** Rounds before the one that memory and descriptors are compared with. */
const WARM_UP = FULL ? 2 : 1;

describeWith(programsFor("direct"), "the server is killed and started again", () => {
  const it = useWorld({ route: "direct" });
  it(
    `a page comes within 2 s in the median of ${ROUNDS}, within 5 s always; nothing piles up`,
    rounds,
    590_000,
  );
});

async function rounds(world: World): Promise<void> {
  const seed = Number(process.env["CHAOS_SEED"] ?? Date.now() % 1_000_000);
  const dice = new Dice(seed);
  const { child } = world.client;
  let server = world.server;
  const tookMs: number[] = [];
  let first = { descriptors: 0, resident: 0 };
  await loadPage(world);
  for (let round = 0; round < WARM_UP + ROUNDS; round++) {
    if (round === WARM_UP) first = { descriptors: descriptorsOf(child), resident: residentBytes(child) };
    server = await killAndStart(world, server, dice.between(0, AWAY_MS));
    const took = await firstPage(world);
    if (round >= WARM_UP) tookMs.push(took);
    // Everything of a round is gone before the next one counts.
    await world.client.awaitStatus(({ streams, link }) => streams === 0 && link === "up");
  }
  const sorted = tookMs.toSorted((a, b) => a - b);
  const [median = 0, slowest = 0] = [sorted[Math.floor(sorted.length / 2)], sorted.at(-1)];
  const last = { descriptors: descriptorsOf(child), resident: residentBytes(child) };
  process.stderr.write(
    `reconnect: ${ROUNDS} rounds (CHAOS_SEED=${seed}): median ${median.toFixed(0)} ms, slowest ${slowest.toFixed(0)} ms; ` +
      `descriptors ${first.descriptors} then ${last.descriptors}, ` +
      `RSS ${(first.resident / 1e6).toFixed(1)} then ${(last.resident / 1e6).toFixed(1)} MB\n`,
  );
  expect(median).toBeLessThanOrEqual(MEDIAN_MS);
  expect(slowest).toBeLessThanOrEqual(ALWAYS_MS);
  expect(last.descriptors).toBeLessThanOrEqual(first.descriptors);
  expectMemoryBack(first.resident, last.resident);
  expect((await world.client.status()).reconnects).toBeGreaterThanOrEqual(WARM_UP + ROUNDS);
  expect(await countersOf(server)).toMatchObject({ tunnels: 1, streams: 0, heldBytes: 0, pooledBytes: 0 });
}

/** Returns the server once it says that it listens. */
async function killAndStart(world: World, server: RvpnServer, awayMs: number): Promise<RvpnServer> {
  server.child.signal("SIGKILL");
  await server.child.exited;
  await Bun.sleep(awayMs);
  const listen = ["--listen", `127.0.0.1:${server.port}`];
  return await world.rvpn.startServer([...ALLOW_LOOPBACK, ...listen], server.state);
}

/** How long it takes to the first page, asked for again and again as a person would. */
async function firstPage(world: World): Promise<number> {
  const startedAt = performance.now();
  for (;;) {
    if (await loadPage(world)) return performance.now() - startedAt;
    if (performance.now() - startedAt > 3 * ALWAYS_MS) throw new Error("no page came");
    await Bun.sleep(20);
  }
}

async function loadPage(world: World): Promise<boolean> {
  const { exitCode, stdout } = await curl(world, ...through(world, "socks5h"), world.origin.url("/page"));
  return exitCode === 0 && stdout.endsWith("</html>\n");
}
