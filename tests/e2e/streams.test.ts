import { expect } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { curl, curlHash, type ProxyKind, through } from "./support/curl.ts";
import { pipeline } from "./support/nc.ts";
import { pattern, patternHash, writePattern } from "./support/pattern.ts";
import { describeWith, programsFor, ROUTES, SIZES } from "./support/settings.ts";
import { useWorld, type World } from "./support/world.ts";

/** Less than the buffers on the way hold would show nothing; it has to be slow at the far end. */
const SLOW_BYTES = 24_000_000;
const CLOSER_BYTES = 8_000_000;
/** Applications that die in each of three shells. One in ten deaths is of the kind that is easily missed. */
const DEATHS_EACH = 10;

for (const route of ROUTES) {
  describeWith(programsFor(route, "nc"), `streams, ${route}`, () => {
    const it = useWorld({ route });
    it("a server that speaks first is heard", bannerFirst);
    it("half-close from the client: the answer comes after the end of input", halfCloseByClient);
    it("half-close from the server: what is sent afterwards arrives", halfCloseByServer);
    it("a server that sends and never reads stops nobody, itself included", floodNeverReads);
    it("applications that die in mid-transfer leave no stream", diesInFlood);
    it("a server that reads slowly gets every byte, and others do not wait for it", slowReader);
    it("a client that reads slowly gets every byte", slowClient);
    for (const kind of ["socks5h", "connect", "http"] as const) {
      it(`a server that closes first cuts nothing short, ${kind}`, (world) => closesFirst(world, kind));
      it(`a target that resets is a reset, not a clean end, ${kind}`, (world) => resets(world, kind));
    }
    it("no stream is left when all are done", noStreamLeft);
  });
}

async function bannerFirst(world: World): Promise<void> {
  const ran = await pipeline(world, `$NC ${world.origin.ports.banner} | cat`, { stdin: "hello\n" });
  expect(ran.stdout).toBe("220 ready\r\nhello\n");
}

async function halfCloseByClient(world: World): Promise<void> {
  const bytes = 3_000_000;
  const file = join(world.dir, "half");
  await writePattern(file, bytes);
  const ran = await pipeline(world, `$NC ${world.origin.ports.hash} < ${file}`);
  rmSync(file);
  expect(ran).toMatchObject({ exitCode: 0, stdout: `${bytes} ${patternHash(bytes)}\n` });
}

/** netcat gets the server's end at once, and sends a second later. */
async function halfCloseByServer(world: World): Promise<void> {
  const before = (await world.origin.reports()).length;
  const script = `(sleep 1; head -c 2000000 /dev/zero) | $NC ${world.origin.ports.finFirst}`;
  const ran = await pipeline(world, script);
  expect(ran.stdout).toBe("hello\n");
  const deadline = performance.now() + 10_000;
  while ((await world.origin.reports()).length === before && performance.now() < deadline)
    await Bun.sleep(50);
  const sha256 = new Bun.CryptoHasher("sha256").update(new Uint8Array(2_000_000)).digest("hex");
  expect((await world.origin.reports()).slice(before)).toEqual([{ bytes: 2_000_000, sha256, end: "fin" }]);
}

/** Both sides send without end. What the client reads must come although nothing of what it sends is ever taken. */
async function floodNeverReads(world: World): Promise<void> {
  const bytes = 30_000_000;
  const fifo = join(world.dir, "flood.fifo");
  // netcat goes on sending when nobody reads its output any more, so it is ended by its pid.
  const script = `mkfifo ${fifo}
    $NC ${world.origin.ports.flood} < /dev/zero > ${fifo} & nc=$!
    head -c ${bytes} ${fifo} | sha256sum; kill $nc; rm ${fifo}`;
  const flooded = pipeline(world, script, { limitMs: 40_000 });
  const beside = await curlHash(world, ...through(world, "socks5h"), world.origin.url("/bytes/1000000"));
  expect(beside).toBe(patternHash(1_000_000));
  expect((await flooded).stdout.slice(0, 64)).toBe(floodHash(bytes));
}

/**
 * Both directions are full when the application goes, so nobody reads its socket, and the kernel tells its end only to
 * the next write. Whether that is seen depends on the moment: many times.
 */
async function diesInFlood(world: World): Promise<void> {
  const script = `fifo=${world.dir}/dies.$$; mkfifo $fifo
    for i in $(seq ${DEATHS_EACH}); do
      $NC ${world.origin.ports.flood} < /dev/zero > $fifo & nc=$!
      head -c 8000000 $fifo > /dev/null
      kill -KILL $nc; wait $nc
    done; rm $fifo; true`;
  const shells = Array.from({ length: 3 }, () => pipeline(world, script, { limitMs: 50_000 }));
  for (const { exitCode } of await Promise.all(shells)) expect(exitCode).toBe(0);
  await noStreamLeft(world);
}

/** The flood is the start of an endless payload, so its last block is not shortened as a file's would be. */
function floodHash(bytes: number): string {
  const hash = new Bun.CryptoHasher("sha256");
  let left = bytes;
  for (const block of pattern(Number.MAX_SAFE_INTEGER)) {
    hash.update(block.subarray(0, left));
    left -= block.length;
    if (left <= 0) break;
  }
  return hash.digest("hex");
}

async function slowReader(world: World): Promise<void> {
  const file = join(world.dir, "slow");
  await writePattern(file, SLOW_BYTES);
  const slow = pipeline(world, `$NC ${world.origin.ports.slow} < ${file}`);
  await Bun.sleep(300);
  // Ten small requests beside it take far less than the slow upload does.
  const startedAt = performance.now();
  for (let i = 0; i < 10; i++) {
    const ran = await curl(world, ...through(world, "socks5h"), world.origin.url("/"));
    expect(ran).toMatchObject({ exitCode: 0, stdout: "origin\n" });
  }
  const besideMs = performance.now() - startedAt;
  const { stdout, ms } = await slow;
  rmSync(file);
  expect(stdout).toBe(`${SLOW_BYTES} ${patternHash(SLOW_BYTES)}\n`);
  expect(besideMs).toBeLessThan(ms);
}

async function slowClient(world: World): Promise<void> {
  const bytes = Math.min(SIZES.transferBytes / 2, 100_000_000);
  const limit = ["--limit-rate", "20M"];
  const hash = await curlHash(
    world,
    ...through(world, "socks5h"),
    ...limit,
    world.origin.url(`/bytes/${bytes}`),
  );
  expect(hash).toBe(patternHash(bytes));
}

async function closesFirst(world: World, kind: ProxyKind): Promise<void> {
  const url = `http://127.0.0.1:${world.origin.ports.closer}/`;
  expect(await curlHash(world, ...through(world, kind), url)).toBe(patternHash(CLOSER_BYTES));
}

/** 56 is curl's "failure in receiving data"; a clean end would be 0, as the response has no length. */
async function resets(world: World, kind: ProxyKind): Promise<void> {
  const url = `http://127.0.0.1:${world.origin.ports.resetter}/`;
  const ran = await curl(world, ...through(world, kind), "-o", "/dev/null", url);
  expect(ran.exitCode).toBe(56);
  expect(ran.stderr).toContain("reset by peer");
}

async function noStreamLeft(world: World): Promise<void> {
  await world.client.awaitStatus(({ streams }) => streams === 0);
}
