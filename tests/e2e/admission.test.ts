import { expect } from "bun:test";
import { formatLink, parseLink } from "../../src/proto/index.ts";
import type { Ran } from "./support/children.ts";
import { curl, through } from "./support/curl.ts";
import { describeWith, programsFor, ROUTES } from "./support/settings.ts";
import { useWorld, type World } from "./support/world.ts";

const REFUSED = 4;
const WRONG_SERVER = 5;
/** The promise: a revocation reaches a running server, and through it the client, within a second. */
const REVOKED_WITHIN_MS = 1_000;
/** A transfer that would go on for a minute. */
const LONG_DOWNLOAD = "/bytes/60000000?rate=1000000";

for (const route of ROUTES) {
  describeWith(programsFor(route), `admission, ${route}`, () => {
    const it = useWorld({ route });
    it("an uninvited client is refused: 4", uninvited);
    it("a used-up invite is refused: 4", usedInvite);
    it("an expired invite is refused: 4", expiredInvite);
    it("an invite that was revoked before use is refused: 4", revokedInvite);
    it("rvpn clients shows what a connected one has open", listedClient);
    it("a seat that expires is cut off within seconds: 4", expiredSeat);
    it("a revoked client is cut off within a second: 4, and 4 again at its next start", revokedClient);
    it("a revocation disturbs nobody else", revocationOfAnother);
    it("a seat's link outlives twenty revocations of others, and not its own", staticSeat);
    it("a refused seat leaves a working client what it was: 4, and in again without the link", refusedSeat);
    it("a server with another identity ends the client: 5", wrongServer);
    it("an invite for two lets in two, and not three", twoUses);
  });
}

describeWith(programsFor("direct"), "admission, on a bad path", () => {
  const it = useWorld({ route: "direct", chaos: true });
  it(
    "a client that is revoked while it is away loses what it has open within a second: 4 when it is back",
    revokedWhileAway,
  );
});

/** A client that stays in the foreground until it ends; these all end by themselves. */
function tryClient(world: World, link: string, state = world.rvpn.newState("client")): Promise<Ran> {
  const args = ["client", "--proxy", "0", "--state", state, ...world.trust];
  return world.rvpn.run(args, { env: { RVPN_LINK: link }, limitMs: 20_000 });
}

/** One line that says why, one that says what to do, and no trace of the program's inside. */
function expectReason(ran: Ran, exitCode: number, reason: RegExp): void {
  expect(ran.exitCode, ran.stderr).toBe(exitCode);
  expect(ran.stdout).toBe("");
  const complaint = ran.stderr.split("\n").filter((line) => /^(rvpn|hint): /.test(line));
  expect(complaint).toHaveLength(2);
  expect(complaint[0]).toMatch(reason);
  expect(complaint[1]).toMatch(/^hint: \w+/);
  expect(ran.stderr).not.toMatch(/^\s+at |\.ts:\d+/m);
}

