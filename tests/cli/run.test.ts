import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inviteLink } from "./support/links.ts";
import { commandLine, environment, rvpn, type Surroundings, useScratch } from "./support/transcript.ts";

const freshDir = useScratch();
const LINK = inviteLink("wss://vpn.example.org/");
const PRINT_PROXIES = "echo $ALL_PROXY $HTTP_PROXY $HTTPS_PROXY $all_proxy $http_proxy $https_proxy";

function withFake(fake: NonNullable<Surroundings["fake"]>, env: Record<string, string> = {}): Surroundings {
  return { fake, env: { RVPN_STATE: freshDir(), RVPN_LINK: LINK, ...env } };
}

describe("the command", () => {
  test("gets proxy variables of every kind, and NO_PROXY as it was", async () => {
    const surroundings = withFake("up", { NO_PROXY: "localhost,.corp", ALL_PROXY: "http://old" });
    const { exitCode, stdout, stderr } = await rvpn(
      ["run", "--", "sh", "-c", `${PRINT_PROXIES}; echo $NO_PROXY`],
      surroundings,
    );
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    const port = /127\.0\.0\.1:(\d+)/.exec(stdout)?.[1];
    const [socks, http] = [`socks5h://127.0.0.1:${port}`, `http://127.0.0.1:${port}`];
    expect(stdout).toBe(`${[socks, http, http, socks, http, http].join(" ")}\nlocalhost,.corp\n`);
  });

  test("gets the password in the variables, and neither link nor password else", async () => {
    const surroundings = withFake("up", { RVPN_PROXY_AUTH: "us er:p@ss:word" });
    const { stdout } = await rvpn(["run", "--", "sh", "-c", "echo $ALL_PROXY; env"], surroundings);
    expect(stdout).toMatch(/^socks5h:\/\/us%20er:p%40ss%3Aword@127\.0\.0\.1:\d+\n/);
    expect(stdout).not.toContain("RVPN_LINK");
    expect(stdout).not.toContain("RVPN_PROXY_AUTH");
  });

  test("has none of the settings that are only for our own engine", async () => {
    const surroundings = withFake("up", { MIMALLOC_PURGE_DELAY: "1000", BUN_JSC_useFTLJIT: "1" });
    const { stdout } = await rvpn(["run", "--", "env"], surroundings);
    expect(stdout).not.toContain("MIMALLOC");
    expect(stdout).toContain("BUN_JSC_useFTLJIT=1\n");
  });

  test("has our standard input, output and error output", async () => {
    const result = await rvpn(["run", "--", "sh", "-c", "cat; echo oops >&2"], {
      ...withFake("up"),
      stdin: "through",
    });
    expect(result).toEqual({ exitCode: 0, stdout: "through", stderr: "oops\n" });
  });

  test("has its flags for itself", async () => {
    const { stdout } = await rvpn(["run", "--", "echo", "--help", "--state", "--"], withFake("up"));
    expect(stdout).toBe("--help --state --\n");
  });

  test("may be told the link before the dashes", async () => {
    const surroundings: Surroundings = { fake: "up", env: { RVPN_STATE: freshDir() } };
    const { exitCode, stdout } = await rvpn(["run", LINK, "--", "echo", LINK], surroundings);
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: `${LINK}\n` });
  });

  test("may end the tunnel's life and still decides the exit code", async () => {
    const surroundings = withFake("revokedLater");
    expect(await rvpn(["run", "--", "sh", "-c", "sleep 0.3; exit 9"], surroundings)).toEqual({
      exitCode: 9,
      stdout: "",
      stderr: "error the tunnel ended: the server refused: this client's key was revoked\n",
    });
  });
});

describe("the exit code", () => {
  test.each<[string, number]>([
    ["exit 0", 0],
    ["exit 42", 42],
    ["kill -TERM $$", 143],
    ["kill -KILL $$", 137],
  ])("of a command that does %s is %i", async (script, exitCode) => {
    expect(await rvpn(["run", "--", "sh", "-c", script], withFake("up"))).toEqual({
      exitCode,
      stdout: "",
      stderr: "",
    });
  });

  test("is 127 for a command that is not there, 126 for one that cannot be executed", async () => {
    expect(await rvpn(["run", "--", "no-such-command"], withFake("up"))).toEqual({
      exitCode: 127,
      stdout: "",
      stderr: 'rvpn: command not found: "no-such-command"\nhint: check its spelling and PATH\n',
    });
    const file = join(freshDir(), "script");
    writeFileSync(file, "echo");
    chmodSync(file, 0o644);
    expect((await rvpn(["run", "--", file], withFake("up"))).exitCode).toBe(126);
  });

  test.each<[NonNullable<Surroundings["fake"]>, number]>([
    ["unreachable", 3],
    ["refused", 4],
    ["wrongServer", 5],
  ])("tells that the server is %s: the command is not started", async (fake, exitCode) => {
    const { stdout, ...result } = await rvpn(
      ["run", "--timeout=300ms", "--", "echo", "started"],
      withFake(fake),
    );
    expect({ exitCode: result.exitCode, stdout }).toEqual({ exitCode, stdout: "" });
  });
});

