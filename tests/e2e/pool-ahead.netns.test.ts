import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { callControl } from "../../src/runtime/control.ts";
import { canIsolate, isInside, runInside, sh } from "../server/netns.ts";
import { AWAY, HERE } from "../support/far-away.ts";
import { curl, through } from "./support/curl.ts";
import { describeWith, FULL, programsFor, TEST_MS } from "./support/settings.ts";
import { useWorld, type World } from "./support/world.ts";

/**
 * Sockets connected ahead, with the built binary, in a network of its own: its one far host is 50 ms away, also for
 * TCP's own handshake, because a TUN device holds every packet back (tests/support/far-away.ts).
 */
const ROUND_TRIP_MS = 50;
/** A program for each connection: none can be kept by the application. */
const CONNECTIONS = FULL ? 50 : 15;
/** Less is lost to processes that start, on a machine that does other things besides. */
const SAVED_MS = 0.6 * ROUND_TRIP_MS;
const ALLOW = ["--allow", "127.0.0.0/8", "--allow", "10.231.0.0/24"];
const RUN_MS = 4 * TEST_MS;

test.skipIf(isInside || !canIsolate)("in a network of its own", () => runInside(import.meta.path), RUN_MS);

interface Counters {
  readonly spares: number;
  readonly made: number;
  readonly used: number;
  readonly unused: number;
}

/** Median of what curl took for one connection each, in ms, the first two left out: nothing can be ahead of these. */
const medians = new Map<string, number>();

if (isInside) {
  const far: { end?: () => Promise<void> } = {};
  beforeAll(async () => {
    far.end = await startFar();
  });
  afterAll(async () => await far.end?.());

  describeWith(programsFor("direct", "openssl"), `${CONNECTIONS} TLS connections, one after another`, () => {
    const on = useWorld({ route: "direct", serverArgs: ALLOW });
    const off = useWorld({ route: "direct", serverArgs: [...ALLOW, "--pool", "off"] });
    off("with --pool off each takes the far round trip to connect", withoutPool);
    on("with the pool they save that round trip", withPool);
    on("spares are gone soon after the last request", sparesGo, 30_000);
    on("a revoked client's spares are closed at once", revoked);
  });

  describeWith(programsFor("direct"), "a service that speaks first", () => {
    const it = useWorld({ route: "direct", serverArgs: ALLOW });
    it("is heard from its first byte, every time, and its spares are thrown away", bannersStayRight);
    it("on another port nothing is connected ahead at all", otherPorts);
  });
}

async function withoutPool(world: World): Promise<void> {
  medians.set("off", await medianMs(world));
  expect(await serverStatus(world)).not.toHaveProperty("pool");
}

async function withPool(world: World): Promise<void> {
  const direct = await medianMs(world, []);
  const ms = await medianMs(world);
  const off = medians.get("off") ?? 0;
  const pool = await poolOf(world);
  const shown = [direct, off, ms].map((value) => value.toFixed(1));
  process.stderr.write(
    `pool: ${CONNECTIONS} TLS connections at ${ROUND_TRIP_MS} ms, median each: direct ${shown[0]} ms, ` +
      `--pool off ${shown[1]} ms, on ${shown[2]} ms; ${JSON.stringify(pool)}\n`,
  );
  expect(pool.used).toBeGreaterThanOrEqual(CONNECTIONS - 4);
  expect(off - ms).toBeGreaterThan(SAVED_MS);
  expect(pool.spares).toBeLessThanOrEqual(2);
}

async function sparesGo(world: World): Promise<void> {
  for (const end = performance.now() + 15_000; (await poolOf(world)).spares > 0; await Bun.sleep(100))
    expect(performance.now()).toBeLessThan(end);
  const { made, used, unused } = await poolOf(world);
  expect(made).toBe(used + unused);
}

