import { beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { version } from "../../package.json";
import { inviteLink, secretOf } from "./support/links.ts";
import { environment, useScratch } from "./support/transcript.ts";

const BUILD = resolve(import.meta.dir, "../../scripts/build.ts");
const freshDir = useScratch();
const dir = freshDir();
const executable = join(dir, "rvpn");

beforeAll(async () => {
  const build = Bun.spawn([process.execPath, BUILD, "--out", executable], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(build.stdout).text(),
    new Response(build.stderr).text(),
    build.exited,
  ]);
  expect({ exitCode, stdout, stderr }).toEqual({ exitCode: 0, stdout: "", stderr: expect.any(String) });
}, 60_000);

function run(args: readonly string[], options: { cwd?: string; env?: Record<string, string> } = {}) {
  const { exitCode, stdout, stderr } = Bun.spawnSync([executable, ...args], {
    env: environment(options),
    cwd: options.cwd ?? dir,
  });
  return { exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
}

describe("the executable", () => {
  test("knows its version and its commands", () => {
    expect(run(["--version"])).toEqual({ exitCode: 0, stdout: `${version}\n`, stderr: "" });
    expect(run(["bogus"])).toMatchObject({ exitCode: 2, stdout: "" });
    expect(run(["keygen"]).stdout).toMatch(/^rvpn-sk-/);
  });

  test("runs nothing of the directory that it is started in, and takes no settings from there", () => {
    const trap = freshDir();
    writeFileSync(join(trap, "bunfig.toml"), 'preload = ["./trap.ts"]\n');
    writeFileSync(join(trap, "trap.ts"), 'console.log("trapped");\n');
    writeFileSync(join(trap, ".env"), "RVPN_PROXY=trapped\n");
    writeFileSync(join(trap, "package.json"), '{ "name": "trap" }\n');
    writeFileSync(join(trap, "tsconfig.json"), "trapped");
    expect(run(["--version"], { cwd: trap })).toEqual({ exitCode: 0, stdout: `${version}\n`, stderr: "" });
    expect(run(["client"], { cwd: trap }).stderr).toStartWith("rvpn: --proxy is missing\n");
  });

  test("sets up Bun for moving bytes, but for what the operator has set", async () => {
    const settings = { MIMALLOC_PURGE_DELAY: "7", RVPN_STATE: freshDir() };
    const child = Bun.spawn([executable, "client", "--proxy", "0"], {
      env: environment({ env: { ...settings, RVPN_LINK: inviteLink("ws://127.0.0.1:9/") } }),
      stdio: ["ignore", "ignore", "ignore"],
    });
    while (run(["status"], { env: settings }).exitCode !== 0);
    const variables = (await Bun.file(`/proc/${child.pid}/environ`).text()).split("\0");
    child.kill();
    expect(variables).toContain("MIMALLOC_PURGE_DELAY=7");
    expect(variables).toContain("BUN_JSC_useFTLJIT=0");
    expect(await child.exited).toBe(0);
  });

  test("hides a link that was given as an argument by executing itself again", async () => {
    const link = inviteLink("ws://127.0.0.1:9/");
    const env = { RVPN_STATE: freshDir() };
    const child = Bun.spawn([executable, "client", "--proxy", "0", link], {
      env: environment({ env }),
      stdio: ["ignore", "ignore", "ignore"],
    });
    while (run(["status"], { env }).exitCode !== 0);
    const commandLine = await Bun.file(`/proc/${child.pid}/cmdline`).text();
    child.kill();
    expect(commandLine).toBe("rvpn\0client\0--proxy\x000\0");
    expect(commandLine).not.toContain(secretOf(link));
    expect(await child.exited).toBe(0);
  });

  test("detaches: the child gives up for itself, and is gone", () => {
    const env = { RVPN_STATE: freshDir(), RVPN_LINK: inviteLink("ws://127.0.0.1:9/") };
    const result = run(["client", "--proxy", "0", "--detach", "--timeout", "300ms"], { env });
    expect(result).toMatchObject({ exitCode: 3, stdout: "" });
    expect(result.stderr).toStartWith("rvpn: the server was not reached within 0.3 s");
    expect(run(["status"], { env }).exitCode).toBe(3);
  });
});
