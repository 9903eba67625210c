import { expect } from "bun:test";
import { chmodSync, copyFileSync, cpSync, lstatSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { formatLink, parseLink, type ServerLink } from "../../src/proto/index.ts";
import type { Ran } from "./support/children.ts";
import { ALLOW_LOOPBACK, type RvpnServer } from "./support/rvpn.ts";
import { BINARY, describeWith, programsFor } from "./support/settings.ts";
import { useWorld, type World } from "./support/world.ts";

const USAGE = 2;
const REFUSED = 4;
const PASSWORD = "correct-horse-battery-staple";
const AUTH = { RVPN_PROXY_AUTH: `alice:${PASSWORD}` };

describeWith(programsFor("direct", "find"), "secrets", () => {
  const it = useWorld({ route: "direct" });
  it("are in files of 0600 in directories of 0700, with umask 000 too", umask);
  it("that others can read are not used: a server and a client do not start, and say which file", openFiles);
  it("are in no argument and no environment of a running client, whichever way the link came", processes);
  it("are in no log at any level, no status and no error", outputs);
  it("of the server do not make a client: a copy of its directory lets nobody in", copiedState);
});

/** Everything below `dir` as `mode type path`, and the directory itself. */
function modesBelow(dir: string): string[] {
  const paths = readdirSync(dir, { recursive: true, encoding: "utf8" }).map((name) => join(dir, name));
  return [dir, ...paths].map((path) => {
    const stats = lstatSync(path);
    const type = stats.isDirectory() ? "d" : stats.isSymbolicLink() ? "l" : stats.isSocket() ? "s" : "f";
    return `${(stats.mode & 0o7777).toString(8)} ${type} ${path}`;
  });
}

function expectPrivate(modes: readonly string[]): void {
  expect(modes.length).toBeGreaterThan(1);
  // A symbolic link has no mode of its own.
  expect(modes.filter((line) => !/^(700 d|600 [fs]|777 l) /.test(line))).toEqual([]);
}

/** The same program with nothing masked out of the modes of the files that it makes. */
function unmasked(args: readonly string[]): string[] {
  return ["sh", "-c", 'umask 000; exec "$@"', "sh", BINARY, ...args];
}

async function umask(world: World): Promise<void> {
  const { rvpn, children } = world;
  const state = rvpn.newState("server");
  const run = (args: readonly string[], env = {}) => children.run(unmasked(args), { env, limitMs: 30_000 });
  const server = children.start("server", unmasked(["server", "--listen", "127.0.0.1:0", "--state", state]));
  const [, port] = await server.waitFor(/listening .*?:(\d+)(?= |$)/m);
  const url = ["--url", `ws://127.0.0.1:${port}/`];
  const { stdout: link } = await run(["invite", "a", "--state", state, ...url]);
  expect((await run(["rotate", "--state", state])).exitCode).toBe(0);
  await run(["invite", "b", "--state", state]);
  await run(["revoke", "b", "--state", state]);

  const client = rvpn.newState("client");
  const env = { RVPN_LINK: link.trim() };
  // Its own client is in a directory below while the command runs.
  const list = ["find", client, "-printf", "%m %y %p\\n"];
  const seen = await run(["run", "--state", client, "--", ...list], env);
  expect(seen.exitCode, seen.stderr).toBe(0);
  expect(seen.stdout).toContain("/run-");
  expectPrivate(seen.stdout.trim().split("\n"));
  const detached = await run(["client", "--proxy", "0", "--detach", "--state", client], env);
  expect(detached.exitCode, detached.stderr).toBe(0);
  expectPrivate(modesBelow(client));
  for (const name of ["server.json", "identity.key", "client.log", "control.sock"]) {
    expect(modesBelow(client).join("\n")).toContain(join(client, name));
  }
  await run(["stop", "--state", client]);
  expectPrivate(modesBelow(state));
  for (const name of ["identity.key", "gate.json", "clients.json", "rotations.json", "control.sock"]) {
    expect(modesBelow(state).join("\n")).toContain(join(state, name));
  }
  await server.stop();
  expectPrivate(modesBelow(state));

  const out = join(state, "written.key");
  expect((await run(["keygen", "--out", out])).exitCode).toBe(0);
  expectPrivate(modesBelow(state));
}

async function openFiles({ rvpn, server, client, ...world }: World): Promise<void> {
  const serverCopy = rvpn.newState("server");
  await rvpn.must(["rotate", "--state", server.state]);
  cpSync(server.state, serverCopy, { recursive: true, filter: (path) => !path.endsWith(".sock") });
  const clientCopy = rvpn.newState("client");
  cpSync(client.state, clientCopy, { recursive: true, filter: (path) => !path.endsWith(".sock") });
  const start = {
    [serverCopy]: ["server", "--listen", "127.0.0.1:0"],
    [clientCopy]: ["client", "--proxy", "0", ...world.trust],
  };
  const files = [
    ...["identity.key", "gate.json", "clients.json", "rotations.json"].map(
      (name) => [serverCopy, name] as const,
    ),
    ...["identity.key", "server.json"].map((name) => [clientCopy, name] as const),
  ];
  for (const [dir, name] of files) {
    for (const mode of [0o640, 0o604, 0o660, 0o666]) {
      const path = join(dir, name);
      chmodSync(path, mode);
      await expectRefusal(`chmod 600 ${path}`, [...(start[dir] ?? []), "--state", dir]);
      // Not mended in silence: whoever could read it may have.
      expect(lstatSync(path).mode & 0o777).toBe(mode);
      chmodSync(path, 0o600);
    }
  }
  for (const dir of [serverCopy, clientCopy]) {
    chmodSync(dir, 0o755);
    await expectRefusal(`chmod 700 ${dir}`, [...(start[dir] ?? []), "--state", dir]);
    chmodSync(dir, 0o700);
  }

  async function expectRefusal(hint: string, args: readonly string[]): Promise<void> {
    const ran = await rvpn.run(args, { limitMs: 20_000 });
    expect([hint, ran.exitCode]).toEqual([hint, USAGE]);
    expect(ran.stderr).toContain(`hint: ${hint}\n`);
  }
}

/** All that tells a reader of it how to come in: the link's parts in the forms in which they could be printed. */
function partsOf(link: string): string[] {
  const { gateKey, secret } = parseLink(link);
  const forms = (bytes: Uint8Array) => [
    bytes.toHex(),
    bytes.toBase64({ alphabet: "base64url", omitPadding: true }),
    bytes.toBase64({ omitPadding: true }),
  ];
  const fragment = link.slice(link.indexOf("#") + 1);
  // The middle of the fragment, too: a text that is cut would still hold the gate key.
  return [fragment, fragment.slice(46, 86), ...forms(gateKey), ...forms(secret)];
}

function expectAbsent(where: string, text: string, secrets: readonly string[]): void {
  const found = secrets.filter((secret) => text.includes(secret));
  expect([where, found]).toEqual([where, []]);
}

/** What other programs of the machine, or of the user, can read of a process. */
function expectCleanProcess(pid: number, secrets: readonly string[]): void {
  for (const name of ["cmdline", "environ", "comm", "status"]) {
    expectAbsent(name, readFileSync(`/proc/${pid}/${name}`, "latin1"), secrets);
  }
}

async function processes({ rvpn, server, children }: World): Promise<void> {
  for (const way of ["argument", "variable", "input"] as const) {
    const link = await server.invite(`by-${way}`, "--uses", "2");
    const secrets = [...partsOf(link), PASSWORD, "alice:"];
    const given = way === "argument" ? [link] : way === "input" ? ["-"] : [];
    const env = { ...AUTH, ...(way === "variable" ? { RVPN_LINK: link } : {}) };

    const state = rvpn.newState("client");
    const args = ["client", "--proxy", "0", "--detach", "--state", state, ...given];
    await rvpn.must(args, { env, ...(way === "input" ? { stdin: `${link}\n` } : {}) });
    const { pid } = JSON.parse(await rvpn.must(["status", "--json", "--state", state]));
    expectCleanProcess(pid, secrets);
    await rvpn.must(["stop", "--state", state]);

    // In the foreground, without a step in between.
    const foreground = rvpn.newState("client");
    if (way === "input") continue;
    const command = [BINARY, "client", "--proxy", "0", "--state", foreground, ...given];
    const child = children.start("client", command, env);
    await rvpn.must(["status", "--wait", "15s", "--state", foreground]);
    expectCleanProcess(child.pid, secrets);
    await child.stop();
  }
  await commandOfRun(rvpn, await server.invite("runner"));
}

/** The command of `rvpn run` gets the proxy's address, and nothing of how rvpn came in. */
async function commandOfRun(rvpn: World["rvpn"], link: string): Promise<void> {
  const show = ["sh", "-c", "tr '\\0' '\\n' < /proc/$PPID/environ; tr '\\0' ' ' < /proc/$PPID/cmdline; env"];
  const args = ["run", "--state", rvpn.newState("client"), "--", ...show];
  const shown = await rvpn.must(args, { env: { RVPN_LINK: link } });
  expect(shown).toContain("ALL_PROXY=socks5h://127.0.0.1:");
  expectAbsent("environment", shown, partsOf(link));
}

async function outputs(world: World): Promise<void> {
  const { rvpn, origin } = world;
  const loud = ["--log-level", "debug"];
  const server = await rvpn.startServer([...ALLOW_LOOPBACK, ...loud]);
  const link = await server.invite("talker", "--url", `ws://127.0.0.1:${server.port}/`);
  const seat = await server.invite("machine", "--seat");
  const client = await rvpn.startClient({ link, args: loud, env: AUTH });
  const job = await rvpn.startClient({ link: seat, args: loud });
  const proxied = (user: string) => [
    "curl",
    "-q",
    "-sS",
    "--noproxy",
    "",
    "-x",
    `http://${user}@${client.proxy}`,
  ];
  const ran = await world.children.run([...proxied(`alice:${PASSWORD}`), origin.url("/")]);
  expect(ran).toMatchObject({ exitCode: 0, stdout: "origin\n" });
  await world.children.run([...proxied(`alice:not-${PASSWORD}`), origin.url("/")]);
  await rvpn.must(["rotate", "--state", server.state]);
  await server.revoke("machine");
  await job.child.exitsWithin(10_000);
  const keys = [server.state, client.state].map((dir) =>
    readFileSync(join(dir, "identity.key"), "utf8").trim(),
  );
  const after = JSON.parse(readFileSync(join(server.state, "gate.json"), "utf8")).key;
  const secrets = [
    ...partsOf(link),
    ...partsOf(seat),
    PASSWORD,
    btoa(`alice:${PASSWORD}`),
    ...keys,
    String(after),
  ];

  const told = {
    server: server.child.output(),
    client: client.child.output(),
    job: job.child.output(),
    status: await rvpn.must(["status", "--json", "--state", client.state]),
    clients: await rvpn.must(["clients", "--json", "--state", server.state]),
    broken: (await rvpn.run(["client", "--proxy", "0", `${link.slice(0, -1)}!`])).stderr,
    other: (
      await rvpn.run(["run", "--state", client.state, link.replace("ws://127", "ws://126"), "--", "true"])
    ).stderr,
  };
  for (const [where, text] of Object.entries(told)) {
    expect([where, text.length > 20]).toEqual([where, true]);
    expectAbsent(where, text, secrets);
  }
  await client.child.stop();
  await server.child.stop();
}

/** With everything that the server keeps: its identity, the gate's key, who is on the list, what was invited. */
async function copiedState(world: World): Promise<void> {
  const { rvpn, server } = world;
  await server.invite("open", "--uses", "5");
  await server.invite("machine", "--seat");
  const stolen = rvpn.newState("server");
  cpSync(server.state, stolen, { recursive: true, filter: (path) => !path.endsWith(".sock") });
  const read = (name: string) => JSON.parse(readFileSync(join(stolen, name), "utf8"));
  const address = parseLink(await linkOf(rvpn, stolen, server));
  const { invites, clients } = read("clients.json");
  const bytes = (text: string) => Uint8Array.fromBase64(text, { alphabet: "base64url" }).slice(0, 16);

  // As the server itself, whose key is no client's.
  const asServer = rvpn.newState("client");
  mkdirSync(asServer, { mode: 0o700 });
  copyFileSync(join(stolen, "identity.key"), join(asServer, "identity.key"));
  expectRefused(
    await tryIn(rvpn, { ...address, kind: "address", secret: new Uint8Array(16) }, asServer),
    /list/,
  );
  // With what is kept of invites in place of their secrets; with the keys of clients and seats; with the gate's.
  const guesses: Uint8Array[] = [
    ...invites.map(({ hash }: { hash: string }) => bytes(hash)),
    ...clients.map(({ key }: { key: string }) => bytes(key.slice("rvpn-pk-".length))),
    bytes(read("gate.json").key),
  ];
  expect(guesses.length).toBeGreaterThan(3);
  for (const secret of guesses) {
    expectRefused(await tryIn(rvpn, { ...address, kind: "invite", secret }), /invite/);
    expectRefused(await tryIn(rvpn, { ...address, kind: "seat", secret }), /list/);
  }
}

/** A link of the running server made from stolen files alone, for its K_gate and IK_S. */
async function linkOf(rvpn: World["rvpn"], stolen: string, { port }: RvpnServer): Promise<string> {
  const copy = `${stolen}-forge`;
  cpSync(stolen, copy, { recursive: true });
  return await rvpn.must(["invite", "forged", "--state", copy, "--url", `ws://127.0.0.1:${port}/`]);
}

function tryIn(rvpn: World["rvpn"], link: ServerLink, state = rvpn.newState("client")): Promise<Ran> {
  const args = ["client", "--proxy", "0", "--state", state];
  return rvpn.run(args, { env: { RVPN_LINK: formatLink(link) }, limitMs: 20_000 });
}

function expectRefused(ran: Ran, reason: RegExp): void {
  expect(ran.exitCode, ran.stderr).toBe(REFUSED);
  expect(ran.stderr).toMatch(reason);
}
