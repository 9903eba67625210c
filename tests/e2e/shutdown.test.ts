import { expect } from "bun:test";
import { curl, curlHash } from "./support/curl.ts";
import { patternHash } from "./support/pattern.ts";
import { ALLOW_LOOPBACK, type RvpnClient, type RvpnServer } from "./support/rvpn.ts";
import { describeWith, programsFor } from "./support/settings.ts";
import { useWorld, type World } from "./support/world.ts";

/** Two seconds of download at a rate that the origin keeps. */
const SLOW_BYTES = 2_000_000;
const RATE = 1_000_000;

describeWith(programsFor("direct"), "the end of a process", () => {
  const it = useWorld({ route: "direct" });
  it("SIGTERM lets an open transfer finish, takes no new one, and exits 0", drains);
  it("what is open at the end of --drain is reset, not ended cleanly", drainEnds);
  it("a second SIGTERM ends the server at once", secondSignal);
  it("a killed server's streams are reset, and its successor serves the same client", killedServer);
  it("a stopped client takes its streams with it, at the server too", stoppedClient);
  it("a killed client breaks its applications' connections, and a new one works", killedClient);
});

interface Pair {
  readonly server: RvpnServer;
  readonly client: RvpnClient;
}

/** A server and a client that a test may end. */
async function startPair(world: World, ...args: readonly string[]): Promise<Pair> {
  const server = await world.rvpn.startServer([...ALLOW_LOOPBACK, ...args]);
  const client = await world.rvpn.startClient({ link: await server.invite("pair") });
  return { server, client };
}

/** Starts a download through `client` and waits until bytes have come. */
async function startDownload(world: World, client: RvpnClient, path: string) {
  const args = ["--socks5-hostname", client.proxy, "-o", "/dev/null", world.origin.url(path)];
  const { bytesDown } = await client.status();
  const ended = curl(world, ...args);
  await client.awaitStatus((status) => status.bytesDown > bytesDown + 100_000);
  return { ended };
}

async function drains(world: World): Promise<void> {
  const { server, client } = await startPair(world);
  const url = world.origin.url(`/bytes/${SLOW_BYTES}?rate=${RATE}`);
  const hash = curlHash(world, "--socks5-hostname", client.proxy, url);
  await client.awaitStatus(({ bytesDown }) => bytesDown > 100_000);
  server.child.signal("SIGTERM");
  await server.child.waitFor(/SIGTERM: draining/);
  const late = await curl(world, "--socks5-hostname", client.proxy, "--max-time", "5", world.origin.url("/"));
  expect(late.exitCode).not.toBe(0);
  expect(await hash).toBe(patternHash(SLOW_BYTES));
  expect(await server.child.exitsWithin(5_000)).toBe(0);
  await client.child.stop();
}

async function drainEnds(world: World): Promise<void> {
  const { server, client } = await startPair(world, "--drain", "500ms");
  const { ended } = await startDownload(world, client, `/bytes/60000000?rate=${RATE}`);
  server.child.signal("SIGTERM");
  expect(await server.child.exitsWithin(5_000)).toBe(0);
  // 18 is a file cut short, 56 a reset: either way curl knows that this is not all.
  expect([18, 56]).toContain((await ended).exitCode);
  await client.child.stop();
}

async function secondSignal(world: World): Promise<void> {
  const { server, client } = await startPair(world);
  const { ended } = await startDownload(world, client, `/bytes/60000000?rate=${RATE}`);
  server.child.signal("SIGTERM");
  await server.child.waitFor(/SIGTERM: draining/);
  server.child.signal("SIGTERM");
  await server.child.exitsWithin(2_000);
  // The successor tells the client that all streams of the one before are lost.
  const successor = await world.rvpn.startServer(
    [...ALLOW_LOOPBACK, "--listen", `127.0.0.1:${server.port}`],
    server.state,
  );
  expect((await ended).exitCode).not.toBe(0);
  await client.child.stop();
  await successor.child.stop();
}

async function killedServer(world: World): Promise<void> {
  const { server, client } = await startPair(world);
  const { ended } = await startDownload(world, client, `/bytes/60000000?rate=${RATE}`);
  server.child.signal("SIGKILL");
  await server.child.exited;
  const listen = ["--listen", `127.0.0.1:${server.port}`];
  const successor = await world.rvpn.startServer([...ALLOW_LOOPBACK, ...listen], server.state);
  expect((await ended).exitCode).not.toBe(0);
  const ran = await curl(world, "--socks5-hostname", client.proxy, world.origin.url("/"));
  expect(ran).toMatchObject({ exitCode: 0, stdout: "origin\n" });
  expect((await client.status()).reconnects).toBe(1);
  await client.child.stop();
  await successor.child.stop();
}

/** Without word from the client the server would keep the streams for a client that resumes. */
async function stoppedClient(world: World): Promise<void> {
  const { server, client } = await startPair(world);
  const { ended } = await startDownload(world, client, `/bytes/60000000?rate=${RATE}`);
  await world.rvpn.must(["stop", "--state", client.state]);
  expect((await ended).exitCode).not.toBe(0);
  const seen = await server.child.stop();
  expect(seen).toBe(0);
}

/** After SIGKILL of the client its application is cut off, and a client started anew in its directory works. */
async function killedClient(world: World): Promise<void> {
  const { server, client } = await startPair(world, "--drain", "500ms");
  const { ended } = await startDownload(world, client, `/bytes/60000000?rate=${RATE}`);
  client.child.signal("SIGKILL");
  expect((await ended).exitCode).not.toBe(0);
  const again = await world.rvpn.startClient({ state: client.state });
  const ran = await curl(world, "--socks5-hostname", again.proxy, world.origin.url("/"));
  expect(ran).toMatchObject({ exitCode: 0, stdout: "origin\n" });
  await again.child.stop();
  await server.child.stop();
}
