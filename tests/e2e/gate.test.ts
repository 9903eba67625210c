import { expect } from "bun:test";
import { makeGateToken, parseLink } from "../../src/proto/index.ts";
import { curl } from "./support/curl.ts";
import { describeWith, programsFor, ROUTES } from "./support/settings.ts";
import { useWorld, type World } from "./support/world.ts";

const UPGRADE = [
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

for (const route of ROUTES) {
  describeWith(programsFor(route), `the gate, ${route}`, () => {
    const it = useWorld({ route });
    it("a plain GET gets the site", plainGet);
    it("an upgrade without a token gets what a plain GET gets", withoutToken);
    it("tokens that are wrong, cut, old or doubled get it too", wrongTokens);
    it("a valid token opens once, and only the right path", validToken);
    it("an unknown path is a 404 like any other", unknownPath);
    it("a method that a site does not know gets 405", otherMethods);
  });
}

interface Answer {
  readonly status: number;
  readonly headers: string;
  readonly body: string;
}

/** The whole answer to one request, without the headers that name the time. */
async function ask(world: World, path: string, headers: readonly string[], ...more: string[]) {
  const base = world.url.replace(/^ws/, "http").replace(/\/$/, "");
  const args = [...world.trust.map((arg) => arg.replace("--ca", "--cacert")), "--http1.1", "-i"];
  for (const header of headers) args.push("-H", header);
  // A WebSocket that did open would stay so: then curl is ended, and the 101 is what counts.
  const ran = await curl(world, ...args, "--max-time", "2", ...more, `${base}${path}`);
  const [head = "", body = ""] = ran.stdout.split("\r\n\r\n", 2);
  const [status = "", ...rest] = head.split("\r\n");
  const kept = rest.filter((line) => !/^date:/i.test(line)).toSorted();
  return { status: Number(status.split(" ")[1]), headers: kept.join("\n"), body } satisfies Answer;
}

async function tokenOf(world: World): Promise<string> {
  const { gateKey } = parseLink(await world.server.invite(crypto.randomUUID()));
  return makeGateToken(gateKey, (length) => crypto.getRandomValues(new Uint8Array(length)));
}

async function plainGet(world: World): Promise<void> {
  const site = await ask(world, "/", []);
  expect(site.status).toBe(200);
  expect(site.body).toContain("<h1>It works!</h1>");
}

async function withoutToken(world: World): Promise<void> {
  const site = await ask(world, "/", []);
  expect(await ask(world, "/", UPGRADE)).toEqual(site);
  expect(await ask(world, "/", [...UPGRADE, "Cookie: theme=dark"])).toEqual(site);
}

async function wrongTokens(world: World): Promise<void> {
  const site = await ask(world, "/", []);
  const token = await tokenOf(world);
  const flipped = `${token.startsWith("A") ? "B" : "A"}${token.slice(1)}`;
  for (const wrong of [
    "",
    "x",
    "=".repeat(43),
    flipped,
    token.slice(0, -1),
    `${token}A`,
    "A".repeat(5_000),
  ]) {
    expect(await ask(world, "/", [...UPGRADE, `Cookie: sid=${wrong}`])).toEqual(site);
  }
  // Right, but not asking for a WebSocket: it is not used up by that.
  expect(await ask(world, "/", [`Cookie: sid=${token}`])).toEqual(site);
}

async function validToken(world: World): Promise<void> {
  const site = await ask(world, "/", []);
  const missing = await ask(world, "/elsewhere", []);
  const cookie = `Cookie: sid=${await tokenOf(world)}`;
  expect(await ask(world, "/elsewhere", [...UPGRADE, cookie])).toEqual(missing);
  // Without this the tests above could not fail: the same request with a good token is a WebSocket.
  expect((await ask(world, "/", [...UPGRADE, cookie])).status).toBe(101);
  expect(await ask(world, "/", [...UPGRADE, cookie])).toEqual(site);
}

async function unknownPath(world: World): Promise<void> {
  const missing = await ask(world, "/nothing/here", []);
  expect(missing.status).toBe(404);
  expect(await ask(world, "/nothing/here", UPGRADE)).toEqual(missing);
}

async function otherMethods(world: World): Promise<void> {
  const posted = await ask(world, "/", [], "-X", "POST", "-d", "a=b");
  expect(posted.status).toBe(405);
  expect(await ask(world, "/", UPGRADE, "-X", "POST", "-d", "a=b")).toEqual(posted);
}
