import { expect } from "bun:test";
import { parseLink } from "../../src/proto/index.ts";
import { curl, curlHash, through } from "./support/curl.ts";
import { LightClient } from "./support/light-client.ts";
import type { Middle } from "./support/middle.ts";
import { patternHash } from "./support/pattern.ts";
import { countersOf } from "./support/process-size.ts";
import { exchange } from "./support/raw-http.ts";
import { describeWith, programsFor, SIZES } from "./support/settings.ts";
import { knock } from "./support/stranger.ts";
import { readSession } from "./support/websocket-frames.ts";
import { useWorld, type World } from "./support/world.ts";

/** Who reads and writes the wire behind TLS has all that was ever said on it, and may say it again, there or elsewhere. */

const SECRET = crypto.getRandomValues(new Uint8Array(32));
/** A transfer that is under way meanwhile, slow enough to last. */
const BESIDE = { bytes: SIZES.transferBytes / 2, rate: SIZES.transferBytes / 12 };
const QUIET_MS = 300;

describeWith(programsFor("direct"), "what was said once is worth nothing", () => {
  const it = useWorld({ route: "direct", middle: true });
  it("a whole recorded session, from its upgrade on, gets the web site", wholeSession);
  it("a recorded first message behind a fresh token gets silence", firstMessage);
  it("a packet that comes a second time ends the link, and nothing is lost or doubled", (world) =>
    again(world, "up"));
  it("the same from the server to the client", (world) => again(world, "down"));
  it("a tunnel's secret under another client's key is another tunnel", foreignSecret);
});

describeWith(programsFor("direct"), "what was said to one link is worth nothing on another", () => {
  const it = useWorld({ route: "direct", middle: true, clientArgs: ["--links", "2"] });
  it("of the same tunnel: that one ends and comes back, and nothing is lost or doubled", otherLink);
  it("of another client: that one ends and comes back, and neither loses anything", otherClient);
});

async function wholeSession(world: World): Promise<void> {
  const recording = await recorded(world);
  const site = await exchange(world, ["GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"]);
  await unharmed(world, async () => {
    const { head } = readSession(recording);
    const [answer] = (await exchange(world, [recording.toString("latin1")])).text.split("\r\n", 1);
    expect(answer).toBe(site.text.split("\r\n", 1)[0] ?? "");
    // The head alone, so that nothing behind it can be what is refused.
    expect((await exchange(world, [head])).text).toBe(site.text);
  });
}

async function firstMessage(world: World): Promise<void> {
  const [first] = readSession(await recorded(world)).messages;
  const { gateKey } = parseLink(await world.server.invite("stolen"));
  await unharmed(world, async () => {
    const { opened, said } = await knock(world.url, gateKey, Uint8Array.from(first ?? []));
    // The bundle, whose keys are others than those that the message was made for, and not a byte more.
    expect({ opened, said }).toEqual({ opened: true, said: 1 });
  });
}

/** A link of the world's client from its first byte on, with a request in it. */
async function recorded(world: World): Promise<Buffer> {
  const middle = wire(world);
  const { reconnects } = await world.client.status();
  middle.recording = true;
  middle.cut();
  await world.client.awaitStatus((status) => status.link === "up" && status.reconnects > reconnects);
  await get(world);
  middle.recording = false;
  const [connection = -1] = middle.open.slice(-1);
  const recording = middle.recordingOf(connection);
  expect(readSession(recording).messages.length).toBeGreaterThan(1);
  return recording;
}

async function again(world: World, direction: "up" | "down"): Promise<void> {
  const middle = wire(world);
  const { reconnects } = await world.client.status();
  const beside = transfer(world);
  await Bun.sleep(QUIET_MS);
  const [connection = -1] = middle.open;
  const before = middle.copied;
  // Downwards a piece need not be a whole message, but no second helping of it is one that should come next.
  middle.copyNext(direction, connection);
  await get(world);
  await world.client.awaitStatus((status) => status.reconnects > reconnects && status.link === "up");
  expect(middle.copied).toBe(before + 1);
  await get(world);
  expect(await beside).toBe(patternHash(BESIDE.bytes));
}

