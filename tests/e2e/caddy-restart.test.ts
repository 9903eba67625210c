import { expect } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Caddy } from "./support/caddy.ts";
import { chaosOf } from "./support/chaos-run.ts";
import { curl, curlHash, through } from "./support/curl.ts";
import { patternHash, writePattern } from "./support/pattern.ts";
import { describeWith, FULL, LINKS, programsFor } from "./support/settings.ts";
import { useWorld, type World } from "./support/world.ts";

const RELOADS = 10;
const KILLS = FULL ? 5 : 1;
/** Between two strikes the transfer goes on for this long. */
const BETWEEN_MS = FULL ? 2_000 : 200;
/** The path is this slow until the last strike, so that all of them come in the middle, and as fast as it can after. */
const RATE = FULL ? 10_000_000 : 1_000_000;
const BYTES = FULL ? 1_000_000_000 : 30_000_000;

for (const [title, clientArgs] of FULL ? LINKS : LINKS.slice(0, 1)) {
  describeWith(programsFor("caddy"), `Caddy changes under a transfer, ${title}`, () => {
    const it = useWorld({ route: "caddy", chaos: true, clientArgs });
    let caddy: Caddy | undefined;
    const caddyOf = (world: World) => {
      caddy ??= world.caddy;
      if (caddy === undefined) throw new Error("this world has no Caddy");
      return caddy;
    };
    it(`${RELOADS} reloads lose nothing`, (world) =>
      during(world, { what: `${RELOADS} reloads, ${title}`, times: RELOADS }, () => caddyOf(world).reload()));
    it(`SIGKILL and a start anew lose nothing, ${KILLS} times`, (world) =>
      during(world, { what: `${KILLS} kills, ${title}`, times: KILLS }, async () => {
        const { child } = caddyOf(world);
        child.signal("SIGKILL");
        await child.exited;
        caddy = await caddyOf(world).restart();
      }));
  });
}

interface Strikes {
  readonly what: string;
  readonly times: number;
}

/** Moves bytes both ways, strikes `times` meanwhile, and expects every byte. */
async function during(world: World, { what, times }: Strikes, strike: () => Promise<void>): Promise<void> {
  const file = join(world.dir, "up");
  await writePattern(file, BYTES);
  const before = await world.client.status();
  const chaos = chaosOf(world);
  chaos.throttle(RATE);
  let transfersEnded = 0;
  const ended = Promise.all(
    [
      curlHash(world, ...through(world, "socks5h"), world.origin.url(`/bytes/${BYTES}`)),
      curl(world, ...through(world, "connect"), "-T", file, world.origin.url("/upload")),
    ].map((transfer) => transfer.finally(() => (transfersEnded += 1))),
  );
  await world.client.awaitStatus(({ bytesDown }) => bytesDown > before.bytesDown + BYTES / 100);
  for (let strikes = 0; strikes < times; strikes++) {
    await strike();
    await Bun.sleep(BETWEEN_MS);
  }
  // All strikes have come in the middle.
  expect(transfersEnded).toBe(0);
  chaos.throttle(0);
  const [down, up] = await ended;
  rmSync(file);
  const sha256 = patternHash(BYTES);
  expect(down).toBe(sha256);
  expect(up).toMatchObject({ exitCode: 0, stderr: "" });
  expect(JSON.parse(typeof up === "object" ? up.stdout : "")).toEqual({ bytes: BYTES, sha256 });
  const { reconnects } = await world.client.status();
  process.stderr.write(
    `caddy: ${what}: ${reconnects - before.reconnects} reconnects, ${BYTES / 1e6} MB each way\n`,
  );
}
