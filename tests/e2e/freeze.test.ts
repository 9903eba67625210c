import { expect } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Child } from "./support/children.ts";
import { curl, curlHash, through } from "./support/curl.ts";
import { patternHash, writePattern } from "./support/pattern.ts";
import { describeWith, FULL, programsFor } from "./support/settings.ts";
import { useWorld, type World } from "./support/world.ts";

/** Past the deadlines at which a link is suspected (3 s) and, at full size, given up (10 s). */
const FREEZE_MS = FULL ? 20_000 : 5_000;
/** The freeze comes in the middle: of a second or two of transfer each way at this rate. */
const RATE = FULL ? 50_000_000 : 10_000_000;
const BYTES = FULL ? 2 * RATE : RATE;

describeWith(programsFor("direct"), `a process is stopped for ${FREEZE_MS / 1_000} s`, () => {
  const it = useWorld({ route: "direct", chaos: true });
  it("the server: nothing is lost", (world) => freeze(world, world.server.child));
  it("the client: nothing is lost", (world) => freeze(world, world.client.child));
});

async function freeze(world: World, frozen: Child): Promise<void> {
  const file = join(world.dir, "up");
  await writePattern(file, BYTES);
  const { bytesDown } = await world.client.status();
  world.chaos?.throttle(RATE);
  const ended = Promise.all([
    curlHash(world, ...through(world, "socks5h"), world.origin.url(`/bytes/${BYTES}`)),
    curl(world, ...through(world, "connect"), "-T", file, world.origin.url("/upload")),
  ]);
  await world.client.awaitStatus((status) => status.bytesDown > bytesDown + BYTES / 4);
  frozen.signal("SIGSTOP");
  try {
    await Bun.sleep(FREEZE_MS);
  } finally {
    frozen.signal("SIGCONT");
  }
  const [down, up] = await ended;
  world.chaos?.throttle(0);
  rmSync(file);
  const sha256 = patternHash(BYTES);
  expect(down).toBe(sha256);
  expect(up).toMatchObject({ exitCode: 0, stderr: "" });
  expect(JSON.parse(up.stdout)).toEqual({ bytes: BYTES, sha256 });
  expect(world.server.child.running && world.client.child.running).toBe(true);
}
