import { describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inviteLink, secretOf } from "./support/links.ts";
import { commandLine, environment, rvpn, type Surroundings, useScratch } from "./support/transcript.ts";

const freshDir = useScratch();
const LINK = inviteLink("wss://vpn.example.org/");
const PROXY = /^127\.0\.0\.1:\d+\n$/;

function withFake(fake: NonNullable<Surroundings["fake"]>, dir = freshDir()): Surroundings {
  return { fake, env: { RVPN_STATE: dir, RVPN_LINK: LINK } };
}

function stateOf({ env = {} }: Surroundings): string {
  const { RVPN_STATE = "" } = env;
  return RVPN_STATE;
}

describe("rvpn client in the foreground", () => {
  test("says where its proxy is, and ends with 0 when it is stopped", async () => {
    const surroundings = withFake("up");
    const running = rvpn(["client", "--proxy", "0"], surroundings);
    expect((await rvpn(["status", "--wait", "5s"], surroundings)).exitCode).toBe(0);
    expect(await rvpn(["stop"], surroundings)).toEqual({
      exitCode: 0,
      stdout: "",
      stderr: expect.stringMatching(/^stopped the client \(pid \d+\)\n$/),
    });
    expect(await running).toEqual({
      exitCode: 0,
      stdout: "",
      stderr: expect.stringMatching(/^proxy on 127\.0\.0\.1:\d+\n$/),
    });
  });

  test.each<[NonNullable<Surroundings["fake"]>, number, string]>([
    ["refused", 4, "the server refused: the invite has expired"],
    ["revokedLater", 4, "the server refused: this client's key was revoked"],
    ["wrongServer", 5, "the server is not the one this client knows: its identity is another"],
    ["unreachable", 3, "the server was not reached within 0.5 s: the connection was refused"],
    ["stray", 1, "unexpected: nobody awaited this"],
  ])("whose fate is %s ends with %i", async (fake, exitCode, message) => {
    const result = await rvpn(["client", "--proxy", "0", "--timeout", "500ms"], withFake(fake));
    expect(result).toEqual({
      exitCode,
      stdout: "",
      stderr: expect.stringContaining(`\nrvpn: ${message}\nhint: `),
    });
    expect(result.stderr.split("\n")).toHaveLength(4);
  });

  test("shows where an unexpected error came from only to those who debug", async () => {
    const { stderr } = await rvpn(["client", "--proxy", "0", "--log-level", "debug"], withFake("stray"));
    expect(stderr).toMatch(/rvpn: unexpected: nobody awaited this\nhint: .*\nError: nobody.*\n +at /);
  });

  test("ends with 6 when the port is taken", async () => {
    const holder = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const result = await rvpn(["client", "--proxy", String(holder.port)], withFake("up"));
    holder.stop(true);
    expect(result).toMatchObject({ exitCode: 6, stdout: "" });
    expect(result.stderr).toStartWith(`rvpn: port ${holder.port} is taken\nhint: `);
  });

  test.each(["SIGTERM", "SIGINT"] as const)("ends with 0 at %s", async (signal) => {
    const surroundings = withFake("unreachable");
    const child = Bun.spawn(commandLine(["client", "--proxy", "0"], surroundings), {
      env: environment(surroundings),
      stdio: ["ignore", "ignore", "ignore"],
    });
    while ((await rvpn(["status"], surroundings)).exitCode !== 0);
    child.kill(signal);
    expect(await child.exited).toBe(0);
  });
});

describe("rvpn client --links", () => {
  test.each(["0", "9", "-1", "1.5", "two", "1e0", ""])("%p is refused", async (links) => {
    const { exitCode, stderr } = await rvpn(["client", "--proxy", "0", `--links=${links}`], withFake("up"));
    expect(exitCode).toBe(2);
    expect(stderr).toContain("--links");
  });

  test("is RVPN_LINKS too, and an error says which it was", async () => {
    const { env, ...rest } = withFake("up");
    const result = await rvpn(["client", "--proxy", "0"], { ...rest, env: { ...env, RVPN_LINKS: "9" } });
    expect(result).toEqual({
      exitCode: 2,
      stdout: "",
      stderr: 'rvpn: RVPN_LINKS: "9" is not a count\nhint: write a whole number from 1 to 8\n',
    });
  });

  test.each(["client", "run"])("is an option of %s", async (command) => {
    expect((await rvpn([command, "--help"])).stdout).toContain("--links");
  });
});

