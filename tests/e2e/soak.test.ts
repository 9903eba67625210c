import { expect } from "bun:test";
import { Dice } from "../sim/dice.ts";
import { countersOf, descriptorsOf, residentBytes } from "./support/process-size.ts";
import { ALLOW_LOOPBACK } from "./support/rvpn.ts";
import { describeWith, FULL, programsFor } from "./support/settings.ts";
import { LOADS } from "./support/soak-loads.ts";
import { useWorld, type World } from "./support/world.ts";

/** 15 minutes where the promise is shown, two in CI (`SOAK_SECONDS`), a glance elsewhere. */
const SECONDS = Number(process.env["SOAK_SECONDS"] ?? (FULL ? 900 : 12));
/** Less is no test of growth: then only what must be right at any moment is looked at. */
const JUDGED_SECONDS = 100;
const SEED = Number(process.env["SOAK_SEED"] ?? Date.now() % 1_000_000);
const MB = 1_000_000;
const SAMPLE_MS = 500;
const GROWTH = 0.1;
const GROWTH_BYTES = 20 * MB;
/** What is left of cut links, ended connections and the tunnels of guests who have gone is closed by then. */
const SETTLE_MS = 30_000;
/** What counts what has been, or names something, and not what is open. */
const NOT_OPEN = new Set(["pid", "rssBytes", "remembered"]);

describeWith(programsFor("direct"), `mixed load for ${SECONDS} s`, () => {
  const serverArgs = [...ALLOW_LOOPBACK, "--resume-window", "10s"];
  const it = useWorld({ route: "direct", chaos: true, serverArgs, clientArgs: ["--links", "2"] });
  it("memory and descriptors stay as they are, and nothing is lost", soak, SECONDS * 1_000 + 120_000);
});

async function soak(world: World): Promise<void> {
  const { server, client } = world;
  // The second link comes after the first, for which the world has waited.
  await eventuallyEqual(async () => (await client.status()).links.map(({ state }) => state), ["up", "up"]);
  const before = [server.child, client.child].map(descriptorsOf);
  const samples = await underLoad(world);
  await expectNothingOpen(world, before);
  for (const { name, output } of world.children.logs().filter((log) => log.name !== "origin"))
    expect([name, ...output.split("\n").filter(isAlarming)]).toEqual([name]);
  expect(await client.child.stop()).toBe(0);
  await expectNobody(world);
  for (const [name, bytes] of Object.entries(samples)) judge(name, bytes);
}

/** Cuts are everyday life, which the log tells as such. */
function isAlarming(line: string): boolean {
  return /(?:^| )(?:error|warn)(?::| )|^\s+at |\.ts:\d+/.test(line);
}

/** Runs all loads at once. Returns the resident bytes of both processes meanwhile. */
async function underLoad(world: World): Promise<Readonly<Record<string, readonly number[]>>> {
  const invite = (name: string, ...args: string[]) => world.server.invite(name, "--url", world.url, ...args);
  const soak = {
    world,
    guests: await invite("guests", "--uses", "10000"),
    visitor: { state: world.rvpn.newState("client"), link: await invite("visitor") },
  };
  let until = performance.now() + SECONDS * 1_000;
  const tally = new Map<string, number>();
  const samples: Record<"server" | "client", number[]> = { server: [], client: [] };
  const sampler = setInterval(() => {
    // A test that was given up as hanging has ended them.
    if (!world.server.child.running || !world.client.child.running) return clearInterval(sampler);
    samples.server.push(residentBytes(world.server.child));
    samples.client.push(residentBytes(world.client.child));
  }, SAMPLE_MS);
  const outcomes = await Promise.allSettled(
    LOADS.map(async ({ name, pauseMs, run }, index) => {
      const dice = new Dice(SEED + index);
      while (performance.now() < until) {
        await run(soak, dice).catch((error: unknown) => {
          // Where one has failed, the others come to their end before the test is torn down.
          until = 0;
          throw error;
        });
        tally.set(name, (tally.get(name) ?? 0) + 1);
        await Bun.sleep(dice.int(2 * pauseMs));
      }
    }),
  );
  clearInterval(sampler);
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  const said = [...tally].map(([name, count]) => `${count} ${name}`).join(", ");
  process.stderr.write(`soak: ${SECONDS} s (SOAK_SEED=${SEED}): ${said}\n`);
  return samples;
}

/** The one client is left, with its links and nothing on them. */
async function expectNothingOpen({ server, client }: World, before: readonly number[]): Promise<void> {
  const look = async () => {
    const { tunnels, streams, heldBytes, pooledBytes, detached, sockets } = await countersOf(server);
    const { streams: here, link } = await client.status();
    // Fewer than before are no growth.
    const descriptors = [server.child, client.child].map((child, at) =>
      Math.max(descriptorsOf(child), before[at] ?? 0),
    );
    return { tunnels, streams, heldBytes, pooledBytes, detached, sockets, here, link, descriptors };
  };
  const zero = { streams: 0, heldBytes: 0, pooledBytes: 0, detached: 0, sockets: 0, here: 0 };
  await eventuallyEqual(look, { ...zero, tunnels: 1, link: "up", descriptors: [...before] });
}

/** The last client has gone: every counter of what is open is zero. */
async function expectNobody({ rvpn, server }: World): Promise<void> {
  const open = async () => {
    const text = await rvpn.must(["clients", "--json", "--state", server.state]);
    const listed = JSON.parse(text) as { server: object }; // As README.md has it.
    return Object.entries(listed.server).filter(
      ([name, value]) => typeof value === "number" && value !== 0 && !NOT_OPEN.has(name),
    );
  };
  await eventuallyEqual(open, []);
}

async function eventuallyEqual(look: () => Promise<unknown>, expected: unknown): Promise<void> {
  for (const end = performance.now() + SETTLE_MS; performance.now() < end; await Bun.sleep(200))
    if (Bun.deepEquals(await look(), expected)) return;
  expect(await look()).toEqual(expected);
}

/** The last quarter's median against the second's: in the first one everything is still warming up. */
function judge(name: string, bytes: readonly number[]): void {
  const quarter = Math.floor(bytes.length / 4);
  const median = (part: readonly number[]) =>
    part.toSorted((a, b) => a - b)[Math.floor(part.length / 2)] ?? 0;
  const [early, late] = [median(bytes.slice(quarter, 2 * quarter)), median(bytes.slice(3 * quarter))];
  const growth = ((late / early - 1) * 100).toFixed(1);
  process.stderr.write(
    `soak: RSS of the ${name}: ${(early / MB).toFixed(0)} MB in the second quarter, ${(late / MB).toFixed(0)} in the last (${growth} %)\n`,
  );
  if (SECONDS < JUDGED_SECONDS) return;
  expect(late).toBeLessThanOrEqual(early + Math.max(GROWTH * early, GROWTH_BYTES));
}
