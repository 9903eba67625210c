import { expect } from "bun:test";
import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseLink, parsePublicKey } from "../../src/proto/index.ts";
import type { Ran } from "./support/children.ts";
import { curl, through } from "./support/curl.ts";
import { ALLOW_LOOPBACK, type RvpnServer } from "./support/rvpn.ts";
import { describeWith, programsFor } from "./support/settings.ts";
import { useWorld, type World } from "./support/world.ts";

const REFUSED = 4;
const WRONG_SERVER = 5;
const DOWNLOAD_BYTES = 3_000_000;

describeWith(programsFor("direct"), "the server renews its identity", () => {
  const it = useWorld({ route: "direct", middle: true, serverArgs: [...ALLOW_LOOPBACK, "--drain", "1s"] });
  it("a client with a tunnel goes on undisturbed, and follows with its next link", runningClient);
  it("a transfer and its tunnel outlive cuts and a rotation in the middle", resumedTunnel);
  it("clients that were away follow across one and three rotations", awayClients);
  it(
    "links made before still work: invite, seat, the same link again; a new one names the new key",
    oldLinks,
  );
  it("a new link does not move an old pin: 2, until the client has followed by itself", newerLink);
  it("rvpn run brings the new pin home", runBringsHome);
  it("a client that is refused by the new identity keeps its pin", refusedClient);
  it("more than eight rotations behind is 5, with what to do", tooFarBehind);
  it("a rotation of a stopped server is followed as well, and there is no way back: 5", noWayBack);
});

/** The identity that a client's state directory has pinned. */
function pinOf(state: string): { readonly key: string; readonly sequence: number } {
  const { serverKey, sequence = 0 } = JSON.parse(readFileSync(join(state, "server.json"), "utf8"));
  return { key: String(serverKey), sequence: Number(sequence) };
}

function rotate(world: World, state = world.server.state): Promise<string> {
  return world.rvpn.must(["rotate", "--state", state]);
}

/** A client that stays in the foreground until it ends; these all end by themselves. */
function tryClient(world: World, state: string): Promise<Ran> {
  return world.rvpn.run(["client", "--proxy", "0", "--state", state], { limitMs: 20_000 });
}

/** A client that has joined once and was stopped. */
async function joinedState(world: World, name: string, ...args: string[]): Promise<string> {
  const client = await world.rvpn.startClient({ link: await world.server.invite(name, ...args) });
  await client.child.stop();
  return client.state;
}

/** Starts the client of a state directory, loads a page, and tells what it has pinned then. */
async function pageOf(world: World, state: string, link?: string): Promise<ReturnType<typeof pinOf>> {
  const client = await world.rvpn.startClient({ state, ...(link === undefined ? {} : { link }) });
  const ran = await curl(world, "--socks5-hostname", client.proxy, world.origin.url("/"));
  expect(ran).toMatchObject({ exitCode: 0, stdout: "origin\n" });
  await client.child.stop();
  return pinOf(state);
}

async function runningClient(world: World): Promise<void> {
  const { client, middle } = world;
  const before = pinOf(client.state).key;
  const { reconnects } = await client.status();
  const key = await rotate(world);
  expect(parsePublicKey(key)).toHaveLength(32);
  expect(key).not.toBe(before);
  const ran = await curl(world, ...through(world, "socks5h"), world.origin.url("/"));
  expect(ran).toMatchObject({ exitCode: 0, stdout: "origin\n" });
  expect(await client.status()).toMatchObject({ reconnects, link: "up" });
  expect(pinOf(client.state).key).toBe(before);
  middle?.cut();
  await client.awaitStatus((status) => status.link === "up" && status.reconnects > reconnects);
  expect(pinOf(client.state)).toEqual({ key, sequence: 1 });
  expect(client.child.output()).toMatch(/the server has renewed its identity rotation=1/);
}

async function resumedTunnel(world: World): Promise<void> {
  const { client, middle, origin } = world;
  const { reconnects } = await client.status();
  const url = origin.url(`/bytes/${DOWNLOAD_BYTES}?rate=1500000`);
  const download = world.children.run([
    ...["bash", "-o", "pipefail", "-c", 'curl -q -sS --socks5-hostname "$1" "$2" | wc -c'],
    ...["bash", client.proxy, url],
  ]);
  await Bun.sleep(400);
  const key = await rotate(world);
  middle?.cut();
  await client.awaitStatus((status) => status.link === "up" && status.reconnects > reconnects);
  expect(pinOf(client.state).key).toBe(key);
  await rotate(world);
  middle?.cut();
  expect(await download).toMatchObject({ exitCode: 0, stdout: `${DOWNLOAD_BYTES}\n` });
}

