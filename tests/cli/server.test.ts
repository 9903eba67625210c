import { afterAll, describe, expect, test } from "bun:test";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { formatPublicKey, parseLink } from "../../src/proto/index.ts";
import { commandLine, environment, rvpn, useScratch } from "./support/transcript.ts";

const running: Bun.Subprocess[] = [];
afterAll(async () => {
  for (const child of running) child.kill("SIGKILL");
  await Promise.all(running.map((child) => child.exited));
});
const freshDir = useScratch();

interface Server {
  readonly child: Bun.Subprocess<"ignore", "ignore", "pipe">;
  readonly dir: string;
  readonly port: string;
  /** What it wrote to stderr until it ended. */
  readonly log: Promise<string>;
}

/** Starts a real server on a free port and waits until it listens. */
async function startServer(dir = freshDir(), ...args: string[]): Promise<Server> {
  const child = Bun.spawn(commandLine(["server", "--listen", "0", "--state", dir, ...args]), {
    env: environment(),
    stdio: ["ignore", "ignore", "pipe"],
  });
  running.push(child);
  const listening = Promise.withResolvers<string>();
  const log = collect(child.stderr, (text) => {
    const port = /listening .*127\.0\.0\.1:(\d+)/.exec(text)?.[1];
    if (port !== undefined) listening.resolve(port);
  });
  void log.then((text) => listening.reject(new Error(text)));
  return { child, dir, port: await listening.promise, log };
}

async function collect(stream: ReadableStream<Uint8Array>, seen: (text: string) => void): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    seen(text);
  }
  return text;
}

describe("rvpn server", () => {
  test("tells how to invite until somebody was, writes times, and ends with 0 at SIGTERM", async () => {
    const { child, dir, log } = await startServer();
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
    const lines = (await log).trimEnd().split("\n");
    for (const line of lines) expect(line).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info /);
    expect(await log).toContain("rvpn invite NAME --url wss://YOUR-HOST/");
    expect(await log).toContain("SIGTERM: draining for up to 30s");
    await rvpn(["invite", "laptop", "--url", "wss://vpn.example.org/", "--state", dir]);
    const again = await startServer(dir);
    again.child.kill("SIGINT");
    expect(await again.child.exited).toBe(0);
    expect(await again.log).not.toContain("rvpn invite");
  });

  test("has its directory and its port for itself", async () => {
    const { child, dir, port } = await startServer();
    const second = await rvpn(["server", "--listen", "0", "--state", dir]);
    expect(second).toMatchObject({ exitCode: 2, stdout: "" });
    expect(second.stderr).toContain(`rvpn: already running, pid ${child.pid}`);
    const state = join(freshDir(), "new");
    const third = await rvpn(["server", "--listen", port, "--state", state]);
    expect(third).toMatchObject({ exitCode: 6, stdout: "" });
    expect(third.stderr).toContain(`rvpn: port ${port} on 127.0.0.1 is taken\nhint: `);
    // What it has made is whole, and the next start's: no socket, no half of a file.
    expect(readdirSync(state).sort()).toEqual(["clients.json", "gate.json", "identity.key", "lock"]);
    const { stdout: key } = await rvpn(["pubkey", "--state", state]);
    const fourth = await startServer(state);
    expect((await rvpn(["pubkey", "--state", state])).stdout).toBe(key);
    fourth.child.kill();
    child.kill();
  });

  test.each([
    ["--allow", "10.0.0.0/33"],
    ["--deny", "10.0.0.1/8"],
    ["--resume-window", "300"],
    ["--resume-window", "-1s"],
    ["--drain", "soon"],
    ["--path", "chat"],
    ["--decoy", "/nowhere/at/all"],
    ["--listen", "[::1]"],
    ["--padding", "some"],
  ])("refuses %s %s before it has made anything", async (flag, value) => {
    const state = join(freshDir(), "state");
    const result = await rvpn(["server", "--state", state, `${flag}=${value}`]);
    expect(result).toMatchObject({ exitCode: 2, stdout: "" });
    expect(result.stderr).toStartWith(`rvpn: ${flag}`);
    expect(result.stderr).toContain(value);
    expect(result.stderr).toMatch(/^rvpn: [^\n]+\nhint: [^\n]+\n$/);
    expect(existsSync(state)).toBe(false);
  });

  test("takes its resume window from RVPN_RESUME_WINDOW, and names it where that is wrong", async () => {
    const state = join(freshDir(), "state");
    const result = await rvpn(["server", "--listen", "0", "--state", state], {
      env: { RVPN_RESUME_WINDOW: "5 minutes" },
    });
    expect(result).toMatchObject({ exitCode: 2, stdout: "" });
    expect(result.stderr).toContain("RVPN_RESUME_WINDOW");
    expect(existsSync(state)).toBe(false);
  });
});

