import { expect } from "bun:test";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { CUTS, underCuts } from "./support/chaos-run.ts";
import { curl, through } from "./support/curl.ts";
import { fileHash, patternHash } from "./support/pattern.ts";
import { describeWith, FULL, LINKS, programsFor } from "./support/settings.ts";
import { useWorld, type World } from "./support/world.ts";

const { count, bytes, rate } = FULL
  ? { count: 50, bytes: 10_000_000, rate: 4_500_000 }
  : { count: 20, bytes: 600_000, rate: 4_000_000 };

for (const [title, clientArgs] of LINKS) {
  describeWith(programsFor("direct"), `links are cut at random, ${title}`, () => {
    const it = useWorld({ route: "direct", chaos: true, clientArgs });
    it(`${count} downloads at once: every byte of each`, (world) => parallel(world, title));
  });
}

async function parallel(world: World, title: string): Promise<void> {
  const dir = join(world.dir, "parallel");
  mkdirSync(dir);
  const url = world.origin.url(`/bytes/${bytes}?[1-${count}]`);
  const at = ["-Z", "--parallel-immediate", "--parallel-max", String(count)];
  const what = `${count} downloads of ${bytes / 1e6} MB, ${title}`;
  const { result, cuts } = await underCuts(world, { what, bytesPerSecond: rate }, () =>
    curl(world, ...through(world, "socks5h"), ...at, "-f", url, "-o", `${dir}/#1`),
  );
  expect(result.exitCode, result.stderr).toBe(0);
  const hashes = await Promise.all(Array.from({ length: count }, (_, i) => fileHash(`${dir}/${i + 1}`)));
  rmSync(dir, { recursive: true });
  expect(hashes).toEqual(Array.from({ length: count }, () => patternHash(bytes)));
  expect(cuts).toBeGreaterThanOrEqual(CUTS.least);
}
