import { expect } from "bun:test";
import { readFileSync } from "node:fs";
import { makeGateToken, parseLink } from "../../src/proto/index.ts";
import { curl, curlHash, through } from "./support/curl.ts";
import { type Flood, flood, idleSockets } from "./support/flood.ts";
import { patternHash } from "./support/pattern.ts";
import { WEBSOCKET } from "./support/probes.ts";
import { exchange } from "./support/raw-http.ts";
import { describeWith, programsFor, SIZES } from "./support/settings.ts";
import { useWorld, type World } from "./support/world.ts";

const LEAST_THROUGHPUT = 0.7;
const ATTEMPTS = 3;
/** What an equal second wave may leave beyond the first: the larger of the two. */
const MEMORY = { share: 1.1, bytes: 20_000_000 } as const;
/** Unproven links of one address, and those that come back while the test counts. */
const BUCKET = { full: 128, atMost: 160 } as const;
const CLOCK_TICKS_PER_SECOND = 100;

describeWith(programsFor("direct"), "a flood", () => {
  const it = useWorld({ route: "direct" });
  it("of one address with a gate key empties its own bucket, which then gets the site", emptiesOwnBucket);
  it("of strangers costs little", costOfFailures);
  it("of strangers, and many idle sockets, leave a client its speed", (world) => beside(world, "strangers"));
  it("of holders of a gate key leaves a client its speed", (world) => beside(world, "holders"));
  it("comes and goes without leaving memory behind", memoryReturns);
});

async function gateKeyOf(world: World): Promise<Uint8Array> {
  return parseLink(await world.server.invite(crypto.randomUUID())).gateKey;
}

const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));

/** The first line of what an upgrade from this address gets; the proxy that says so is the test itself. */
async function upgradeFrom(world: World, gateKey: Uint8Array, address: string): Promise<string> {
  const cookie = `Cookie: sid=${makeGateToken(gateKey, random)}`;
  const lines = ["GET / HTTP/1.1", "Host: localhost", ...WEBSOCKET, cookie, `X-Forwarded-For: ${address}`];
  const { text } = await exchange(world, [`${lines.join("\r\n")}\r\n\r\n`]);
  return text.split("\r\n")[0] ?? "";
}

async function emptiesOwnBucket(world: World): Promise<void> {
  const gateKey = await gateKeyOf(world);
  const answers = await Promise.all(
    Array.from({ length: BUCKET.atMost * 2 }, () => upgradeFrom(world, gateKey, "192.0.2.1")),
  );
  const opened = answers.filter((line) => line.startsWith("HTTP/1.1 101 ")).length;
  expect(opened).toBeGreaterThanOrEqual(BUCKET.full);
  expect(opened).toBeLessThan(BUCKET.atMost);
  // The others got what everybody gets.
  expect(new Set(answers)).toEqual(new Set(["HTTP/1.1 101 Switching Protocols", "HTTP/1.1 200 OK"]));
  expect(await upgradeFrom(world, gateKey, "192.0.2.2")).toStartWith("HTTP/1.1 101 ");
  // The same subscriber of an IPv6 network is one address.
  for (let host = 0; host < BUCKET.atMost; host++) void upgradeFrom(world, gateKey, `2001:db8::${host}`);
  await Bun.sleep(1_000);
  expect(await upgradeFrom(world, gateKey, "2001:db8:0:1::1")).toStartWith("HTTP/1.1 101 ");
}

/** Processor seconds of the server so far. */
function processorSeconds(world: World): number {
  const stat = readFileSync(`/proc/${world.server.child.pid}/stat`, "utf8");
  const [user, system] = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .slice(11, 13);
  return (Number(user) + Number(system)) / CLOCK_TICKS_PER_SECOND;
}

function residentBytes(world: World): number {
  const status = readFileSync(`/proc/${world.server.child.pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1_024;
}

async function costOfFailures(world: World): Promise<void> {
  for (const kind of ["strangers", "holders"] as const) {
    const wave = await waveOf(world, kind, SIZES.gateFailures, 0);
    const before = processorSeconds(world);
    expect(await wave.done).toBe(SIZES.gateFailures);
    const each = ((processorSeconds(world) - before) / SIZES.gateFailures) * 1_000;
    process.stderr.write(`flood, ${kind}: ${each.toFixed(3)} ms of processor each\n`);
    // A public-key operation of a handshake would be several times this; a debug build of Bun does not pass.
    expect(each).toBeLessThan(kind === "strangers" ? 0.5 : 5);
  }
}

async function waveOf(world: World, kind: Flood["kind"], count: number, seconds: number) {
  const gateKey = kind === "holders" ? await gateKeyOf(world) : random(32);
  return flood(world.server.port, { kind, gateKey, count, seconds });
}

/** Bytes a second through the client. */
async function throughput(world: World): Promise<number> {
  const started = performance.now();
  const bytes = SIZES.transferBytes;
  expect(await curlHash(world, ...through(world, "socks5h"), world.origin.url(`/bytes/${bytes}`))).toBe(
    patternHash(bytes),
  );
  return (bytes / (performance.now() - started)) * 1_000;
}

async function beside(world: World, kind: Flood["kind"]): Promise<void> {
  const ratios: number[] = [];
  const { reconnects } = await world.client.status();
  while (ratios.length < ATTEMPTS && (ratios.at(-1) ?? 0) <= LEAST_THROUGHPUT) {
    const before = await throughput(world);
    const idle = await idleSockets(world.server.port, SIZES.idleSockets);
    const wave = await waveOf(world, kind, SIZES.gateFailures, SIZES.floodSeconds);
    const speeds: number[] = [];
    while (!wave.isDone()) {
      speeds.push(await throughput(world));
      const ran = await curl(world, ...through(world, "connect"), world.origin.url("/"));
      expect(ran).toMatchObject({ exitCode: 0, stdout: "origin\n" });
    }
    expect(await wave.done).toBe(SIZES.gateFailures);
    for (const socket of idle) socket.terminate();
    ratios.push(speeds.reduce((sum, speed) => sum + speed, 0) / speeds.length / before);
  }
  process.stderr.write(`flood, beside ${kind}: throughput ${ratios.map((r) => r.toFixed(2)).join(", ")}\n`);
  expect(ratios.at(-1)).toBeGreaterThan(LEAST_THROUGHPUT);
  expect(world.server.child.running).toBe(true);
  expect((await world.client.status()).reconnects).toBe(reconnects);
}

async function memoryReturns(world: World): Promise<void> {
  const sizes: number[] = [];
  for (let wave = 0; wave < 3; wave++) {
    const idle = await idleSockets(world.server.port, SIZES.idleSockets);
    for (const kind of ["strangers", "holders"] as const) {
      await (await waveOf(world, kind, SIZES.gateFailures / 2, 0)).done;
    }
    for (const socket of idle) socket.terminate();
    // Past the deadline of a handshake, when the last of them is gone.
    await Bun.sleep(6_000);
    sizes.push(residentBytes(world));
  }
  process.stderr.write(`flood, memory: ${sizes.map((size) => (size / 1e6).toFixed(1)).join(", ")} MB\n`);
  const [first = 0, , last = 0] = sizes;
  expect(last).toBeLessThan(Math.max(first * MEMORY.share, first + MEMORY.bytes));
}