describe("signals", () => {
  test.each(["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const)(
    "%s reaches the command, whose answer counts",
    async (signal) => {
      const surroundings = withFake("up");
      const name = signal.slice("SIG".length);
      const script = `trap 'echo got ${name}; exit 5' ${name}; echo ready; for i in $(seq 200); do sleep 0.02; done`;
      const child = Bun.spawn(commandLine(["run", "--", "sh", "-c", script], surroundings), {
        env: environment(surroundings),
        stdio: ["ignore", "pipe", "inherit"],
        // A session of its own: with the tester's terminal, Ctrl-C would be the terminal's to deliver.
        detached: true,
      });
      let output = "";
      for await (const chunk of child.stdout) {
        output += new TextDecoder().decode(chunk);
        if (output === "ready\n") child.kill(signal);
      }
      expect({ output, exitCode: await child.exited }).toEqual({
        output: `ready\ngot ${name}\n`,
        exitCode: 5,
      });
    },
  );
});

describe("several at once in one state directory", () => {
  test("do not share a client that ends with one of them", async () => {
    const surroundings = withFake("up");
    const script = (ms: number) => `sleep ${ms / 1000}; echo $ALL_PROXY`;
    const results = await Promise.all(
      [50, 400, 800].map((ms) => rvpn(["run", "--", "sh", "-c", script(ms)], surroundings)),
    );
    expect(results.map(({ exitCode, stderr }) => ({ exitCode, stderr }))).toEqual(
      Array.from({ length: 3 }, () => ({ exitCode: 0, stderr: "" })),
    );
    expect(new Set(results.map(({ stdout }) => stdout)).size).toBe(3);
  });

  test("leave nothing behind, and clear up after one that was killed", async () => {
    const surroundings = withFake("up");
    const { RVPN_STATE: dir = "" } = surroundings.env ?? {};
    const own = () => readdirSync(dir).filter((name) => name.startsWith("run-"));
    const killed = await rvpn(["run", "--", "sh", "-c", "kill -KILL $PPID"], surroundings);
    expect({ exitCode: killed.exitCode, left: own().length }).toEqual({ exitCode: 137, left: 1 });
    const next = await rvpn(["run", "--", "true"], surroundings);
    expect({ exitCode: next.exitCode, left: own() }).toEqual({ exitCode: 0, left: [] });
  });

  test("leave nothing behind either when they are interrupted before the command runs", async () => {
    const surroundings = withFake("unreachable");
    const { RVPN_STATE: dir = "" } = surroundings.env ?? {};
    const own = () => readdirSync(dir).filter((name) => name.startsWith("run-"));
    const child = Bun.spawn(commandLine(["run", "--", "true"], surroundings), {
      env: environment(surroundings),
      stdio: ["ignore", "ignore", "ignore"],
    });
    // Its control socket is the last thing that a client opens.
    while (!own().some((name) => existsSync(join(dir, name, "control.sock")))) await Bun.sleep(10);
    await Bun.sleep(100);
    child.kill("SIGINT");
    await child.exited;
    expect({ signal: child.signalCode, left: own() }).toEqual({ signal: "SIGINT", left: [] });
  });

  test("are the same client", async () => {
    const surroundings = withFake("up");
    const { RVPN_STATE: dir = "" } = surroundings.env ?? {};
    const { stdout: key } = await rvpn(["keygen", "--state", dir]);
    const script = `${commandLine(["pubkey", "--state"]).join(" ")} "$(echo ${dir}/run-*)"`;
    expect((await rvpn(["run", "--", "sh", "-c", script], surroundings)).stdout).toBe(key);
  });
});

describe("a client that runs in the state directory", () => {
  test("is used, and is still there afterwards", async () => {
    const surroundings = withFake("up");
    const { stdout: proxy } = await rvpn(["client", "--proxy", "0", "--detach"], surroundings);
    const { stdout } = await rvpn(["run", "--", "sh", "-c", "echo $ALL_PROXY"], surroundings);
    expect(stdout).toBe(`socks5h://${proxy}`);
    expect((await rvpn(["status"], surroundings)).exitCode).toBe(0);
    const other = { RVPN_LINK: inviteLink("wss://other.example/", 2) };
    const refused = await rvpn(["run", "--", "true"], { env: { ...surroundings.env, ...other } });
    expect(refused).toMatchObject({ exitCode: 2, stdout: "" });
    expect(refused.stderr).toMatch(
      /is for wss:\/\/vpn.example.org\/, and this link for wss:\/\/other.example\/\n/,
    );
    await rvpn(["stop"], surroundings);
  });

  test("and wants a password is used with it, and not without", async () => {
    const { env = {}, ...rest } = withFake("up");
    const withPassword = { ...rest, env: { ...env, RVPN_PROXY_AUTH: "user:password" } };
    await rvpn(["client", "--proxy", "0", "--detach"], withPassword);
    const command = ["run", "--", "sh", "-c", "echo $ALL_PROXY"];
    expect((await rvpn(command, withPassword)).stdout).toStartWith("socks5h://user:password@127.0.0.1:");
    const without = await rvpn(command, { ...rest, env });
    expect(without).toMatchObject({ exitCode: 2, stdout: "" });
    expect(without.stderr).toContain("wants a user and a password\nhint: ");
    await rvpn(["stop"], withPassword);
  });

  test("without a link is waited for, and then given up", async () => {
    const surroundings = withFake("unreachable");
    const client = rvpn(["client", "--proxy", "0"], surroundings);
    while ((await rvpn(["status"], surroundings)).exitCode !== 0);
    const result = await rvpn(["run", "--timeout", "300ms", "--", "echo", "started"], surroundings);
    expect(result).toMatchObject({ exitCode: 3, stdout: "" });
    expect(result.stderr).toStartWith("rvpn: the server was not reached within 0.3 s");
    await rvpn(["stop"], surroundings);
    await client;
  });
});
