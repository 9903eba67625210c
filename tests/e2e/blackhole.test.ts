import { expect } from "bun:test";
import { join } from "node:path";
import { chaosOf } from "./support/chaos-run.ts";
import { curl, curlHash, through } from "./support/curl.ts";
import { patternHash, writePattern } from "./support/pattern.ts";
import type { Status } from "./support/rvpn.ts";
import { describeWith, FULL, programsFor } from "./support/settings.ts";
import { useWorld, type World } from "./support/world.ts";

/** The promises. */
const NOTICED_BUSY_MS = 10_000;
const NOTICED_IDLE_MS = 35_000;
/** Of the path, so that round trips are something to count. */
const DELAY_MS = 50;
const ROUND_TRIP_MS = 2 * DELAY_MS;
/** While a request waits the next attempt is at most this far away. */
const BACKOFF_MS = 1_000;
/** TCP connect and upgrade are two more round trips of their own; the rest is for two busy cores. */
const SLACK_MS = 1_500;
/** Beside a dial that hangs in the hole another is tried this often, and the next one gets through. */
const STAGGER_MS = 2_500;
const RECOVERED_MS = STAGGER_MS + BACKOFF_MS + 2 * ROUND_TRIP_MS + SLACK_MS;

const RATE = 1_000_000;
const BYTES = 3_000_000;

describeWith(programsFor("direct"), "the path becomes a black hole", () => {
  const it = useWorld({ route: "direct", chaos: true });
  it("noticed within 10 s with data pending, and nothing is lost", sending);
  if (FULL) it("noticed by both within 10 s under a download, and nothing is lost", receiving, 120_000);
  if (FULL) it("noticed within 35 s when idle", idle, 120_000);
  if (FULL) it("packets that are held back and come at last: recovered within 2 round trips", held);
});

/** The client has bytes that nobody acknowledges. */
async function sending(world: World): Promise<void> {
  const chaos = chaosOf(world);
  chaos.delay(DELAY_MS);
  const file = join(world.dir, "up");
  await writePattern(file, BYTES);
  const limit = ["--limit-rate", String(RATE)];
  const upload = started(
    curl(world, ...through(world, "socks5h"), ...limit, "-T", file, world.origin.url("/upload")),
  );
  const before = await world.client.awaitStatus(({ bytesUp }) => bytesUp > BYTES / 10);
  const { connections } = chaos.counts;
  chaos.blackhole(true);
  const startedAt = performance.now();
  // A second link is dialled beside the silent one, which is given up later.
  await until(() => chaos.counts.connections > connections, NOTICED_BUSY_MS);
  const suspectedMs = performance.now() - startedAt;
  const down = await world.client.awaitStatus(({ link }) => link !== "up", 2 * NOTICED_BUSY_MS);
  const noticedMs = performance.now() - startedAt;
  chaos.blackhole(false);
  const recoveredMs = await recovery(world, before);
  report("sending", { suspectedMs, noticedMs, recoveredMs }, down);
  const { exitCode, stdout } = await upload;
  expect(exitCode).toBe(0);
  expect(JSON.parse(stdout)).toEqual({ bytes: BYTES, sha256: patternHash(BYTES) });
  chaos.delay(0);
  expect(suspectedMs).toBeLessThanOrEqual(NOTICED_BUSY_MS);
  expect(noticedMs).toBeLessThanOrEqual(NOTICED_BUSY_MS);
  expect(recoveredMs).toBeLessThanOrEqual(RECOVERED_MS);
}

