import { expect } from "bun:test";
import { createHash } from "node:crypto";
import { Dice } from "../sim/dice.ts";
import { chaosOf } from "./support/chaos-run.ts";
import { curl, curlHash, type ProxyKind, through } from "./support/curl.ts";
import { LightClient } from "./support/light-client.ts";
import { patternHash } from "./support/pattern.ts";
import { countersOf, descriptorsOf, residentBytes } from "./support/process-size.ts";
import { openThrough, type ProxiedSocket } from "./support/proxied-socket.ts";
import { ALLOW_LOOPBACK } from "./support/rvpn.ts";
import { describeWith, FULL, programsFor } from "./support/settings.ts";
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
const CLOSED_PORT = 1;

describeWith(programsFor("direct"), `mixed load for ${SECONDS} s`, () => {
  const serverArgs = [...ALLOW_LOOPBACK, "--resume-window", "10s"];
  const it = useWorld({ route: "direct", chaos: true, serverArgs, clientArgs: ["--links", "2"] });
  it("memory and descriptors stay as they are, and nothing is lost", soak, SECONDS * 1_000 + 120_000);
});

/** How often each kind of load went through. */
type Tally = Map<string, number>;

async function soak(world: World): Promise<void> {
  const processes = { server: world.server.child, client: world.client.child };
  const invite = await world.server.invite("guests", "--uses", "10000", "--url", world.url);
  const before = Object.values(processes).map(descriptorsOf);
  const until = performance.now() + SECONDS * 1_000;
  const tally: Tally = new Map();
  const samples: Record<keyof typeof processes, number[]> = { server: [], client: [] };
  const sampler = setInterval(() => {
    // A test that was given up as hanging has ended them.
    if (!processes.server.running || !processes.client.running) return clearInterval(sampler);
    samples.server.push(residentBytes(processes.server));
    samples.client.push(residentBytes(processes.client));
  }, SAMPLE_MS);
  try {
    await Promise.all(
      LOADS.map(async ({ name, pauseMs, run }, index) => {
        const dice = new Dice(SEED + index);
        while (performance.now() < until) {
          await run(world, dice, invite);
          tally.set(name, (tally.get(name) ?? 0) + 1);
          await Bun.sleep(dice.int(2 * pauseMs));
        }
      }),
    );
  } finally {
    clearInterval(sampler);
  }
  const said = [...tally].map(([name, count]) => `${count} ${name}`).join(", ");
  process.stderr.write(`soak: ${SECONDS} s (SOAK_SEED=${SEED}): ${said}\n`);
  await expectNothingLeft(world, before);
  for (const [name, bytes] of Object.entries(samples)) judge(name, bytes);
  for (const { child } of [world.server, world.client])
    expect(child.output()).not.toMatch(/ error |^\s+at |\.ts:\d+/m);
}

interface Load {
  readonly name: string;
  /** Mean pause between two of them. */
  readonly pauseMs: number;
  readonly run: (world: World, dice: Dice, invite: string) => Promise<void>;
}

const KINDS: readonly ProxyKind[] = ["socks5h", "connect", "http"];

const LOADS: readonly Load[] = [
  { name: "downloads", pauseMs: 100, run: download },
  { name: "downloads", pauseMs: 100, run: download },
  { name: "uploads", pauseMs: 200, run: upload },
  { name: "requests", pauseMs: 30, run: request },
  { name: "requests", pauseMs: 30, run: request },
  { name: "sessions of echoes", pauseMs: 100, run: echoes },
  { name: "downloads that were broken off", pauseMs: 300, run: breakOff },
  { name: "refused connections", pauseMs: 300, run: refused },
  { name: "batches of idle connections", pauseMs: 500, run: idle },
  { name: "guests", pauseMs: 1_000, run: guest },
  { name: "cuts", pauseMs: 8_000, run: cut },
];