/** It has the gate key, as a client on the list would; its key is on no list. */
async function uninvited(world: World): Promise<void> {
  const link = { ...parseLink(await world.server.invite("leaked")), secret: new Uint8Array(16) };
  const ran = await tryClient(world, formatLink({ ...link, kind: "address" }));
  expectReason(ran, REFUSED, /the server refused: .*not on the server's list/);
  expect(world.server.child.output()).toContain("client refused");
}

async function usedInvite(world: World): Promise<void> {
  const link = await world.server.invite("once");
  const first = await world.rvpn.startClient({ link, args: world.trust });
  expectReason(await tryClient(world, link), REFUSED, /the server refused: .*used/);
  // The one who used it is not harmed, and may come back with the same link.
  expect((await first.status()).link).toBe("up");
  await first.child.stop();
  const again = await world.rvpn.startClient({ link, args: world.trust, state: first.state });
  await again.child.stop();
}

async function expiredInvite(world: World): Promise<void> {
  const link = await world.server.invite("late", "--expires", "1s");
  await Bun.sleep(1_100);
  expectReason(await tryClient(world, link), REFUSED, /the server refused: .*expired/);
}

async function revokedInvite(world: World): Promise<void> {
  const link = await world.server.invite("withdrawn");
  await world.server.revoke("withdrawn");
  expectReason(await tryClient(world, link), REFUSED, /the server refused: .*invite/);
}

async function listedClient(world: World): Promise<void> {
  const client = await world.rvpn.startClient({ link: await world.server.invite("seen"), args: world.trust });
  const listed = await world.rvpn.run(["clients", "--state", world.server.state]);
  expect(listed).toMatchObject({ exitCode: 0, stderr: "" });
  expect(listed.stdout).toMatch(/^seen +client +\S+ +never +1 +0 +rvpn-pk-/m);
  await client.child.stop();
}

async function expiredSeat(world: World): Promise<void> {
  const link = await world.server.invite("brief", "--seat", "--expires", "3s");
  const client = await world.rvpn.startClient({ link, args: world.trust });
  expect(await client.child.exitsWithin(8_000)).toBe(REFUSED);
  expect(client.child.output()).toMatch(/^rvpn: the server refused: /m);
}

async function revokedClient(world: World): Promise<void> {
  const link = await world.server.invite("thief");
  const client = await world.rvpn.startClient({ link, args: world.trust });
  const download = curl(
    world,
    "--socks5-hostname",
    client.proxy,
    "-o",
    "/dev/null",
    world.origin.url(LONG_DOWNLOAD),
  );
  await client.awaitStatus(({ bytesDown }) => bytesDown > 100_000);
  const revokedAt = performance.now();
  await world.server.revoke("thief");
  const cut = await download;
  expect(performance.now() - revokedAt).toBeLessThan(REVOKED_WITHIN_MS);
  expect(cut.exitCode).not.toBe(0);
  expect(await client.child.exitsWithin(5_000)).toBe(REFUSED);
  expect(client.child.output()).toMatch(/^rvpn: the server refused: .*revoked/m);
  const args = ["client", "--proxy", "0", "--state", client.state, ...world.trust];
  expectReason(await world.rvpn.run(args, { limitMs: 20_000 }), REFUSED, /the server refused: .*revoked/);
}

/** Its tunnel waits for it on the server, with a connection to a host: both are gone, not at the end of the window. */
async function revokedWhileAway(world: World): Promise<void> {
  const { chaos, rvpn, server, client } = world;
  if (chaos === undefined) throw new Error("this world has no bad path");
  const closed = Promise.withResolvers<number>();
  const host = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: { data() {}, close: () => closed.resolve(performance.now()), error() {} },
  });
  const waiting = curl(world, ...through(world, "connect"), `http://127.0.0.1:${host.port}/`);
  await client.awaitStatus(({ streams }) => streams === 1);
  chaos.blackhole(true);
  chaos.cut("reset");
  await untilLive(world, "first", { tunnels: 1, detached: 1, links: 0, streams: 1 });
  const revokedAt = performance.now();
  await server.revoke("first");
  expect((await closed.promise) - revokedAt).toBeLessThan(REVOKED_WITHIN_MS);
  const { clients, server: all } = await listed(world);
  expect(clients).toEqual([]);
  expect(all).toMatchObject({ tunnels: 0, detached: 0, streams: 0, sockets: 0, timers: 0, detachedBytes: 0 });
  // What fell into the black hole stays there: the dial that waits has to be cut, for the next to come through.
  chaos.blackhole(false);
  chaos.cut("reset");
  expect(await client.child.exitsWithin(60_000)).toBe(REFUSED);
  expect(client.child.output()).toMatch(/^rvpn: the server refused: .*revoked/m);
  expect((await waiting).exitCode).not.toBe(0);
  host.stop(true);
  const again = await rvpn.run(["client", "--proxy", "0", "--state", client.state], { limitMs: 20_000 });
  expectReason(again, REFUSED, /the server refused: .*revoked/);
}

async function listed({ rvpn, server }: World) {
  return JSON.parse(await rvpn.must(["clients", "--json", "--state", server.state]));
}

async function untilLive(world: World, name: string, live: Readonly<Record<string, number>>): Promise<void> {
  for (let left = 200; ; left--) {
    const { clients } = await listed(world);
    const found = clients.find((client: { name: string }) => client.name === name)?.live;
    if (Object.entries(live).every(([key, value]) => found?.[key] === value)) return;
    if (left === 0) throw new Error(`${name} has ${JSON.stringify(found)}`);
    await Bun.sleep(50);
  }
}