describe("a LINK that is none", () => {
  const BAD = "wss://vpn.example.org/#not-a-link";
  const HINT = "hint: paste the whole line that rvpn invite printed\n";

  test("is named as what it was given by: the argument", async () => {
    const result = await rvpn(["client", BAD, "--proxy", "0"], { env: { RVPN_STATE: freshDir() } });
    expect(result).toMatchObject({ exitCode: 2, stdout: "" });
    expect(result.stderr).toStartWith("rvpn: LINK: ");
    expect(result.stderr).toEndWith(HINT);
    expect(result.stderr).not.toContain("not-a-link");
  });

  test("or the variable", async () => {
    const env = { RVPN_STATE: freshDir(), RVPN_LINK: BAD };
    const result = await rvpn(["client", "--proxy", "0"], { env });
    expect(result.stderr).toStartWith("rvpn: RVPN_LINK: ");
    expect(result.exitCode).toBe(2);
  });
});

describe("rvpn client --detach", () => {
  test("returns when the link is up, and leaves a client that status and stop know", async () => {
    const surroundings = withFake("up");
    const detached = await rvpn(["client", "--proxy", "0", "--detach"], surroundings);
    expect(detached).toEqual({ exitCode: 0, stdout: expect.stringMatching(PROXY), stderr: "" });
    const status = await rvpn(["status", "--json"], surroundings);
    expect(JSON.parse(status.stdout)).toMatchObject({
      running: true,
      proxy: detached.stdout.trim(),
      server: "wss://vpn.example.org/",
      link: "up",
    });
    const again = await rvpn(["client", "--proxy", "0", "--detach"], surroundings);
    expect(again).toMatchObject({ exitCode: 2, stdout: "" });
    expect(again.stderr).toStartWith("rvpn: already running, pid ");
    expect((await rvpn(["stop"], surroundings)).exitCode).toBe(0);
    expect((await rvpn(["status"], surroundings)).exitCode).toBe(3);
  });

  test("leaves a process in a session of its own, with nothing of the link to be seen", async () => {
    const surroundings = withFake("up");
    const args = ["client", "--proxy", "0", "--detach", LINK];
    expect((await rvpn(args, { ...surroundings, env: { RVPN_STATE: stateOf(surroundings) } })).exitCode).toBe(
      0,
    );
    const { pid } = JSON.parse((await rvpn(["status", "--json"], surroundings)).stdout);
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
    expect(stat[3]).toBe(String(pid)); // its session
    expect(readFileSync(`/proc/${pid}/cmdline`, "utf8")).not.toContain(secretOf(LINK));
    expect(readFileSync(`/proc/${pid}/environ`, "utf8")).not.toContain(secretOf(LINK));
    await rvpn(["stop"], surroundings);
  });

  test("keeps its log, with times, in a file for this user alone", async () => {
    const surroundings = withFake("refused");
    await rvpn(["client", "--proxy", "0", "--detach"], surroundings);
    const file = join(stateOf(surroundings), "client.log");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, "utf8")).toMatch(
      /^\d{4}-\S+Z info proxy on 127\.0\.0\.1:\d+\nrvpn: the server refused: /,
    );
  });

  test.each<[NonNullable<Surroundings["fake"]>, number, string]>([
    ["refused", 4, "the server refused: the invite has expired"],
    ["wrongServer", 5, "the server is not the one this client knows: its identity is another"],
    ["unreachable", 3, "the server was not reached within 0.5 s: the connection was refused"],
    ["crash", 1, "the client ended before it was ready"],
    ["stray", 1, "the client ended before it was ready"],
  ])(
    "whose fate is %s returns %i, with the reason, and leaves no process",
    async (fake, exitCode, message) => {
      const surroundings = withFake(fake);
      const result = await rvpn(["client", "--proxy", "0", "--detach", "--timeout", "500ms"], surroundings);
      expect(result).toEqual({
        exitCode,
        stdout: "",
        stderr: expect.stringMatching(new RegExp(`^rvpn: ${message}\nhint: .*\n$`)),
      });
      expect((await rvpn(["status"], surroundings)).exitCode).toBe(3);
    },
  );

  test("ends its child too when it is interrupted", async () => {
    const surroundings = withFake("unreachable");
    const parent = Bun.spawn(commandLine(["client", "--proxy", "0", "--detach"], surroundings), {
      env: environment(surroundings),
      stdio: ["ignore", "ignore", "ignore"],
    });
    while ((await rvpn(["status"], surroundings)).exitCode !== 0);
    parent.kill("SIGINT");
    await parent.exited;
    expect(parent.signalCode).toBe("SIGINT");
    expect((await rvpn(["status"], surroundings)).exitCode).toBe(3);
  });

  test("by its variable detaches once, not for ever", async () => {
    const { fake, env } = withFake("up");
    const surroundings = { fake: fake ?? "up", env: { ...env, RVPN_DETACH: "1", RVPN_PROXY: "0" } };
    expect(await rvpn(["client"], surroundings)).toMatchObject({ exitCode: 0, stderr: "" });
    await rvpn(["stop"], surroundings);
  });
});