async function download(world: World, dice: Dice): Promise<void> {
  const bytes = 1 + dice.int(dice.int(4) === 0 ? 20 * MB : MB);
  const kind = KINDS[dice.int(KINDS.length)] ?? "http";
  const hash = await curlHash(world, ...through(world, kind), world.origin.url(`/bytes/${bytes}`));
  expect(hash).toBe(patternHash(bytes));
}

async function upload(world: World, dice: Dice): Promise<void> {
  const bytes = 1 + dice.int(5 * MB);
  const command = `head -c ${bytes} /dev/zero | curl "$@"`;
  const args = [
    "-q",
    "-sS",
    "--noproxy",
    "",
    ...through(world, "socks5h"),
    "-T",
    "-",
    world.origin.url("/upload"),
  ];
  const ran = await world.children.run(["bash", "-c", command, "curl", ...args]);
  expect(ran).toMatchObject({ exitCode: 0, stderr: "" });
  const sha256 = createHash("sha256").update(new Uint8Array(bytes)).digest("hex");
  expect(JSON.parse(ran.stdout)).toEqual({ bytes, sha256 });
}

async function request(world: World, dice: Dice): Promise<void> {
  const kind = KINDS[dice.int(KINDS.length)] ?? "http";
  const ran = await curl(world, ...through(world, kind), world.origin.url("/"));
  expect(ran).toMatchObject({ exitCode: 0, stdout: "origin\n" });
}

/** Somebody types, and sees every character once. */
async function echoes(world: World, dice: Dice): Promise<void> {
  const socket = await openThrough(world, world.origin.ports.echo);
  for (let left = 20 + dice.int(100); left > 0; left--) {
    const byte = dice.int(256);
    expect(await socket.ask(Uint8Array.of(byte), 1)).toEqual(Uint8Array.of(byte));
    await Bun.sleep(dice.int(20));
  }
  socket.close();
}

async function breakOff(world: World, dice: Dice): Promise<void> {
  const socket = await openThrough(world, world.origin.ports.flood);
  await socket.ask(new Uint8Array(0), 1 + dice.int(MB));
  socket.close();
}

async function refused(world: World): Promise<void> {
  const ran = await curl(world, ...through(world, "socks5h"), `http://127.0.0.1:${CLOSED_PORT}/`);
  expect(ran.exitCode).not.toBe(0);
}

async function idle(world: World, dice: Dice): Promise<void> {
  const sockets: ProxiedSocket[] = [];
  for (let left = 1 + dice.int(30); left > 0; left--)
    sockets.push(await openThrough(world, world.origin.ports.echo));
  await Bun.sleep(dice.int(2_000));
  for (const socket of sockets) socket.close();
}

/** Another client joins, looks at a page and goes. A cut may hit it, and it dials once only. */
async function guest(world: World, _dice: Dice, invite: string): Promise<void> {
  const client = new LightClient();
  try {
    await client.join(invite);
    await client.open(
      world.origin.ports.http,
      "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
      "reads",
    );
  } catch (error) {
    if (chaosOf(world).counts.cuts === 0) throw error;
  }
  client.discard();
}

async function cut(world: World, dice: Dice): Promise<void> {
  await Bun.sleep(1_000 + dice.int(4_000));
  chaosOf(world).cut(dice.int(2) === 0 ? "reset" : "fin");
}

async function expectNothingLeft(world: World, before: readonly number[]): Promise<void> {
  const { server, client } = world;
  const look = async () => {
    const { streams, heldBytes, detached } = await countersOf(server);
    const status = await client.status();
    return { streams, heldBytes, detached, here: status.streams, link: status.link };
  };
  const tidy = { streams: 0, heldBytes: 0, detached: 0, here: 0, link: "up" };
  const descriptors = () => [server.child, client.child].map(descriptorsOf);
  const isOver = async () =>
    Bun.deepEquals(await look(), tidy) && descriptors().every((count, at) => count <= (before[at] ?? 0) + 2);
  for (const end = performance.now() + SETTLE_MS; performance.now() < end; await Bun.sleep(200))
    if (await isOver()) return;
  expect({ ...(await look()), descriptors: descriptors() }).toEqual({ ...tidy, descriptors: [...before] });
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
