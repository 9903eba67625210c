import { describe, expect, test } from "bun:test";
import { inviteLink } from "./support/links.ts";
import { rvpn, type Surroundings, useScratch } from "./support/transcript.ts";

const freshDir = useScratch();

function withFake(fake: NonNullable<Surroundings["fake"]>): Surroundings {
  return { fake, env: { RVPN_STATE: freshDir(), RVPN_LINK: inviteLink("wss://vpn.example.org/") } };
}

describe("without a client", () => {
  test("status is 3, on stderr for people and on stdout for scripts", async () => {
    const dir = freshDir();
    expect(await rvpn(["status", "--state", dir])).toEqual({
      exitCode: 3,
      stdout: "",
      stderr: `rvpn: no client is running in ${dir}\nhint: start one with: rvpn client --proxy 1080\n`,
    });
    expect(await rvpn(["status", "--json", "--state", dir])).toEqual({
      exitCode: 3,
      stdout: '{"running":false}\n',
      stderr: "",
    });
  });

  test("status of a directory that is not there makes none", async () => {
    const dir = `${freshDir()}/none`;
    expect((await rvpn(["status", "--state", dir], { env: { RVPN_WAIT: "1h" } })).exitCode).toBe(3);
    expect(await Bun.file(dir).exists()).toBe(false);
  });

  test("status --wait waits as long as it was told", async () => {
    const started = performance.now();
    expect((await rvpn(["status", "--wait", "400ms", "--state", freshDir()])).exitCode).toBe(3);
    expect(performance.now() - started).toBeGreaterThan(400);
  });

  test("stop has nothing to do, which is no failure", async () => {
    const dir = freshDir();
    expect(await rvpn(["stop", "--state", dir])).toEqual({
      exitCode: 0,
      stdout: "",
      stderr: `no client was running in ${dir}\n`,
    });
  });
});

describe("with a client", () => {
  test("status tells people and scripts the same", async () => {
    const surroundings = withFake("up");
    const { stdout: proxy } = await rvpn(["client", "--proxy", "0", "--detach"], surroundings);
    const { stdout: json } = await rvpn(["status", "--json"], surroundings);
    const { pid } = JSON.parse(json);
    expect(JSON.parse(json)).toEqual({
      running: true,
      pid: expect.any(Number),
      proxy: proxy.trim(),
      server: "wss://vpn.example.org/",
      link: "up",
      since: "2026-01-02T03:04:05.000Z",
      reconnects: 0,
      streams: 0,
      bytesUp: 12,
      bytesDown: 34,
      proxyPassword: false,
      links: [{ slot: 0, state: "up", streams: 0, reconnects: 0 }],
    });
    expect(await rvpn(["status"], surroundings)).toEqual({
      exitCode: 0,
      stdout:
        `running     pid ${pid}\n` +
        `proxy       ${proxy}` +
        "server      wss://vpn.example.org/\n" +
        "link        up since 2026-01-02T03:04:05.000Z\n" +
        "reconnects  0\n" +
        "streams     0\n" +
        "bytes       12 up, 34 down\n",
      stderr: "",
    });
    await rvpn(["stop"], surroundings);
  });

  test("status tells each of several links, and that the proxy wants a password", async () => {
    const { env = {}, ...rest } = withFake("up");
    const more = { RVPN_LINKS: "3", RVPN_PROXY_AUTH: "user:password" };
    const surroundings = { ...rest, env: { ...env, ...more } };
    await rvpn(["client", "--proxy", "0", "--detach"], surroundings);
    const { stdout } = await rvpn(["status"], surroundings);
    expect(stdout).toMatch(/^proxy {7}127\.0\.0\.1:\d+, with a password$/m);
    expect(stdout).toContain(
      "link        up since 2026-01-02T03:04:05.000Z\n" +
        "link 0      up for 1s, round trip 3 ms, 0 streams\n" +
        "link 1      up for 1h 1m, round trip 3 ms, 1 stream\n" +
        "link 2      down, 2 streams, the connection was refused\n",
    );
    const { stdout: json } = await rvpn(["status", "--json"], surroundings);
    expect(JSON.parse(json)).toMatchObject({ proxyPassword: true, links: [{ slot: 0 }, { slot: 1 }, {}] });
    await rvpn(["stop"], surroundings);
  });

  test("status --wait is 0 once the link is up", async () => {
    const surroundings = withFake("up");
    const waiting = rvpn(["status", "--wait", "5s", "--json"], surroundings);
    const client = rvpn(["client", "--proxy", "0"], surroundings);
    const { exitCode, stdout } = await waiting;
    expect({ exitCode, link: JSON.parse(stdout).link }).toEqual({ exitCode: 0, link: "up" });
    await rvpn(["stop"], surroundings);
    await client;
  });

  test("status of a client without a link is 0, and 3 with --wait", async () => {
    const surroundings = withFake("unreachable");
    const client = rvpn(["client", "--proxy", "0"], surroundings);
    while ((await rvpn(["status"], surroundings)).exitCode !== 0);
    const { exitCode, stdout } = await rvpn(["status", "--wait", "200ms"], surroundings);
    expect({ exitCode, stdout }).toEqual({
      exitCode: 3,
      stdout: expect.stringContaining("link        connecting"),
    });
    await rvpn(["stop"], surroundings);
    expect((await client).exitCode).toBe(0);
  });
});
