import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isLockedHere, lockStateDir, StateDirBusy } from "../../src/runtime/lock.ts";
import { type Child, modeOf, startChild, usageErrorOf, useScratch } from "./state-support.ts";

// A process starts in 0.1 s, and in seconds on a busy machine.
setDefaultTimeout(60_000);

const scratch = useScratch();

describe("lockStateDir", () => {
  test("says who has the directory, at once", async () => {
    const dir = scratch();
    const holder = startChild("lock", dir);
    expect(await holder.line()).toBe("locked");
    const start = performance.now();
    const error = usageErrorOf(() => lockStateDir(dir));
    expect(performance.now() - start).toBeLessThan(200);
    expect(error).toBeInstanceOf(StateDirBusy);
    expect(error.message).toBe(`already running, pid ${holder.pid}, in ${dir}`);
    expect(error.exitCode).toBe(2);
    expect(isLockedHere(dir)).toBe(false);
    holder.kill("SIGKILL");
    await holder.exited;
  });

  test("takes over from a process that was killed", async () => {
    const dir = scratch();
    const holder = startChild("lock", dir);
    await holder.line();
    holder.kill("SIGKILL");
    await holder.exited;
    const lock = lockStateDir(dir);
    expect(JSON.parse(readFileSync(join(dir, "lock"), "utf8"))).toMatchObject({
      pid: process.pid,
      use: "run",
    });
    lock.release();
  });

  test("excludes this process itself, and gives the directory back", () => {
    const dir = scratch();
    const lock = lockStateDir(dir);
    expect(modeOf(join(dir, "lock"))).toBe("600");
    expect(isLockedHere(dir)).toBe(true);
    expect(usageErrorOf(() => lockStateDir(dir)).message).toContain(`pid ${process.pid}`);
    lock.release();
    expect(isLockedHere(dir)).toBe(false);
    expect(readFileSync(join(dir, "lock"), "utf8")).toBe("");
    const again = lockStateDir(dir);
    // A second release must not give away what another holder has by now.
    lock.release();
    expect(isLockedHere(dir)).toBe(true);
    expect(usageErrorOf(() => lockStateDir(dir)).message).toContain("already running");
    again.release();
  });

  test.each([
    ["nothing", ""],
    ["garbage", '{"pid":'],
    ["a pid that does not exist", '{"pid":4194305,"start":"1","use":"run"}'],
    ["a pid that another process has now", `{"pid":${process.ppid},"start":"1","use":"run"}`],
  ])("is not kept out by a lock file with %s", (_, text) => {
    const dir = scratch();
    writeFileSync(join(dir, "lock"), text);
    lockStateDir(dir).release();
  });

  test.if(process.platform === "linux")(
    "does not blame a process that was given the pid of a dead one",
    async () => {
      const dir = scratch();
      const holder = startChild("lock", dir, JSON.stringify({ pid: process.pid, start: "1", use: "run" }));
      await holder.line();
      const error = usageErrorOf(() => lockStateDir(dir));
      expect(error.message).toBe(`the state directory ${dir} is locked by another process`);
      holder.kill("SIGKILL");
      await holder.exited;
    },
  );

  test("waits for an edit to end", async () => {
    const dir = scratch();
    const editor = startChild("hold", dir, "edit:300");
    await editor.line();
    lockStateDir(dir).release();
    await editor.exited;
  });

  test("names an edit that does not end", async () => {
    const dir = scratch();
    const editor = startChild("hold", dir, "edit:60000");
    await editor.line();
    expect(usageErrorOf(() => lockStateDir(dir)).message).toStartWith("already being edited, pid ");
    editor.kill("SIGKILL");
    await editor.exited;
  });

  test("never lets two processes in", async () => {
    const dir = scratch();
    const children = Array.from({ length: 4 }, () => startChild("contend", dir, "go"));
    await startTogether(children, join(dir, "go"));
    for (const child of children) expect(await child.line()).toMatch(/^entered [1-9]/);
  });

  test("lets exactly one of many simultaneous starts in, also over a dead one's lock", async () => {
    const dir = scratch();
    const identities = new Set<string | undefined>();
    for (let round = 0; round < 5; round++) {
      const children = Array.from({ length: 4 }, () => startChild("open", dir, `go-${round}`));
      await startTogether(children, join(dir, `go-${round}`));
      const lines = await Promise.all(children.map((child) => child.line()));
      const winner = lines.findIndex((line) => line?.startsWith("opened "));
      identities.add(lines[winner]);
      const expected = `already running, pid ${children[winner]?.pid}, in ${dir}`;
      expect(lines.filter((_, index) => index !== winner)).toEqual(Array(3).fill(expected));
      for (const child of children) child.kill("SIGKILL");
      await Promise.all(children.map((child) => child.exited));
    }
    expect(identities.size).toBe(1);
  });

  /** The children wait for the file `go`. */
  async function startTogether(children: readonly Child[], go: string): Promise<void> {
    for (const child of children) expect(await child.line()).toBe("ready");
    writeFileSync(go, "");
  }
});
