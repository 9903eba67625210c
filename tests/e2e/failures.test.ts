import { expect } from "bun:test";
import { curl, through } from "./support/curl.ts";
import { expectFailure } from "./support/failures.ts";
import { freePort } from "./support/free-port.ts";
import { ALLOW_LOOPBACK } from "./support/rvpn.ts";
import { describeWith, programsFor, ROUTES } from "./support/settings.ts";
import { useWorld, type World } from "./support/world.ts";

const REFUSED = { socks5: 5, http: 502 };
/** RFC 1928 has no code for names; "host unreachable" is what others answer too. */
const UNKNOWN_NAME = { socks5: 4, http: 502 };
const DENIED = { socks5: 2, http: 403 };

for (const route of ROUTES) {
  describeWith(programsFor(route), `failing dials, ${route}`, () => {
    // No resolver is asked for `localhost` or a name that ends in `.invalid` (RFC 6761) but the machine's own.
    const it = useWorld({ route, serverArgs: [...ALLOW_LOOPBACK, "--deny", "127.0.0.2/32"] });
    it("connection refused is 5 and 502", (world) =>
      expectFailure(world, `http://127.0.0.1:${freePort()}/`, REFUSED));
    it("connection refused on IPv6 is 5 and 502", (world) =>
      expectFailure(world, `http://[::1]:${freePort()}/`, REFUSED));
    it("an unknown name is 4 and 502", (world) =>
      expectFailure(world, "http://nobody.invalid/", UNKNOWN_NAME));
    it("an address that --deny names is 2 and 403", (world) =>
      expectFailure(world, `http://127.0.0.2:${world.origin.ports.http}/`, DENIED));
    it("an address in IPv6 clothes is judged as what it is", (world) =>
      expectFailure(world, `http://[::ffff:127.0.0.2]:${world.origin.ports.http}/`, DENIED));
    it("private networks and cloud metadata are denied by default", deniesPrivate);
    it("no failure harms the tunnel", stillWorks);
  });
}

async function deniesPrivate(world: World): Promise<void> {
  const hosts = ["10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"];
  await Promise.all(hosts.map((host) => expectFailure(world, `http://${host}/`, DENIED)));
  // At the level that a server has by itself.
  expect(world.server.child.output()).toMatch(
    /info destination refused client=first reason="10\.0\.0\.1 port 80: denied by 10\.0\.0\.0\/8 /,
  );
}

async function stillWorks(world: World): Promise<void> {
  const ran = await curl(world, ...through(world, "socks5h"), world.origin.url("/"));
  expect(ran).toMatchObject({ exitCode: 0, stdout: "origin\n" });
  const { reconnects } = await world.client.awaitStatus(({ streams }) => streams === 0);
  expect(reconnects).toBe(0);
}