/** The server has such bytes; the client, which alone can dial, only waits for more, and has to ask. */
async function receiving(world: World): Promise<void> {
  const chaos = chaosOf(world);
  chaos.delay(DELAY_MS);
  const { bytesDown } = await world.client.status();
  const url = world.origin.url(`/bytes/${BYTES}?rate=${RATE}`);
  const hash = started(curlHash(world, ...through(world, "socks5h"), url));
  const before = await world.client.awaitStatus((status) => status.bytesDown > bytesDown + BYTES / 10);
  const [losses, startedAt] = [lossesOf(world), performance.now()];
  chaos.blackhole(true);
  await until(() => lossesOf(world) > losses, 2 * NOTICED_BUSY_MS);
  const noticedMs = performance.now() - startedAt;
  const down = await world.client.awaitStatus(({ link }) => link !== "up", 2 * NOTICED_BUSY_MS);
  const noticedByClientMs = performance.now() - startedAt;
  chaos.blackhole(false);
  const recoveredMs = await recovery(world, before);
  report("receiving", { noticedMs, noticedByClientMs, recoveredMs }, down);
  expect(await hash).toBe(patternHash(BYTES));
  chaos.delay(0);
  expect(noticedMs).toBeLessThanOrEqual(NOTICED_BUSY_MS);
  expect(noticedByClientMs).toBeLessThanOrEqual(NOTICED_BUSY_MS);
  expect(recoveredMs).toBeLessThanOrEqual(RECOVERED_MS);
}

/** How many links the server says it has lost. */
function lossesOf({ server }: World): number {
  return server.child.output().match(/link lost/g)?.length ?? 0;
}

/** What fails while nobody waits for it yet fails the test later, where it is waited for. */
function started<T>(running: Promise<T>): Promise<T> {
  running.catch(() => {});
  return running;
}

async function idle(world: World): Promise<void> {
  const chaos = chaosOf(world);
  chaos.delay(DELAY_MS);
  const before = await world.client.awaitStatus(({ streams, link }) => streams === 0 && link === "up");
  chaos.blackhole(true);
  const startedAt = performance.now();
  const down = await world.client.awaitStatus(({ link }) => link !== "up", 2 * NOTICED_IDLE_MS);
  const noticedMs = performance.now() - startedAt;
  chaos.blackhole(false);
  const url = world.origin.url("/");
  const page = started(curlHash(world, ...through(world, "socks5h"), url));
  const recoveredMs = await recovery(world, before);
  await page;
  chaos.delay(0);
  report("idle", { noticedMs, recoveredMs }, down);
  expect(noticedMs).toBeLessThanOrEqual(NOTICED_IDLE_MS);
  expect(recoveredMs).toBeLessThanOrEqual(RECOVERED_MS);
}

/** As on a path that loses every packet for a while and whose TCP sends them again. */
async function held(world: World): Promise<void> {
  const chaos = chaosOf(world);
  chaos.delay(DELAY_MS);
  const before = await world.client.status();
  const file = join(world.dir, "up");
  await writePattern(file, BYTES);
  const limit = ["--limit-rate", String(RATE)];
  const upload = started(
    curl(world, ...through(world, "socks5h"), ...limit, "-T", file, world.origin.url("/upload")),
  );
  await world.client.awaitStatus(({ bytesUp }) => bytesUp > before.bytesUp + BYTES / 10);
  chaos.stall("both");
  await world.client.awaitStatus(({ link }) => link !== "up", 2 * NOTICED_BUSY_MS);
  chaos.flow();
  const recoveredMs = await recovery(world, before);
  const { stdout } = await upload;
  expect(JSON.parse(stdout)).toEqual({ bytes: BYTES, sha256: patternHash(BYTES) });
  chaos.delay(0);
  report("held", { recoveredMs });
  expect(recoveredMs).toBeLessThanOrEqual(BACKOFF_MS + 2 * ROUND_TRIP_MS + SLACK_MS);
}

/** How long from now until a link is up that was not `before`. */
async function recovery(world: World, before: Status): Promise<number> {
  const startedAt = performance.now();
  const isBack = ({ link, reconnects }: Status) => link === "up" && reconnects > before.reconnects;
  await world.client.awaitStatus(isBack, 60_000);
  return performance.now() - startedAt;
}

async function until(isMet: () => boolean, limitMs: number): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!isMet()) {
    if (performance.now() > deadline) throw new Error(`not within ${limitMs} ms: ${isMet}`);
    await Bun.sleep(5);
  }
}

function report(what: string, times: Readonly<Record<string, number>>, status?: Status): void {
  const shown = Object.entries(times).map(([name, ms]) => `${name.replace(/Ms$/, "")} ${ms.toFixed(0)} ms`);
  const reason = status?.lastReason === undefined ? "" : ` (${status.lastReason})`;
  process.stderr.write(`blackhole: ${what}: ${shown.join(", ")}${reason}\n`);
}
