import { describe, expect, test } from "bun:test";
import { version } from "../../package.json";
import { COMMANDS } from "../../src/cli/commands.ts";
import { inviteLink, secretOf } from "./support/links.ts";
import { rvpn } from "./support/transcript.ts";

describe("questions are answered on stdout", () => {
  test("--version", async () => {
    expect(await rvpn(["--version"])).toEqual({ exitCode: 0, stdout: `${version}\n`, stderr: "" });
  });

  test.each(["--help", "-h"])("%s lists every command", async (flag) => {
    const { exitCode, stdout, stderr } = await rvpn([flag]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    for (const name of Object.keys(COMMANDS)) expect(stdout).toContain(`\n  ${name} `);
  });

  test.each(Object.keys(COMMANDS))("%s --help, whatever else is wrong", async (name) => {
    const { exitCode, stdout, stderr } = await rvpn([name, "--bogus", "--help"]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(stdout).toStartWith(`rvpn ${name}: `);
    expect(stdout).toContain(`\nusage: rvpn ${name} `);
    expect(stdout).toContain("--log-level LEVEL");
    expect(stdout).not.toContain("\u001b");
  });

  test("the help of a command tells what the parser knows", async () => {
    const { stdout } = await rvpn(["client", "--help"]);
    expect(stdout).toContain("usage: rvpn client --proxy [HOST:]PORT [options] [LINK]");
    expect(stdout).toMatch(/--padding POLICY .*\(default padme;\s+RVPN_PADDING\)/s);
    expect((await rvpn(["run", "--help"])).stdout).toContain("usage: rvpn run [options] [LINK] -- CMD…");
    expect((await rvpn(["server", "--help"])).stdout).toMatch(/--allow .*\(repeatable; RVPN_ALLOW\)/s);
  });
});

describe("mistakes: exit code 2, what was wrong, and what to do", () => {
  test.each<[string, string, string]>([
    ["", "no command given", "rvpn --help lists the commands"],
    ["bench", 'unknown command "bench"', "rvpn --help lists the commands"],
    ["constructor", 'unknown command "constructor"', "rvpn --help lists the commands"],
    ["cleint", 'unknown command "cleint"', "did you mean client? rvpn --help lists the commands"],
    ["--bogus", 'unknown option "--bogus"', "options follow the command; see rvpn --help"],
    [
      "--log-level debug status",
      'unknown option "--log-level"',
      "options follow the command; see rvpn --help",
    ],
    ["--version status", 'unexpected argument "status"', "rvpn --version takes no arguments"],
    ["status --version", 'unknown option "--version"', "--help lists the options"],
    ["invite laptop --code", 'unknown option "--code"', "--help lists the options"],
    ["invite", "NAME is missing", "--help tells more"],
    ["invite a b", 'unexpected argument "b"', "this command takes NAME; --help tells more"],
    ["invite a --uses 0", '--uses: "0" is not a count', "write a whole number from 1 to 10000"],
    ["invite a --uses 1e3", '--uses: "1e3" is not a count', "write a whole number from 1 to 10000"],
    [
      "invite a --expires 24",
      '--expires: "24" is not a duration',
      "write a number and a unit: 250ms, 10s, 5m, 24h, 7d",
    ],
    [
      "invite a --url https://h/",
      "--url: the server's address begins with https:// instead of wss://",
      "write the address that the reverse proxy serves: wss://vpn.example.org/",
    ],
    ["add laptop", "PUBKEY is missing", "--help tells more"],
    ["status --log-level 3", '--log-level: "3" is not known', "choose one of: error, warn, info, debug"],
    ["status --wait", "--wait needs a value", "write --wait=DURATION"],
    ["status --wait 30d", '--wait: "30d" is too long', "give at most 24d"],
    ["client", "--proxy is missing", "write --proxy [HOST:]PORT; --help tells more"],
    ["server --path chat", '--path: "chat" is not a path', "write what follows the host: / or /chat"],
    ["server --path /a?b", '--path: "/a?b" is not a path', "write what follows the host: / or /chat"],
    [
      "server --decoy /nowhere",
      '--decoy: "/nowhere" is not a directory',
      "name the directory of a static web site",
    ],
    ["run true", "no command to run", "write it after two dashes: rvpn run -- curl https://example.org"],
    [
      "run curl https://example.org",
      'unexpected argument "https://example.org"',
      "write the command after two dashes: rvpn run -- curl https://example.org",
    ],
    ["stop now", 'unexpected argument "now"', "this command takes options only; --help lists them"],
  ])("rvpn %s", async (args, message, hint) => {
    expect(await rvpn(args === "" ? [] : args.split(" "))).toEqual({
      exitCode: 2,
      stdout: "",
      stderr: `rvpn: ${message}\nhint: ${hint}\n`,
    });
  });

  test("a variable's mistake names the variable", async () => {
    const { exitCode, stderr } = await rvpn(["client"], { env: { RVPN_PROXY: "socks" } });
    expect(exitCode).toBe(2);
    expect(stderr).toStartWith('rvpn: RVPN_PROXY: "socks" is not [HOST:]PORT\nhint: ');
  });
});

test("a link or a secret key in the wrong place is not repeated", async () => {
  const link = inviteLink("wss://vpn.example.org/");
  for (const args of [["client", "--proxy", link], ["server", "--decoy", link], ["invite", link], [link]]) {
    const { exitCode, stderr } = await rvpn(args, { env: { RVPN_STATE: "/nowhere" } });
    expect({ exitCode, hasSecret: stderr.includes(secretOf(link).slice(0, 20)) }).toEqual({
      exitCode: 2,
      hasSecret: false,
    });
  }
});
