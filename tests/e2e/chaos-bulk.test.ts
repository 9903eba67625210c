import { expect } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { CUTS, underCuts } from "./support/chaos-run.ts";
import { curl, curlHash, through } from "./support/curl.ts";
import { patternHash, writePattern } from "./support/pattern.ts";
import { describeWith, FULL, LINKS, programsFor, SIZES } from "./support/settings.ts";
import { useWorld, type World } from "./support/world.ts";

const BYTES = FULL ? SIZES.transferBytes : 24_000_000;
/** Slow enough that the transfer is still under way at the last of the cuts that are promised. */
const RATE = 8_000_000;

for (const [title, clientArgs] of LINKS) {
  describeWith(programsFor("direct"), `links are cut at random, ${title}`, () => {
    const it = useWorld({ route: "direct", chaos: true, clientArgs });
    it("one transfer down and one up at once: every byte once and in order", (world) =>
      bothWays(world, title));
    it("afterwards no stream is left", async (world) => {
      await world.client.awaitStatus(({ streams, link }) => streams === 0 && link === "up");
    });
  });
}

async function bothWays(world: World, title: string): Promise<void> {
  const file = join(world.dir, "up");
  await writePattern(file, BYTES);
  const what = `${BYTES / 1e6} MB down and up at once, ${title}`;
  const { result, cuts } = await underCuts(world, { what, bytesPerSecond: RATE }, () =>
    Promise.all([
      curlHash(world, ...through(world, "socks5h"), world.origin.url(`/bytes/${BYTES}`)),
      curl(world, ...through(world, "socks5h"), "-T", file, world.origin.url("/upload")),
    ]),
  );
  rmSync(file);
  const [down, up] = result;
  const sha256 = patternHash(BYTES);
  expect(down).toBe(sha256);
  expect(up).toMatchObject({ exitCode: 0, stderr: "" });
  expect(JSON.parse(up.stdout)).toEqual({ bytes: BYTES, sha256 });
  expect(cuts).toBeGreaterThanOrEqual(CUTS.least);
}