async function revoked(world: World): Promise<void> {
  for (let n = 0; n < 3; n++) await fetchTls(world, through(world, "socks5h"));
  for (const end = performance.now() + 5_000; (await poolOf(world)).spares < 2; await Bun.sleep(10))
    expect(performance.now()).toBeLessThan(end);
  await world.server.revoke("first");
  expect((await poolOf(world)).spares).toBe(0);
}

async function bannersStayRight(world: World): Promise<void> {
  for (let n = 0; n < 8; n++) expect(await hear(world, 80)).toBe("220 ready\r\n");
  const { made, used, unused } = await poolOf(world);
  // Whether one is still used before its banner has come is a matter of time; the banner is not lost then.
  expect(made).toBeGreaterThan(0);
  expect(unused).toBeGreaterThan(0);
  expect(used + unused).toBeLessThanOrEqual(made);
}

async function otherPorts(world: World): Promise<void> {
  const before = await poolOf(world);
  for (let n = 0; n < 5; n++) expect(await hear(world, 22)).toBe("SSH-2.0-test\r\n");
  // What was ahead for the port before may have been closed meanwhile.
  expect(await poolOf(world)).toMatchObject({ made: before.made, used: before.used });
}

/** What a service says first, heard by a program that says nothing. */
async function hear(world: World, port: number): Promise<string> {
  const url = `telnet://${AWAY}:${port}`;
  const ran = await curl(world, ...through(world, "socks5h"), url);
  return ran.stdout;
}

async function medianMs(world: World, way = through(world, "socks5h")): Promise<number> {
  const times: number[] = [];
  for (let n = 0; n < CONNECTIONS; n++) times.push(await fetchTls(world, way));
  const rest = times.slice(2).sort((a, b) => a - b);
  return rest[Math.floor(rest.length / 2)] ?? 0;
}

/** Ms that curl took from the start of its transfer to the end. */
async function fetchTls(world: World, way: readonly string[]): Promise<number> {
  const ran = await curl(world, ...way, "-k", "-w", " %{time_total}", `https://${AWAY}/`);
  const [, seconds] = /^far ([\d.]+)$/.exec(ran.stdout) ?? [];
  expect([ran.exitCode, ran.stderr, seconds === undefined]).toEqual([0, "", false]);
  return Number(seconds) * 1_000;
}

async function serverStatus({ server }: World): Promise<object> {
  const reply = await callControl(server.state, { op: "status" });
  return typeof reply === "object" && reply !== null ? reply : {};
}

async function poolOf(world: World): Promise<Counters> {
  const status = await serverStatus(world);
  if (!("pool" in status)) throw new Error("the server shows no pool");
  return status.pool as Counters; // What src/server/pool.ts counts.
}

/** The far host: HTTPS, a banner on port 80, and one on 22. */
async function startFar(): Promise<() => Promise<void>> {
  sh("ip link set lo up");
  const dir = mkdtempSync(join(tmpdir(), "rvpn-far-"));
  const [key, cert] = [join(dir, "key.pem"), join(dir, "cert.pem")];
  sh(
    `openssl req -x509 -newkey rsa:2048 -nodes -keyout ${key} -out ${cert} -days 2 -subj /CN=far 2>/dev/null`,
  );
  const script = join(import.meta.dir, "../support/far-away.ts");
  const tun = Bun.spawn([process.execPath, script, `${ROUND_TRIP_MS}`], {
    stdout: "pipe",
    stderr: "inherit",
  });
  for await (const _ of tun.stdout) break;
  const https = Bun.serve({
    hostname: HERE,
    port: 443,
    tls: { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8") },
    fetch: () => new Response("far"),
  });
  const banner = (port: number, text: string) =>
    Bun.listen({
      hostname: HERE,
      port,
      socket: {
        open: (socket) => void socket.end(text),
        data() {},
      },
    });
  const services = [banner(80, "220 ready\r\n"), banner(22, "SSH-2.0-test\r\n")];
  return async () => {
    await https.stop(true);
    for (const service of services) service.stop(true);
    tun.kill();
    await tun.exited;
    rmSync(dir, { recursive: true, force: true });
  };
}
