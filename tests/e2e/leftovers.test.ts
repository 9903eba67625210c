import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Children } from "./support/children.ts";
import { curl, through } from "./support/curl.ts";
import { findMarked, isRunning } from "./support/leftovers.ts";
import { describeWith, programsFor, TEST_MS } from "./support/settings.ts";
import { startWorld } from "./support/world.ts";

describeWith(programsFor("caddy"), "nothing is left behind", () => {
  test(
    "no process, no file outside of the test's directory, no state but what is documented",
    leavesNothing,
    TEST_MS,
  );
  test("a process that nobody ends is found and ended", findsStrays, TEST_MS);
});

async function leavesNothing(): Promise<void> {
  const around = listing();
  const dir = mkdtempSync(join(tmpdir(), "rvpn-e2e-left-"));
  const children = new Children(dir);
  const world = await startWorld({ route: "caddy" }, dir, children);
  const state = world.rvpn.newState("client");
  const link = await world.server.invite("background");
  await world.rvpn.must(["client", "--proxy", "0", "--detach", "--state", state, ...world.trust, link]);
  await curl(world, ...through(world, "socks5h"), world.origin.url("/"));
  await world.rvpn.must(["stop", "--state", state]);
  // The detached client is gone; all that is left is what this test will stop itself.
  const stopped = await children.stopAll();
  expect(stopped).toEqual([]);
  for (const [place, documented] of [
    [world.server.state, ["clients.json", "gate.json", "identity.key", "lock"]],
    [state, ["client.log", "identity.key", "lock", "server.json"]],
  ] as const) {
    const left = readdirSync(place).filter((name) => !(documented as readonly string[]).includes(name));
    expect(left).toEqual([]);
  }
  expect(readdirSync(join(dir, "tmp"))).toEqual([]);
  rmSync(dir, { recursive: true });
  expect(listing()).toEqual(around);
}

/** What other programs could have put there meanwhile is theirs; ours would carry our name. */
function listing(): readonly string[] {
  return readdirSync(tmpdir()).filter((name) => /rvpn-e2e-left|caddy/.test(name));
}

/** The check above must be able to fail. */
async function findsStrays(): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "rvpn-e2e-stray-"));
  const children = new Children(dir);
  const script = "setsid sleep 300 >/dev/null 2>&1 & echo started";
  const ran = await children.run(["bash", "-c", script]);
  expect(ran.stdout).toBe("started\n");
  const [left = ""] = await children.stopAll();
  expect(left).toEndWith("sleep 300");
  expect(findMarked("no such mark", dir)).toEqual([]);
  expect(isRunning(Number(left.split(" ")[0]))).toBe(false);
  rmSync(dir, { recursive: true });
}