test("clients --json has the counters of a running server, and says when none runs", async () => {
  const { child, dir, port } = await startServer();
  const listed = async () => JSON.parse((await rvpn(["clients", "--json", "--state", dir])).stdout);
  const { server, ...lists } = await listed();
  expect(lists).toEqual({ clients: [], invites: [] });
  const { rssBytes, ...counters } = server;
  expect(counters).toEqual({
    running: true,
    pid: child.pid,
    address: `127.0.0.1:${port}`,
    tunnels: 0,
    detached: 0,
    links: 0,
    streams: 0,
    heldBytes: 0,
    pooledBytes: 0,
    sockets: 0,
    detachedBytes: 0,
    timers: 0,
    remembered: 0,
    unproven: 0,
    pool: { spares: 0, made: 0, used: 0, unused: 0 },
  });
  expect(rssBytes).toBeGreaterThan(10_000_000);
  child.kill();
  await child.exited;
  expect((await listed()).server).toEqual({ running: false });
});

test("--pool off, or RVPN_POOL=off, and there is no pool to count", async () => {
  const { child, dir } = await startServer(freshDir(), "--pool", "off");
  const { server } = JSON.parse((await rvpn(["clients", "--json", "--state", dir])).stdout);
  expect(server.running).toBe(true);
  expect(server.pool).toBeUndefined();
  child.kill();
  await child.exited;
  const wrong = await rvpn(["server", "--pool", "maybe", "--state", freshDir()]);
  expect(wrong.exitCode).toBe(2);
  expect(wrong.stderr).toContain("--pool");
});

describe.each(["running", "not running"])("with a server that is %s", (state) => {
  async function serverState(): Promise<{ RVPN_STATE: string }> {
    const { child, dir } = await startServer();
    if (state === "not running") {
      child.kill();
      await child.exited;
    }
    return { RVPN_STATE: dir };
  }

  test("invite prints the link alone on stdout", async () => {
    const env = await serverState();
    const url = "wss://vpn.example.org/";
    const invited = await rvpn(["invite", "laptop", "--url", url], { env });
    expect(invited.exitCode).toBe(0);
    expect(invited.stdout).toMatch(/^wss:\S+#[\w-]+\n$/);
    expect(parseLink(invited.stdout.trim())).toMatchObject({ url, kind: "invite" });
    expect(invited.stderr).not.toContain(invited.stdout.trim());
    const seat = await rvpn(["invite", "ci", "--seat", "--json"], { env });
    expect(seat).toMatchObject({ exitCode: 0, stderr: "" });
    const reply = JSON.parse(seat.stdout);
    expect(reply).toMatchObject({ name: "ci", kind: "seat" });
    expect(parseLink(reply.link)).toMatchObject({ url, kind: "seat" });
  });

  test("clients lists, revoke removes, add enters", async () => {
    const env = await serverState();
    const { stdout: key } = await rvpn(["keygen", "--state", freshDir()]);
    const added = await rvpn(["add", "desk", key.trim(), "--url", "wss://vpn.example.org/"], { env });
    expect(added).toMatchObject({ exitCode: 0 });
    expect(parseLink(added.stdout.trim()).kind).toBe("address");
    await rvpn(["invite", "laptop", "--uses", "3"], { env });
    const { stdout: json } = await rvpn(["clients", "--json"], { env });
    expect(JSON.parse(json)).toMatchObject({
      clients: [{ name: "desk", key: key.trim(), kind: "client" }],
      invites: [{ name: "laptop", uses: 3, used: 0 }],
    });
    const time = "\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ";
    expect((await rvpn(["clients"], { env })).stdout).toMatch(
      new RegExp(
        "^NAME {4}KIND {4}SINCE {17}EXPIRES {15}LINKS {2}STREAMS {2}KEY\n" +
          `desk {4}client {2}${time} {2}never {17}0 {6}0 {8}${key.trim()}\n` +
          `laptop {2}invite {2}${time} {2}${time} {18}used 0 of 3\n$`,
      ),
    );
    expect(await rvpn(["revoke", "desk"], { env })).toEqual({
      exitCode: 0,
      stdout: "",
      stderr: "revoked desk: 1 key, 0 open invites\n",
    });
    const unknown = await rvpn(["revoke", "desk"], { env });
    expect(unknown).toMatchObject({ exitCode: 2, stdout: "" });
    expect(unknown.stderr).toMatch(/^rvpn: .*desk.*\nhint: /);
  });

  test("rotate prints the new key, which links carry then, and says who is left behind", async () => {
    const env = await serverState();
    const before = (await rvpn(["pubkey", "--state", env["RVPN_STATE"] ?? ""])).stdout;
    const first = await rvpn(["rotate"], { env });
    expect(first).toMatchObject({ exitCode: 0, stderr: "rotation 1: clients follow at their next link\n" });
    expect(first.stdout).not.toBe(before);
    expect((await rvpn(["pubkey", "--state", env["RVPN_STATE"] ?? ""])).stdout).toBe(first.stdout);
    const link = (await rvpn(["invite", "late", "--url", "wss://vpn.example.org/"], { env })).stdout.trim();
    expect(formatPublicKey(parseLink(link).serverKey)).toBe(first.stdout.trim());
    for (let sequence = 2; sequence <= 8; sequence++) {
      const { stdout } = await rvpn(["rotate", "--json"], { env });
      expect(JSON.parse(stdout)).toMatchObject({ sequence });
    }
    expect((await rvpn(["rotate"], { env })).stderr).toBe(
      "rotation 9: clients follow at their next link\n" +
        "note: clients that came last before rotation 1, and links from before, are left behind\n",
    );
  }, 60_000);

  test.each<[string, string]>([
    ["add desk rvpn-pk-nonsense", "PUBKEY: "],
    ["invite no/slash --url wss://host/", '"no/slash"'],
    ["invite ci --seat --uses 2 --url wss://host/", "a seat is good for any number"],
  ])("%s is refused", async (args, message) => {
    const env = await serverState();
    const result = await rvpn(args.split(" "), { env });
    expect(result).toMatchObject({ exitCode: 2, stdout: "" });
    expect(result.stderr).toStartWith(`rvpn: ${message}`);
  });
});

test("there is no server to be asked in a directory that never had one", async () => {
  const dir = freshDir();
  const result = await rvpn(["clients", "--state", dir]);
  expect(result).toMatchObject({ exitCode: 2, stdout: "" });
  expect(result.stderr).toStartWith(`rvpn: there is no server in ${dir}\nhint: `);
});

test("the whole way: server, invite, client, a request through it, revoke", async () => {
  const origin = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("hello") });
  const { child, dir, port } = await startServer(freshDir(), "--allow", "127.0.0.1");
  const env = { RVPN_STATE: freshDir() };
  const { stdout: link } = await rvpn([
    "invite",
    "laptop",
    "--url",
    `ws://127.0.0.1:${port}/`,
    "--state",
    dir,
  ]);
  const detached = await rvpn(["client", "--proxy", "0", "--detach", "-"], { env, stdin: link });
  expect(detached).toMatchObject({ exitCode: 0, stderr: "" });
  const url = `http://127.0.0.1:${origin.port}/`;
  const curl = await rvpn(["run", "--", "curl", "--silent", "--noproxy", "", url], { env });
  expect(curl).toEqual({ exitCode: 0, stdout: "hello", stderr: "" });
  expect((await rvpn(["revoke", "laptop", "--state", dir])).exitCode).toBe(0);
  while ((await rvpn(["status"], { env })).exitCode === 0);
  const refused = await rvpn(["run", "--", "true"], { env });
  expect(refused).toMatchObject({ exitCode: 4, stdout: "" });
  expect(refused.stderr).toStartWith("rvpn: the server refused: this client's key was revoked\nhint: ");
  child.kill();
  await origin.stop(true);
}, 20_000);

