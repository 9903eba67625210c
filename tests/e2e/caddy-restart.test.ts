import { expect } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Caddy } from "./support/caddy.ts";
import { curl, curlHash, through } from "./support/curl.ts";
import { patternHash, writePattern } from "./support/pattern.ts";
import { describeWith, FULL, LINKS, programsFor } from "./support/settings.ts";
import { useWorld, type World } from "./support/world.ts";

const RELOADS = 10;
const KILLS = FULL ? 5 : 1;
/** Between two strikes the transfer goes on for this long. */
const BETWEEN_MS = FULL ? 2_000 : 200;
/** The download is paced by the origin, the upload by curl, so that all strikes come in the middle. */
const RATE = FULL ? 20_000_000 : 8_000_000;
const RELOAD_BYTES = FULL ? 600_000_000 : 28_000_000;
const KILL_BYTES = FULL ? 600_000_000 : 12_000_000;

for (const [title, clientArgs] of FULL ? LINKS : LINKS.slice(0, 1)) {
  describeWith(programsFor("caddy"), `Caddy changes under a transfer, ${title}`, () => {
    const it = useWorld({ route: "caddy", clientArgs });
    let caddy: Caddy | undefined;
    const caddyOf = (world: World) => {
      caddy ??= world.caddy;
      if (caddy === undefined) throw new Error("this world has no Caddy");
      return caddy;
    };
    it(`${RELOADS} reloads lose nothing`, (world) =>
      during(world, { what: `${RELOADS} reloads, ${title}`, times: RELOADS, bytes: RELOAD_BYTES }, () =>
        caddyOf(world).reload(),
      ));
    it(`SIGKILL and a start anew lose nothing, ${KILLS} times`, (world) =>
      during(world, { what: `${KILLS} kills, ${title}`, times: KILLS, bytes: KILL_BYTES }, async () => {
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
  /** To move each way meanwhile. */
  readonly bytes: number;
}

/** Moves bytes both ways, strikes `times` meanwhile, and expects every byte. */
async function during(
  world: World,
  { what, times, bytes }: Strikes,
  strike: () => Promise<void>,
): Promise<void> {
  const file = join(world.dir, "up");
  await writePattern(file, bytes);
  const before = await world.client.status();
  const limit = ["--limit-rate", String(RATE)];
  let transfersEnded = 0;
  const ended = Promise.all(
    [
      curlHash(world, ...through(world, "socks5h"), world.origin.url(`/bytes/${bytes}?rate=${RATE}`)),
      curl(world, ...through(world, "connect"), ...limit, "-T", file, world.origin.url("/upload")),
    ].map((transfer) => transfer.finally(() => (transfersEnded += 1))),
  );
  await world.client.awaitStatus(({ bytesDown }) => bytesDown > before.bytesDown + bytes / 100);
  for (let strikes = 0; strikes < times; strikes++) {
    await strike();
    await Bun.sleep(BETWEEN_MS);
  }
  // All strikes have come in the middle.
  expect(transfersEnded).toBe(0);
  const [down, up] = await ended;
  rmSync(file);
  const sha256 = patternHash(bytes);
  expect(down).toBe(sha256);
  expect(up).toMatchObject({ exitCode: 0, stderr: "" });
  expect(JSON.parse(typeof up === "object" ? up.stdout : "")).toEqual({ bytes, sha256 });
  const { reconnects } = await world.client.status();
  process.stderr.write(
    `caddy: ${what}: ${reconnects - before.reconnects} reconnects, ${bytes / 1e6} MB each way\n`,
  );
}
