import { expect } from "bun:test";
import { curl, type ProxyKind, through } from "./support/curl.ts";
import { describeWith, programsFor, ROUTES } from "./support/settings.ts";
import { useWorld, type World } from "./support/world.ts";

/** How curl names the destination, and what the SOCKS request or request line then holds. */
const WAYS: readonly (readonly [kind: ProxyKind, host: string, what: string])[] = [
  ["socks5", "127.0.0.1", "an IPv4 address"],
  ["socks5h", "localhost", "a name, which the server resolves"],
  ["socks4a", "localhost", "a name"],
  ["socks4a", "127.0.0.1", "an IPv4 address"],
  ["connect", "127.0.0.1", "an address"],
  ["connect", "localhost", "a name"],
  ["http", "127.0.0.1", "an absolute URL"],
  ["http", "localhost", "an absolute URL with a name"],
  ["socks5", "[::1]", "an IPv6 address"],
  ["socks5h", "[::1]", "an IPv6 address"],
  ["connect", "[::1]", "an IPv6 address"],
  ["http", "[::1]", "an absolute URL with an IPv6 address"],
];

for (const route of ROUTES) {
  describeWith(programsFor(route), `curl, ${route}`, () => {
    const it = useWorld({ route });
    for (const [kind, host, what] of WAYS) {
      it(`${kind} with ${what} (${host})`, (world) => fetchesTheSite(world, kind, host));
    }
    for (const kind of ["http", "connect", "socks5h"] as const) {
      it(`two URLs in one run of curl, ${kind}`, (world) => fetchesTwice(world, kind));
    }
    it("the origin sees a plain request without the proxy's headers", hidesTheProxy);
  });

  describeWith(programsFor(route), `proxy password, ${route}`, () => {
    const it = useWorld({ route, clientEnv: { RVPN_PROXY_AUTH: "ann:s3cret:with colon" } });
    it("the right password lets in, SOCKS5 and HTTP", rightPassword);
    it("a wrong or missing one does not, SOCKS5 and HTTP", wrongPassword);
  });
}

async function fetchesTheSite(world: World, kind: ProxyKind, host: string): Promise<void> {
  const ran = await curl(world, ...through(world, kind), world.origin.url("/", host));
  expect(ran).toMatchObject({ exitCode: 0, stdout: "origin\n", stderr: "" });
}

/** With the plain HTTP proxy curl keeps the connection where it may, so both requests must be told apart in it. */
async function fetchesTwice(world: World, kind: ProxyKind): Promise<void> {
  const urls = [world.origin.url("/bytes/70000"), world.origin.url("/")];
  const ran = await curl(
    world,
    ...through(world, kind),
    ...["-w", "%{http_code} ", "-o", "/dev/null", "-o", "/dev/null"],
    ...urls,
  );
  expect(ran).toMatchObject({ exitCode: 0, stdout: "200 200 ", stderr: "" });
}

async function hidesTheProxy(world: World): Promise<void> {
  const secret = ["--proxy-header", "Proxy-Authorization: Basic bm90OnlvdXJz"];
  const ran = await curl(world, ...through(world, "http"), ...secret, world.origin.url("/headers"));
  const names = Object.keys(JSON.parse(ran.stdout));
  expect(names).toContain("user-agent");
  expect(names.filter((name) => /^proxy-|^via$|^x-forwarded|^forwarded$/.test(name))).toEqual([]);
}

async function rightPassword(world: World): Promise<void> {
  const user = ["--proxy-user", "ann:s3cret:with colon"];
  for (const kind of ["socks5", "connect", "http"] as const) {
    const ran = await curl(world, ...through(world, kind), ...user, world.origin.url("/"));
    expect(ran).toMatchObject({ exitCode: 0, stdout: "origin\n" });
  }
}

async function wrongPassword(world: World): Promise<void> {
  for (const user of [[], ["--proxy-user", "ann:wrong"], ["--proxy-user", "ann:"]]) {
    const socks = await curl(world, ...through(world, "socks5"), ...user, world.origin.url("/"));
    expect(socks).toMatchObject({ exitCode: 97, stdout: "" });
    const http = await curl(world, ...through(world, "http"), ...user, "-i", world.origin.url("/"));
    expect(http.stdout).toStartWith("HTTP/1.1 407 ");
    expect(http.stdout).not.toContain("origin");
    const connect = await curl(world, ...through(world, "connect"), ...user, world.origin.url("/"));
    expect(connect).toMatchObject({ exitCode: 56, stdout: "" });
    expect(connect.stderr).toContain("407");
  }
}