async function awayClients(world: World): Promise<void> {
  const one = await joinedState(world, "one");
  const three = await joinedState(world, "three");
  const { sequence } = await pageOf(world, one);
  const first = await rotate(world);
  expect(await pageOf(world, one)).toEqual({ key: first, sequence: await sequenceOf(world) });
  await rotate(world);
  const last = await rotate(world);
  expect(await pageOf(world, three)).toEqual({ key: last, sequence: await sequenceOf(world) });
  expect(await pageOf(world, one)).toEqual({ key: last, sequence: await sequenceOf(world) });
  // A client that joined between rotations knows its key by a link, not by a number, until it has followed one.
  expect(sequence).toBe(0);
}

/** How often the server has rotated. */
async function sequenceOf({ server }: World): Promise<number> {
  const { rotations } = JSON.parse(readFileSync(join(server.state, "rotations.json"), "utf8"));
  return Number(rotations.at(-1).sequence);
}

async function oldLinks(world: World): Promise<void> {
  const invite = await world.server.invite("later");
  const seat = await world.server.invite("ci", "--seat");
  const key = await rotate(world);
  for (const link of [invite, seat]) {
    const state = world.rvpn.newState("client");
    expect((await pageOf(world, state, link)).key).toBe(key);
    // As where it stays in a service's environment.
    expect((await pageOf(world, state, link)).key).toBe(key);
  }
  // Another job with the old link of the seat: a new directory each time.
  expect((await pageOf(world, world.rvpn.newState("client"), seat)).key).toBe(key);
  const fresh = parseLink(await world.server.invite("fresh"));
  expect(fresh.serverKey).toEqual(parsePublicKey(key));
}

/** Whoever can hand a user a link could else make him change servers. */
async function newerLink(world: World): Promise<void> {
  const state = await joinedState(world, "behind");
  const before = pinOf(state);
  const key = await rotate(world);
  const link = await world.server.invite("behind", "--seat");
  const args = ["client", "--proxy", "0", "--state", state];
  const ran = await world.rvpn.run(args, { env: { RVPN_LINK: link }, limitMs: 20_000 });
  expect(ran.exitCode, ran.stderr).toBe(2);
  expect(ran.stderr).toMatch(/by another identity than the link's\nhint: .*start once without the link/);
  expect(pinOf(state)).toEqual(before);
  expect((await pageOf(world, state)).key).toBe(key);
  expect((await pageOf(world, state, link)).key).toBe(key);
}

async function runBringsHome(world: World): Promise<void> {
  const state = await joinedState(world, "runner");
  const key = await rotate(world);
  const run = ["run", "--state", state, "--", "curl", "-q", "-sS", world.origin.url("/")];
  expect(await world.rvpn.run(run)).toMatchObject({ exitCode: 0, stdout: "origin\n" });
  expect(pinOf(state)).toEqual({ key, sequence: await sequenceOf(world) });
  expect(await world.rvpn.run(run)).toMatchObject({ exitCode: 0, stdout: "origin\n" });
}

/** Only Accept moves a pin: what refuses may be anybody who has the old key. */
async function refusedClient(world: World): Promise<void> {
  const state = await joinedState(world, "outcast");
  const before = pinOf(state);
  await rotate(world);
  await world.server.revoke("outcast");
  const ran = await tryClient(world, state);
  expect(ran.exitCode, ran.stderr).toBe(REFUSED);
  expect(pinOf(state)).toEqual(before);
}

async function tooFarBehind(world: World): Promise<void> {
  const eight = await joinedState(world, "eight");
  const nine = await joinedState(world, "nine");
  const before = pinOf(nine);
  await rotate(world);
  // It follows this one, so that it is eight behind at the end.
  await pageOf(world, eight);
  for (let i = 0; i < 8; i++) await rotate(world);
  expect((await pageOf(world, eight)).sequence).toBe(await sequenceOf(world));
  const ran = await tryClient(world, nine);
  expect(ran.exitCode, ran.stderr).toBe(WRONG_SERVER);
  expect(ran.stderr).toMatch(/identity is another\nhint: .*more than 8 times.*new link/);
  expect(pinOf(nine)).toEqual(before);
}

async function noWayBack(world: World): Promise<void> {
  const { rvpn, client, server } = world;
  // The files of the server as they were: what a thief, or a restored backup, would start.
  const copy = rvpn.newState("server");
  const state = await joinedState(world, "loyal");
  await client.child.stop();
  await server.child.stop();
  cpSync(server.state, copy, { recursive: true, filter: (path) => !path.endsWith(".sock") });
  const former = pinOf(state).key;
  const key = await rotate(world);
  const listen = ["--listen", `127.0.0.1:${server.port}`, ...ALLOW_LOOPBACK];
  let running: RvpnServer = await rvpn.startServer(listen, server.state);
  expect((await pageOf(world, state)).key).toBe(key);
  await running.child.stop();
  running = await rvpn.startServer(listen, copy);
  const ran = await tryClient(world, state);
  expect(ran.exitCode, ran.stderr).toBe(WRONG_SERVER);
  expect(ran.stderr).toMatch(/identity is another/);
  expect(pinOf(state).key).toBe(key);
  expect(former).not.toBe(key);
  await running.child.stop();
}
