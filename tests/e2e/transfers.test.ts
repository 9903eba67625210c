import { expect } from "bun:test";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { curl, curlHash, type ProxyKind, through } from "./support/curl.ts";
import { fileHash, patternHash, writePattern } from "./support/pattern.ts";
import { describeWith, programsFor, ROUTES, SIZES } from "./support/settings.ts";
import { useWorld, type World } from "./support/world.ts";

for (const route of ROUTES) {
  describeWith(programsFor(route), `transfers, ${route}`, () => {
    const it = useWorld({ route });
    for (const kind of ["socks5h", "http"] as const) {
      it(`down, ${kind}: every byte once and in order`, (world) => download(world, kind));
      it(`up, ${kind}: every byte once and in order`, (world) => upload(world, kind));
    }
    it(`${SIZES.parallel} transfers at once`, parallel);
    it("both ways at once on one stream's neighbours", bothWays);
    it("no stream is left when all are done", noStreamLeft);
  });
}

async function download(world: World, kind: ProxyKind): Promise<void> {
  const { transferBytes } = SIZES;
  const before = await world.client.status();
  const hash = await curlHash(world, ...through(world, kind), world.origin.url(`/bytes/${transferBytes}`));
  expect(hash).toBe(patternHash(transferBytes));
  const after = await world.client.status();
  // It came through the tunnel, and on one link.
  expect(after.bytesDown - before.bytesDown).toBeGreaterThan(transferBytes);
  expect(after.reconnects).toBe(before.reconnects);
}

async function upload(world: World, kind: ProxyKind): Promise<void> {
  const { transferBytes } = SIZES;
  const file = join(world.dir, "upload");
  await writePattern(file, transferBytes);
  const ran = await curl(world, ...through(world, kind), "-T", file, world.origin.url("/upload"));
  rmSync(file);
  expect(ran).toMatchObject({ exitCode: 0, stderr: "" });
  expect(JSON.parse(ran.stdout)).toEqual({ bytes: transferBytes, sha256: patternHash(transferBytes) });
}

async function parallel(world: World): Promise<void> {
  const { parallel: count, parallelBytes } = SIZES;
  const dir = join(world.dir, "parallel");
  mkdirSync(dir);
  const url = world.origin.url(`/bytes/${parallelBytes}?[1-${count}]`);
  const at = ["-Z", "--parallel-immediate", "--parallel-max", String(count)];
  const ran = await curl(world, ...through(world, "socks5h"), ...at, "-f", url, "-o", `${dir}/#1`);
  expect(ran.exitCode, ran.stderr).toBe(0);
  const hashes = await Promise.all(Array.from({ length: count }, (_, i) => fileHash(`${dir}/${i + 1}`)));
  rmSync(dir, { recursive: true });
  expect(hashes).toHaveLength(count);
  expect([...new Set(hashes)]).toEqual([patternHash(parallelBytes)]);
}

async function bothWays(world: World): Promise<void> {
  const bytes = SIZES.transferBytes / 5;
  const file = join(world.dir, "both");
  await writePattern(file, bytes);
  const up = () => curl(world, ...through(world, "connect"), "-T", file, world.origin.url("/upload"));
  const down = () => curlHash(world, ...through(world, "socks4a"), world.origin.url(`/bytes/${bytes}`));
  const [first, second, ...hashes] = await Promise.all([up(), up(), down(), down()]);
  rmSync(file);
  const expected = patternHash(bytes);
  for (const ran of [first, second]) expect(JSON.parse(ran.stdout)).toEqual({ bytes, sha256: expected });
  expect(hashes).toEqual([expected, expected]);
}

async function noStreamLeft(world: World): Promise<void> {
  await world.client.awaitStatus(({ streams }) => streams === 0);
}