test("at SIGTERM open connections may go on, and a second one resets them at both ends", async () => {
  const destination = await listenOnce();
  const { child, dir, port, log } = await startServer(freshDir(), "--allow", "127.0.0.1");
  const env = { RVPN_STATE: freshDir() };
  const url = `ws://127.0.0.1:${port}/`;
  const { stdout: link } = await rvpn(["invite", "laptop", "--url", url, "--state", dir]);
  await rvpn(["client", "--proxy", "0", "--detach", "-"], { env, stdin: link });
  const { proxy } = JSON.parse((await rvpn(["status", "--json"], { env })).stdout);
  const application = connect(Number(proxy.split(":")[1]), "127.0.0.1");
  application.write(`CONNECT 127.0.0.1:${destination.port} HTTP/1.1\r\nHost: a\r\n\r\n`);
  const ends = [endOf(await destination.accepted), endOf(application)];
  await once(application, "data");
  child.kill("SIGTERM");
  await Bun.sleep(300);
  expect(child.exitCode).toBeNull();
  child.kill("SIGTERM");
  expect(await Promise.all(ends)).toEqual(["ECONNRESET", "ECONNRESET"]);
  expect(await child.exited).toBe(0);
  expect(await log).toContain("a second signal ends the server at once");
  await rvpn(["stop"], { env });
}, 20_000);

/** A destination that takes one connection and says nothing. */
async function listenOnce(): Promise<{ readonly port: number; readonly accepted: Promise<Socket> }> {
  const { promise, resolve } = Promise.withResolvers<Socket>();
  const server = createServer((socket) => {
    server.close();
    resolve(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return { port: address.port, accepted: promise };
}

/** How a connection ends: by FIN, or by which error. */
async function endOf(socket: Socket): Promise<string> {
  socket.resume();
  const { promise, resolve } = Promise.withResolvers<string>();
  socket.on("end", () => resolve("FIN"));
  socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  return promise;
}