/** Revoking makes a new gate key; the others get it through their links and need it at the next start. */
async function revocationOfAnother(world: World): Promise<void> {
  const link = await world.server.invite("loyal");
  const loyal = await world.rvpn.startClient({ link, args: world.trust });
  for (const name of ["x1", "x2", "x3"]) {
    await world.server.invite(name);
    await world.server.revoke(name);
  }
  expect((await loyal.status()).reconnects).toBe(0);
  await loyal.child.stop();
  const again = await world.rvpn.startClient({ state: loyal.state, args: world.trust });
  const ran = await curl(world, "--socks5-hostname", again.proxy, world.origin.url("/"));
  expect(ran).toMatchObject({ exitCode: 0, stdout: "origin\n" });
  await again.child.stop();
}

/** The link is in a CI's secret store, where no frame reaches it: every job begins with the same. */
async function staticSeat(world: World): Promise<void> {
  const link = await world.server.invite("ci", "--seat");
  for (let round = 0; round < 20; round++) {
    await world.server.invite("other");
    await world.server.revoke("other");
  }
  const job = await world.rvpn.startClient({ link, args: world.trust });
  const ran = await curl(world, "--socks5-hostname", job.proxy, world.origin.url("/"));
  expect(ran).toMatchObject({ exitCode: 0, stdout: "origin\n" });
  await job.child.stop();
  await world.server.revoke("ci");
  expectReason(await tryClient(world, link), REFUSED, /the server refused: .*revoked/);
}

/** By its own key, let in by `add` or an invite; what it tried in between is over with the refusal. */
async function refusedSeat({ rvpn, server, trust, url }: World): Promise<void> {
  const revoked = await server.invite("withdrawn-seat", "--seat", "--url", url);
  await server.revoke("withdrawn-seat");
  const added = rvpn.newState("client");
  const publicKey = await rvpn.must(["keygen", "--state", added]);
  const address = await rvpn.must(["add", "by-key", publicKey, "--url", url, "--state", server.state]);
  const invite = await server.invite("by-invite", "--url", url);
  for (const [link, state] of [
    [address, added],
    [invite, rvpn.newState("client")],
  ] as const) {
    const run = (given: Readonly<Record<string, string>>) =>
      rvpn.run(["run", "--state", state, ...trust, "--", "true"], { env: given, limitMs: 20_000 });
    expect(await run({ RVPN_LINK: link })).toMatchObject({ exitCode: 0 });
    const client = ["client", "--proxy", "0", "--state", state, ...trust];
    const refused = await rvpn.run(client, { env: { RVPN_LINK: revoked }, limitMs: 20_000 });
    expectReason(refused, REFUSED, /the server refused: .*revoked/);
    expect(await run({})).toMatchObject({ exitCode: 0 });
    expect(await run({ RVPN_LINK: revoked })).toMatchObject({ exitCode: REFUSED });
    const again = await rvpn.startClient({ state, args: trust });
    await again.child.stop();
  }
}

/** The right gate, so that the false server answers, and the identity of another. */
async function wrongServer(world: World): Promise<void> {
  const other = await world.rvpn.startServer();
  const ours = parseLink(await world.server.invite("mine"));
  const theirs = parseLink(await other.invite("theirs"));
  const link = formatLink({ ...ours, serverKey: theirs.serverKey });
  expectReason(await tryClient(world, link), WRONG_SERVER, /identity is another/);
  await other.child.stop();
  // What it answered to has learnt nothing about who asked.
  expect(world.server.child.output()).not.toContain("client=mine");
}

async function twoUses(world: World): Promise<void> {
  const link = await world.server.invite("pair", "--uses", "2");
  const clients = [];
  for (let i = 0; i < 2; i++) clients.push(await world.rvpn.startClient({ link, args: world.trust }));
  expectReason(await tryClient(world, link), REFUSED, /the server refused: .*used/);
  for (const client of clients) await client.child.stop();
  // The first client of this world has seen all of it and still works.
  const ran = await curl(world, ...through(world, "socks5h"), world.origin.url("/"));
  expect(ran).toMatchObject({ exitCode: 0, stdout: "origin\n" });
}
