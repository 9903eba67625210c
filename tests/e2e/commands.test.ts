import { expect } from "bun:test";
import { existsSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "./support/free-port.ts";
import { isRunning } from "./support/leftovers.ts";
import { patternHash } from "./support/pattern.ts";
import type { Status } from "./support/rvpn.ts";
import { describeWith, programsFor, ROUTES } from "./support/settings.ts";
import { useWorld, type World } from "./support/world.ts";

const SEATS = 20;

for (const route of ROUTES) {
  describeWith(programsFor(route), `commands, ${route}`, () => {
    const it = useWorld({ route });
    it("run gives the command a proxy, and its exit code to the caller", runCurl);
    it("run passes exit codes, signals and what is not found", runCodes);
    it("run sets every proxy variable and keeps NO_PROXY and the secrets", runEnvironment);
    it(`a seat serves ${SEATS} jobs at once`, seats);
    it("--detach returns when the tunnel is up; status and stop talk to it", detach);
    it("--detach says why it failed: 3, 4 and 6", detachFails);
    it("a second client or server in the same directory is told so: 2", secondStart);
    it("a port that is taken is 6", portTaken);
  });
}

/** `rvpn run` with a seat, in a state directory of its own. */
function run(world: World, link: string, command: readonly string[], env: Record<string, string> = {}) {
  const state = world.rvpn.newState("client");
  const args = ["run", "--state", state, ...world.trust, "--", ...command];
  return world.rvpn.run(args, { env: { RVPN_LINK: link, ...env }, limitMs: 40_000 });
}

async function runCurl(world: World): Promise<void> {
  const link = await world.server.invite("ci", "--seat");
  for (const host of ["127.0.0.1", "localhost"]) {
    const ran = await run(world, link, ["curl", "-q", "-sS", world.origin.url("/", host)]);
    expect(ran).toMatchObject({ exitCode: 0, stdout: "origin\n", stderr: "" });
  }
  // Through the tunnel and by no other way: the server denies this, and a direct request would be refused (7).
  const denied = await run(world, link, ["curl", "-q", "-sS", "-f", "http://10.0.0.1/"]);
  expect(denied).toMatchObject({ exitCode: 22, stdout: "" });
  expect(denied.stderr).toContain("403");
}

async function runCodes(world: World): Promise<void> {
  const link = await world.server.invite("codes", "--seat");
  expect((await run(world, link, ["sh", "-c", "exit 7"])).exitCode).toBe(7);
  expect((await run(world, link, ["sh", "-c", "kill -TERM $$"])).exitCode).toBe(128 + 15);
  expect((await run(world, link, ["no-such-program"])).exitCode).toBe(127);
  const failed = await run(world, link, ["curl", "-q", "-sS", `http://127.0.0.1:${freePort()}/`, "-f"]);
  // The HTTP proxy answers 502, which -f turns into curl's 22.
  expect(failed.exitCode).toBe(22);
}

async function runEnvironment(world: World): Promise<void> {
  const link = await world.server.invite("env", "--seat");
  const ran = await run(world, link, ["env"], { NO_PROXY: "intranet.example" });
  const found = Object.fromEntries(ran.stdout.split("\n").map((line) => line.split(/=(.*)/, 2)));
  for (const name of ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"])
    expect(found[name]).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  for (const name of ["ALL_PROXY", "all_proxy"])
    expect(found[name]).toMatch(/^socks5h:\/\/127\.0\.0\.1:\d+$/);
  expect(found["NO_PROXY"]).toBe("intranet.example");
  expect(ran.stdout).not.toContain(link);
}

async function seats(world: World): Promise<void> {
  const link = await world.server.invite("pipeline", "--seat");
  const bytes = 1_000_000;
  const script = `curl -q -sS ${world.origin.url(`/bytes/${bytes}`)} | sha256sum`;
  const jobs = Array.from({ length: SEATS }, () =>
    run(world, link, ["bash", "-o", "pipefail", "-c", script]),
  );
  const results = (await Promise.all(jobs)).map(
    ({ exitCode, stdout }) => `${exitCode} ${stdout.slice(0, 64)}`,
  );
  expect(new Set(results)).toEqual(new Set([`0 ${patternHash(bytes)}`]));
}

async function detach(world: World): Promise<void> {
  const { rvpn } = world;
  const state = rvpn.newState("client");
  const link = await world.server.invite("background");
  const started = await rvpn.run(
    ["client", "--proxy", "0", "--detach", "--state", state, ...world.trust, link],
    { limitMs: 20_000 },
  );
  expect(started.exitCode, started.stderr).toBe(0);
  const proxy = started.stdout.trim();
  expect(proxy).toMatch(/^127\.0\.0\.1:\d+$/);
  const status = JSON.parse(await rvpn.must(["status", "--json", "--state", state])) as Status; // As in rvpn.ts.
  expect(status).toMatchObject({ running: true, link: "up", proxy });
  const got = await rvpn.children.run([
    "curl",
    "-q",
    "-sS",
    "-x",
    `socks5h://${proxy}`,
    world.origin.url("/"),
  ]);
  expect(got).toMatchObject({ exitCode: 0, stdout: "origin\n" });
  // `run` uses the client that is there, and needs no link.
  const beside = await rvpn.run(["run", "--state", state, "--", "sh", "-c", 'echo "$ALL_PROXY"']);
  expect(beside.stdout).toBe(`socks5h://${proxy}\n`);
  await rvpn.must(["stop", "--state", state]);
  expect(isRunning(status.pid)).toBe(false);
  const after = await rvpn.run(["status", "--json", "--state", state]);
  expect(after.exitCode).toBe(3);
  expect(JSON.parse(after.stdout)).toEqual({ running: false });
  expect(await rvpn.must(["stop", "--state", state])).toBe("");
}

async function detachFails(world: World): Promise<void> {
  const { rvpn, client } = world;
  const detached = (state: string, link: string, proxy = "0") =>
    rvpn.run(["client", "--proxy", proxy, "--detach", "--timeout", "2s", "--state", state, ...world.trust], {
      env: { RVPN_LINK: link },
      limitMs: 20_000,
    });
  const link = await world.server.invite("late");
  const nobody = await detached(rvpn.newState("client"), link.replace(/:\d+\//, `:${freePort()}/`));
  expect(nobody.exitCode, nobody.stderr).toBe(3);
  expect(nobody.stderr).toMatch(/^rvpn: .*not reached.*\nhint: /m);
  await world.server.revoke("late");
  const refused = await detached(rvpn.newState("client"), link);
  expect(refused.exitCode, refused.stderr).toBe(4);
  expect(refused.stderr).toMatch(/^rvpn: the server refused: .*\nhint: /m);
  const taken = await detached(rvpn.newState("client"), link, String(client.port));
  expect(taken.exitCode, taken.stderr).toBe(6);
}

async function secondStart(world: World): Promise<void> {
  const { rvpn, client, server } = world;
  const commands = [
    { pid: server.child.pid, args: ["server", "--listen", "127.0.0.1:0", "--state", server.state] },
    { pid: client.child.pid, args: ["client", "--proxy", "0", "--state", client.state, ...world.trust] },
  ];
  for (const { pid, args } of commands) {
    const ran = await rvpn.run(args, { limitMs: 20_000 });
    expect(ran.exitCode, ran.stderr).toBe(2);
    expect(ran.stderr).toContain(`already running, pid ${pid}`);
    expect(ran.stderr).toMatch(/^hint: /m);
  }
  expect((await client.status()).link).toBe("up");
}

async function portTaken(world: World): Promise<void> {
  const { rvpn, client, server } = world;
  const empty = rvpn.newState("client");
  mkdirSync(empty, { mode: 0o700 });
  const link = await server.invite("port");
  const commands = [
    ["server", "--listen", `127.0.0.1:${server.port}`, "--state", rvpn.newState("server")],
    ["client", "--proxy", String(client.port), "--state", empty, ...world.trust],
  ];
  for (const args of commands) {
    const ran = await rvpn.run(args, { env: { RVPN_LINK: link }, limitMs: 20_000 });
    expect(ran.exitCode, ran.stderr).toBe(6);
    expect(ran.stderr).toMatch(/^rvpn: .*taken\nhint: /m);
  }
  expect(existsSync(join(empty, "control.sock"))).toBe(false);
  expect(statSync(server.state).mode & 0o777).toBe(0o700);
}