describe("the link", () => {
  const forget = { fake: "up" } as const;

  test("is remembered after its first use", async () => {
    const env = { RVPN_STATE: freshDir() };
    const first = await rvpn(["client", "--proxy", "0", "--detach", "-"], {
      ...forget,
      env,
      stdin: `${LINK}\n`,
    });
    expect(first).toMatchObject({ exitCode: 0, stderr: "" });
    await rvpn(["stop"], { env });
    expect(await rvpn(["client", "--proxy", "0", "--detach"], { ...forget, env })).toMatchObject({
      exitCode: 0,
    });
    await rvpn(["stop"], { env });
  });

  test("given as an argument is not in the arguments of the process for long", async () => {
    const surroundings = { fake: "unreachable", env: { RVPN_STATE: freshDir() } } as const;
    const child = Bun.spawn(commandLine(["client", LINK, "--proxy", "0"], surroundings), {
      env: environment(surroundings),
      stdio: ["ignore", "ignore", "ignore"],
    });
    while ((await rvpn(["status"], surroundings)).exitCode !== 0);
    const commandOfChild = readFileSync(`/proc/${child.pid}/cmdline`, "utf8").split("\0");
    child.kill();
    await child.exited;
    expect(commandOfChild.slice(-4)).toEqual(["client", "--proxy", "0", ""]);
  });

  test("is needed once", async () => {
    expect(await rvpn(["client", "--proxy", "0"], { env: { RVPN_STATE: freshDir() } })).toEqual({
      exitCode: 2,
      stdout: "",
      stderr:
        "rvpn: no server is known yet: this client needs a link\n" +
        "hint: ask for one made by rvpn invite NAME on the server; " +
        "give it as LINK, in RVPN_LINK, or as - on standard input\n",
    });
  });

  test("of another server is refused, and the known one stays", async () => {
    const dir = freshDir();
    const known = withFake("refused", dir);
    await rvpn(["client", "--proxy", "0"], known);
    const other = inviteLink("wss://other.example/", 2);
    const result = await rvpn(["client", "--proxy", "0"], {
      ...known,
      env: { RVPN_STATE: dir, RVPN_LINK: other },
    });
    expect(result).toMatchObject({ exitCode: 2, stdout: "" });
    expect(result.stderr).toContain("--state");
    expect(result.stderr).not.toContain(secretOf(other));
    expect(readFileSync(join(dir, "server.json"), "utf8")).toContain("vpn.example.org");
  });

  test.each([
    ["no-link", 'the link has no "#": its secret part is missing'],
    [LINK.slice(0, -1), 'the link has characters behind the "#" that it cannot have'],
    [LINK.replace(/.{8}$/, ""), 'the part of the link behind the "#" is cut short or too long'],
  ])("that is none (%#) is refused without repeating it", async (text, message) => {
    const { exitCode, stderr } = await rvpn(["client", "--proxy", "0", "-"], { stdin: text });
    expect(exitCode).toBe(2);
    expect(stderr).toStartWith(`rvpn: standard input: ${message}\nhint: `);
    expect(stderr).not.toContain(secretOf(LINK).slice(0, 20));
  });

  test("with ws:// to another machine is refused before it is remembered, unless --insecure-ws", async () => {
    const dir = freshDir();
    const env = { RVPN_STATE: dir, RVPN_LINK: inviteLink("ws://vpn.example.org/") };
    expect(await rvpn(["client", "--proxy", "0"], { fake: "refused", env })).toEqual({
      exitCode: 2,
      stdout: "",
      stderr:
        "rvpn: ws:// to vpn.example.org has no TLS\n" +
        "hint: use the wss:// address of the reverse proxy, or give --insecure-ws if you know the way there\n",
    });
    const without = await rvpn(["client", "--proxy", "0"], { fake: "refused", env: { RVPN_STATE: dir } });
    expect(without.stderr).toContain("no server is known yet");
    const with_ = await rvpn(["client", "--proxy", "0", "--insecure-ws"], { fake: "refused", env });
    expect(with_.exitCode).toBe(4);
  });

  test.each(["ws://127.0.0.1:9/", "ws://[::1]:9/", "ws://localhost:9/"])("%s needs no TLS", async (url) => {
    const env = { RVPN_STATE: freshDir(), RVPN_LINK: inviteLink(url) };
    expect((await rvpn(["client", "--proxy", "0"], { fake: "refused", env })).exitCode).toBe(4);
  });
});