async function otherLink(world: World): Promise<void> {
  const middle = wire(world);
  await world.client.awaitStatus((status) => status.link === "up" && middle.open.length === 2);
  await splice(world, middle, middle.open[0] ?? -1, middle.open[1] ?? -1);
}

async function otherClient(world: World): Promise<void> {
  const middle = wire(world);
  const mine = middle.open[0] ?? -1;
  const invite = await world.server.invite("another", "--url", world.url);
  const other = new LightClient();
  await other.join(invite);
  await other.open(world.origin.ports.http, "GET /bytes/1000 HTTP/1.1\r\nHost: x\r\n\r\n", "reads");
  const theirs = middle.open.at(-1) ?? -1;
  expect(theirs).toBeGreaterThan(mine);
  await splice(world, middle, mine, theirs);
  other.discard();
}

/** What comes next on one link goes out on another as well. */
async function splice(world: World, middle: Middle, from: number, to: number): Promise<void> {
  const beside = transfer(world);
  const before = middle.copied;
  middle.copyNext("up", from, to);
  for (let round = 0; round < 40 && middle.copied === before; round++) await get(world);
  expect(middle.copied).toBe(before + 1);
  // The server closes the link that it came on, by itself, and no other.
  for (let round = 0; round < 100 && middle.open.includes(to); round++) await Bun.sleep(50);
  expect(middle.open).not.toContain(to);
  expect(middle.open).toContain(from);
  await get(world);
  expect(await beside).toBe(patternHash(BESIDE.bytes));
}

async function foreignSecret(world: World): Promise<void> {
  const invite = await world.server.invite("two", "--uses", "2", "--url", world.url);
  const [owner, thief] = [new LightClient(SECRET), new LightClient(SECRET)];
  await owner.join(invite);
  await owner.open(
    world.origin.ports.http,
    "GET /bytes/100000000 HTTP/1.1\r\nHost: x\r\n\r\n",
    "never reads",
  );
  const before = await countersOf(world.server);
  await thief.join(invite);
  const after = await countersOf(world.server);
  expect(after["tunnels"]).toBe((before["tunnels"] ?? 0) + 1);
  expect(after["streams"]).toBe(before["streams"] ?? 0);
  // It has a tunnel of its own, and the owner's is none the worse for it.
  await thief.open(world.origin.ports.http, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "reads");
  await owner.open(world.origin.ports.http, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "reads");
  owner.discard();
  thief.discard();
}

/** Runs `attack` beside a transfer: the same tunnels, links and streams as before, and every byte of the transfer. */
async function unharmed(world: World, attack: () => Promise<void>): Promise<void> {
  const { reconnects } = await world.client.status();
  const beside = transfer(world);
  await Bun.sleep(QUIET_MS);
  const before = await state(world);
  await attack();
  expect(await state(world)).toEqual(before);
  expect(await beside).toBe(patternHash(BESIDE.bytes));
  expect((await world.client.status()).reconnects).toBe(reconnects);
}

async function state(world: World) {
  const { tunnels, links, streams, detached } = await countersOf(world.server);
  return { tunnels, links, streams, detached };
}

function transfer(world: World): Promise<string> {
  const url = world.origin.url(`/bytes/${BESIDE.bytes}?rate=${Math.round(BESIDE.rate)}`);
  return curlHash(world, ...through(world, "socks5h"), url);
}

async function get(world: World): Promise<void> {
  const ran = await curl(world, ...through(world, "socks5h"), world.origin.url("/"));
  expect(ran).toMatchObject({ exitCode: 0, stdout: "origin\n" });
}

function wire({ middle }: World): Middle {
  if (middle === undefined) throw new Error("this world has no middle");
  return middle;
}
