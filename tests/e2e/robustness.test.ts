import { expect } from "bun:test";
import { readdirSync } from "node:fs";
import { parseLink } from "../../src/proto/index.ts";
import { curl, curlHash, through } from "./support/curl.ts";
import { garbageStorm } from "./support/garbage.ts";
import { patternHash } from "./support/pattern.ts";
import { describeWith, programsFor, SIZES } from "./support/settings.ts";
import { knock } from "./support/stranger.ts";
import { useWorld, type World } from "./support/world.ts";

/** The transfer that goes on beside the storm, and must not notice it. */
const BESIDE_BYTES = SIZES.transferBytes / 2;
const LINGER_MS = 500;
/** When a link that has proven nothing is closed, and the longest message that is looked at before. */
const DEADLINE_MS = 5_000;
const LARGEST_MESSAGE = 256 * 1_024;

describeWith(programsFor("direct"), "robustness", () => {
  const it = useWorld({ route: "direct" });
  it("garbage on the proxy port harms nobody", (world) => storm(world, world.client.port));
  it("garbage on the server's port harms nobody", (world) => storm(world, world.server.port));
  it("strangers with a gate token who talk nonsense harm nobody", badHandshakes);
  it("after all of it no stream, no descriptor and no error is left", nothingLeft);
});

async function storm(world: World, port: number): Promise<void> {
  const { reconnects } = await world.client.status();
  const url = world.origin.url(`/bytes/${BESIDE_BYTES}?rate=20000000`);
  const beside = curlHash(world, ...through(world, "socks5h"), url);
  for (let round = 0; round < 3; round++) {
    // All of them are accepted: an error in one must not close the listener.
    expect(await garbageStorm(port, SIZES.garbage, LINGER_MS)).toBe(SIZES.garbage);
  }
  expect(await beside).toBe(patternHash(BESIDE_BYTES));
  await expectUnharmed(world, reconnects);
}

async function expectUnharmed(world: World, reconnects: number): Promise<void> {
  expect(world.server.child.running).toBe(true);
  expect(world.client.child.running).toBe(true);
  const ran = await curl(world, ...through(world, "connect"), world.origin.url("/"));
  expect(ran).toMatchObject({ exitCode: 0, stdout: "origin\n" });
  expect((await world.client.status()).reconnects).toBe(reconnects);
}

/** They pass the gate, as a client whose link was stolen could, and send what is no handshake. */
async function badHandshakes(world: World): Promise<void> {
  const { reconnects } = await world.client.status();
  const { gateKey } = parseLink(await world.server.invite("stolen"));
  const messages: readonly (string | Uint8Array<ArrayBuffer>)[] = [
    "text",
    new Uint8Array(0),
    new Uint8Array(1),
    new Uint8Array(1_300),
    crypto.getRandomValues(new Uint8Array(60_000)),
    new Uint8Array(300_000),
    new Uint8Array(5_000_000),
  ];
  const strangers = [...messages, undefined].map(async (message) => ({
    ...(await knock(world.url, gateKey, message)),
    bytes: message?.length ?? 0,
  }));
  for (const { opened, said, ms, bytes } of await Promise.all(strangers)) {
    expect(opened).toBe(true);
    // The bundle, which is for anybody with a token; not a byte more.
    expect(said).toBe(1);
    // All of them at the same deadline, so that the time does not say how far a guess came.
    if (bytes <= LARGEST_MESSAGE) expect(Math.abs(ms - DEADLINE_MS)).toBeLessThan(DEADLINE_MS / 4);
  }
  await expectUnharmed(world, reconnects);
}

async function nothingLeft(world: World): Promise<void> {
  await world.client.awaitStatus(({ streams }) => streams === 0);
  const { client, server } = world;
  // The server drops an idle request head after ten seconds, the client an idle negotiation after thirty; the storm's
  // own sockets were reset, so nothing has to wait for that.
  for (const { child } of [client, server]) {
    const sockets = readdirSync(`/proc/${child.pid}/fd`).length;
    expect(sockets).toBeLessThan(60);
    expect(child.output()).not.toMatch(/ error |^\s+at |\.ts:\d+/m);
  }
}