describe("the proxy's password", () => {
  const refused = (env: Record<string, string> = {}, ...args: string[]) =>
    rvpn(["client", "--proxy", "0.0.0.0:0", ...args], {
      fake: "refused",
      env: { RVPN_STATE: freshDir(), RVPN_LINK: LINK, ...env },
    });

  test("is needed to listen where other machines can reach", async () => {
    expect(await refused()).toEqual({
      exitCode: 2,
      stdout: "",
      stderr:
        "rvpn: --proxy: 0.0.0.0 can be reached from other machines, and the proxy has no password\n" +
        "hint: listen on 127.0.0.1, or set RVPN_PROXY_AUTH=user:password or --proxy-user and --proxy-password-file\n",
    });
  });

  test("comes from a variable or a file", async () => {
    expect((await refused({ RVPN_PROXY_AUTH: "user:pass:word" })).exitCode).toBe(4);
    const file = join(freshDir(), "password");
    writeFileSync(file, "secret\n", { mode: 0o600 });
    expect((await refused({}, "--proxy-user", "me", "--proxy-password-file", file)).exitCode).toBe(4);
  });

  test("is not taken from a file that others can read", async () => {
    const file = join(freshDir(), "password");
    writeFileSync(file, "secret\n");
    chmodSync(file, 0o640);
    expect(await refused({}, "--proxy-user", "me", "--proxy-password-file", file)).toEqual({
      exitCode: 2,
      stdout: "",
      stderr: `rvpn: ${file} is open to other users (mode 640)\nhint: chmod 600 ${file}\n`,
    });
  });

  test("cannot be an argument", async () => {
    expect((await refused({}, "--proxy-password", "x")).stderr).toStartWith(
      'rvpn: unknown option "--proxy-password"',
    );
  });

  test.each<[Record<string, string>, string[], string]>([
    [{ RVPN_PROXY_AUTH: "user" }, [], "RVPN_PROXY_AUTH has no colon"],
    [{ RVPN_PROXY_AUTH: ":x" }, [], "RVPN_PROXY_AUTH: the user name has 0 bytes"],
    [{ RVPN_PROXY_AUTH: `u:${"x".repeat(256)}` }, [], "RVPN_PROXY_AUTH: the password has 256 bytes"],
    [{}, ["--proxy-user", "me"], "--proxy-user alone is not enough"],
    [{ RVPN_PROXY_PASSWORD_FILE: "/x" }, [], "RVPN_PROXY_PASSWORD_FILE alone is not enough"],
    [
      {},
      ["--proxy-user", "a:b", "--proxy-password-file", "/dev/null"],
      "--proxy-user: a user name has no colon",
    ],
    [
      {},
      ["--proxy-user", "a", "--proxy-password-file", "/dev/null"],
      "--proxy-password-file: the password has 0 bytes",
    ],
  ])("given wrongly (%#) is refused", async (env, args, message) => {
    const result = await refused(env, ...args);
    expect(result).toMatchObject({ exitCode: 2, stdout: "" });
    expect(result.stderr).toStartWith(`rvpn: ${message}\nhint: `);
  });
});

test("a certificate file must hold one", async () => {
  const env = { RVPN_STATE: freshDir(), RVPN_LINK: LINK };
  const none = await rvpn(["client", "--proxy", "0", "--ca", "/dev/null"], { env });
  expect(none).toMatchObject({ exitCode: 2, stdout: "" });
  expect(none.stderr).toStartWith('rvpn: --ca: "/dev/null" holds no certificate\nhint: ');
  const missing = await rvpn(["client", "--proxy", "0", "--ca", "/nowhere.pem"], { env });
  expect(missing.stderr).toStartWith("rvpn: --ca: ENOENT");
  const damaged = join(freshDir(), "damaged.pem");
  writeFileSync(damaged, "-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n");
  const broken = await rvpn(["client", "--proxy", "0", "--ca", damaged], { env });
  expect(broken).toMatchObject({ exitCode: 2, stdout: "" });
  expect(broken.stderr).toStartWith(`rvpn: --ca: certificate 1 of "${damaged}" is damaged: `);
});

test("a state directory that others may read is refused", async () => {
  const dir = join(freshDir(), "open");
  mkdirSync(dir);
  chmodSync(dir, 0o755);
  const result = await rvpn(["client", "--proxy", "0"], { env: { RVPN_STATE: dir, RVPN_LINK: LINK } });
  expect(result).toMatchObject({ exitCode: 2, stdout: "" });
});
