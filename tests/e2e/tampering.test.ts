import { expect } from "bun:test";
import { curl, curlHash, through } from "./support/curl.ts";
import type { Middle } from "./support/middle.ts";
import { patternHash } from "./support/pattern.ts";
import { describeWith, programsFor, ROUTES, SIZES } from "./support/settings.ts";
import { useWorld, type World } from "./support/world.ts";

/** Late in the transfer: keys are agreed, chains have advanced, data is under way both ways. */
const FLIP_AFTER_BYTES = 5_000_000;

for (const route of ROUTES) {
  describeWith(programsFor(route), `tampering, ${route}`, () => {
    // Behind Caddy the wire that is tampered with is the one between Caddy and the server: TLS is no help there.
    const it = useWorld({ route, middle: true });
    it("one flipped bit from the server ends the link, and no wrong byte comes through", (world) =>
      flips(world, "down", FLIP_AFTER_BYTES));
    it("one flipped bit from the client ends the link, and no wrong byte comes through", (world) =>
      flips(world, "up", FLIP_AFTER_BYTES));
    it("one flipped bit in the very first answer ends that dial, and the next one works", flipsBundle);
    it("a cut wire is dialled again and the transfers go on", cutWire);
  });
}

/** A transfer in each direction; that of the flipped one is hit. Every byte that arrives is right or nothing is. */
async function flips(world: World, direction: "up" | "down", after: number): Promise<void> {
  const middle = wire(world);
  const before = await world.client.status();
  const flippedBefore = middle.flipped;
  middle.flip(direction, after);
  await Promise.all([downloads(world), uploads(world)]);
  expect(middle.flipped).toBe(flippedBefore + 1);
  const status = await world.client.awaitStatus(({ reconnects }) => reconnects > before.reconnects);
  expect(status).toMatchObject({ link: "up", pid: before.pid });
  expect(world.server.child.running).toBe(true);
  expectOneLine(world);
}

/** Our operators read why in one line each; nothing of the program's inside. */
function expectOneLine(world: World): void {
  const { client, server } = world;
  expect(client.child.output()).toMatch(/link lost reason=/);
  expect(server.child.output()).toMatch(/link lost .*reason=/);
  for (const { child } of [client, server]) expect(child.output()).not.toMatch(/^\s+at |\.ts:\d+/m);
}

async function downloads(world: World): Promise<void> {
  const bytes = SIZES.transferBytes;
  const hash = await curlHash(world, ...through(world, "socks5h"), world.origin.url(`/bytes/${bytes}`));
  expect(hash).toBe(patternHash(bytes));
}

async function uploads(world: World): Promise<void> {
  const bytes = SIZES.transferBytes;
  const source = `head -c ${bytes} /dev/zero | curl "$@"`;
  const args = ["-q", "-sS", "--noproxy", "", ...through(world, "socks5h"), "-T", "-"];
  const command = ["bash", "-c", source, "curl", ...args, world.origin.url("/upload")];
  const ran = await world.children.run(command);
  expect(ran).toMatchObject({ exitCode: 0, stderr: "" });
  const hash = new Bun.CryptoHasher("sha256");
  for (let left = bytes; left > 0; left -= 1_000_000) hash.update(new Uint8Array(Math.min(left, 1_000_000)));
  expect(JSON.parse(ran.stdout)).toEqual({ bytes, sha256: hash.digest("hex") });
}

/** Within the server's signed bundle, behind the head of the 101. */
async function flipsBundle(world: World): Promise<void> {
  const middle = wire(world);
  const { reconnects } = await world.client.status();
  const flippedBefore = middle.flipped;
  middle.cut();
  middle.flip("down", 1_200);
  await world.client.awaitStatus((status) => status.reconnects > reconnects && status.link === "up");
  expect(middle.flipped).toBe(flippedBefore + 1);
  // A broken offer is a lost link like any other: it must not pass for a wrong server, or end the client.
  const ran = await curl(world, ...through(world, "socks5h"), world.origin.url("/"));
  expect(ran).toMatchObject({ exitCode: 0, stdout: "origin\n" });
}

async function cutWire(world: World): Promise<void> {
  const middle = wire(world);
  const before = await world.client.status();
  const seen = middle.counts.down;
  const cutting = (async () => {
    while (middle.counts.down < seen + FLIP_AFTER_BYTES) await Bun.sleep(5);
    middle.cut();
  })();
  await Promise.all([downloads(world), uploads(world), cutting]);
  const { reconnects } = await world.client.status();
  expect(reconnects).toBeGreaterThan(before.reconnects);
}

function wire(world: World): Middle {
  if (world.middle === undefined) throw new Error("this world has no wire in the middle");
  return world.middle;
}
