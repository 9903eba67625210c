import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { curl, curlHash, through } from "./support/curl.ts";
import { jsonTransfer } from "./support/json-transfer.ts";
import { patternHash, writePattern } from "./support/pattern.ts";
import { describeWith, programsFor, ROUTES, TEST_MS } from "./support/settings.ts";
import { useWorld, type World } from "./support/world.ts";

/** The promise: 100 MB of payload, written in pieces of 64 KiB or more, cost at most this much on the wire. */
const PAYLOAD_BYTES = 100_000_000;
const MAX_BYTES = 100_100_000;
const MAX_BACK_BYTES = 100_000;

for (const route of ROUTES) {
  describeWith(programsFor(route), `bytes on the wire before the server, ${route}`, () => {
    const it = useWorld({ route, middle: true });
    it("100 MB down: at most 100.1 MB, and 0.1 MB back", down);
    it("100 MB up: at most 100.1 MB, and 0.1 MB back", up);
  });
}

test("the same as JSON with base64 is a third more", comparison, TEST_MS);

interface Counted {
  readonly up: number;
  readonly down: number;
}

/** What crosses the wire during `transfer`: all of it, WebSocket headers, acknowledgements and pings included. */
async function counted(world: World, transfer: () => Promise<void>): Promise<Counted> {
  const before = world.middle?.counts ?? { up: 0, down: 0 };
  await transfer();
  await world.client.awaitStatus(({ streams }) => streams === 0);
  const after = world.middle?.counts ?? { up: 0, down: 0 };
  return { up: after.up - before.up, down: after.down - before.down };
}

async function down(world: World): Promise<void> {
  const bytes = await counted(world, async () => {
    const hash = await curlHash(
      world,
      ...through(world, "socks5h"),
      world.origin.url(`/bytes/${PAYLOAD_BYTES}`),
    );
    expect(hash).toBe(patternHash(PAYLOAD_BYTES));
  });
  report(`down, ${world.route}`, bytes.down, bytes.up);
  expect(bytes.down).toBeGreaterThan(PAYLOAD_BYTES);
  expect(bytes.down).toBeLessThanOrEqual(MAX_BYTES);
  expect(bytes.up).toBeLessThanOrEqual(MAX_BACK_BYTES);
}

async function up(world: World): Promise<void> {
  const file = join(world.dir, "payload");
  await writePattern(file, PAYLOAD_BYTES);
  const bytes = await counted(world, async () => {
    const ran = await curl(world, ...through(world, "socks5h"), "-T", file, world.origin.url("/upload"));
    expect(JSON.parse(ran.stdout)).toEqual({ bytes: PAYLOAD_BYTES, sha256: patternHash(PAYLOAD_BYTES) });
  });
  rmSync(file);
  report(`up, ${world.route}`, bytes.up, bytes.down);
  expect(bytes.up).toBeGreaterThan(PAYLOAD_BYTES);
  expect(bytes.up).toBeLessThanOrEqual(MAX_BYTES);
  expect(bytes.down).toBeLessThanOrEqual(MAX_BACK_BYTES);
}

async function comparison(): Promise<void> {
  const { forward, back } = await jsonTransfer(PAYLOAD_BYTES);
  report("JSON with base64", forward, back);
  expect(forward).toBeGreaterThan(PAYLOAD_BYTES * 1.33);
}

/** For the reader of a run, beside the pass or fail. */
function report(what: string, forward: number, back: number): void {
  const mb = (bytes: number) => (bytes / 1e6).toFixed(3);
  const more = (100 * (forward / PAYLOAD_BYTES - 1)).toFixed(3);
  process.stderr.write(`wire: ${what}: ${mb(forward)} MB for 100 MB (+${more} %), ${mb(back)} MB back\n`);
}
