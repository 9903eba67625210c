import { describe, expect, setDefaultTimeout, spyOn, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { callControl, serveControl } from "../../src/runtime/control.ts";
import { UsageError } from "../../src/runtime/errors.ts";
import { lockStateDir } from "../../src/runtime/lock.ts";
import { useControl } from "./control-support.ts";
import { rawCall } from "./raw-call.ts";
import { modeOf, startChild, usageErrorFrom, useScratch, withUmask } from "./state-support.ts";

// A process starts in 0.1 s, and in seconds on a busy machine.
setDefaultTimeout(60_000);

const scratch = useScratch();
const serve = useControl(scratch);

describe("a request", () => {
  test("is answered with what the handler returns, now or later", async () => {
    const { dir } = await serve(async ({ waitMs, ...heard }) => {
      await Bun.sleep(Number(waitMs));
      return { heard };
    });
    const calls = [20, 0, 10].map((waitMs) => callControl(dir, { op: "echo", waitMs, text: "a\nb\u2028ü" }));
    expect(await Promise.all(calls)).toEqual(
      [20, 0, 10].map(() => ({ heard: { op: "echo", text: "a\nb\u2028ü" } })),
    );
  });

  test.each([null, 0, "", false, {}])("may have %p for a result", async (result) => {
    const { dir } = await serve(() => result);
    expect(await callControl(dir, { op: "x" })).toEqual(result);
  });

  test("meets the handler's UsageError as a UsageError, hint and exit code included", async () => {
    const { dir } = await serve(() => {
      throw new UsageError("no such name", "look again", { exitCode: 6 });
    });
    const error = await usageErrorFrom(callControl(dir, { op: "x" }));
    expect({ ...error, message: error.message }).toEqual({
      name: "UsageError",
      message: "no such name",
      hint: "look again",
      exitCode: 6,
    });
  });

  test("meets any other error as an error that is nobody's usage", async () => {
    const { dir } = await serve(() => Promise.reject(new TypeError("broken")));
    const error: unknown = await callControl(dir, { op: "x" }).catch((reason: unknown) => reason);
    expect(error).not.toBeInstanceOf(UsageError);
    expect(error).toHaveProperty("message", "broken");
  });

  test("to a directory where nobody runs is undefined", async () => {
    const dir = scratch();
    expect(await callControl(dir, { op: "x" })).toBeUndefined();
    expect(await callControl(join(dir, "none"), { op: "x" })).toBeUndefined();
    const { close } = await serve(undefined, dir);
    close();
    expect(await callControl(dir, { op: "x" })).toBeUndefined();
  });

  test("to a process that was killed is undefined", async () => {
    const dir = scratch();
    const child = startChild("serve", dir);
    expect(await child.line()).toBe(join(dir, "control.sock"));
    expect(await callControl(dir, { op: "x" })).toEqual({ op: "x" });
    child.kill("SIGKILL");
    await child.exited;
    expect(existsSync(join(dir, "control.sock"))).toBe(true);
    expect(await callControl(dir, { op: "x" })).toBeUndefined();
  });

  test("to a process that is stopped ends at the deadline", async () => {
    const dir = scratch();
    const child = startChild("serve", dir);
    await child.line();
    child.kill("SIGSTOP");
    const error = await usageErrorFrom(callControl(dir, { op: "x" }, 100));
    expect(error.message).toBe(`the process that runs in ${dir} did not answer within 0.1 s`);
    expect(error.exitCode).toBe(1);
    child.kill("SIGKILL");
    await child.exited;
  });

  test("whose answerer ends before the reply says so", async () => {
    const dir = scratch();
    const child = startChild("exit", dir);
    await child.line();
    const error = await usageErrorFrom(callControl(dir, { op: "x" }));
    expect(error.message).toContain("ended before it replied");
    await child.exited;
  });

  test("may have 64 KiB, and its reply 4 MiB; more is refused with a reason", async () => {
    const { dir } = await serve(({ length }) => "x".repeat(Number(length)));
    expect(await callControl(dir, { op: "x", length: 0, filler: "x".repeat(65_000) })).toBe("");
    const tooLong = callControl(dir, { op: "x", length: 0, filler: "x".repeat(66_000) });
    expect((await usageErrorFrom(tooLong)).message).toContain("bytes long");
    expect(await callControl(dir, { op: "x", length: 4_194_000 })).toHaveLength(4_194_000);
    expect(callControl(dir, { op: "x", length: 4_194_304 })).rejects.toThrow(
      "the reply would be 4194328 bytes",
    );
  });
});

describe("the socket", () => {
  test.each([0o000, 0o022, 0o777])("is for its owner alone under umask %o", async (umask) => {
    const dir = scratch();
    // Listening happens before the first await for a directory without an old socket, so the umask counts.
    const server = await withUmask(umask, () => serveControl(dir, () => null));
    expect(modeOf(server.path)).toBe("600");
    expect(await callControl(dir, { op: "x" })).toBeNull();
    server.close();
  });

  test("of a killed process is replaced", async () => {
    const dir = scratch();
    const child = startChild("serve", dir);
    await child.line();
    child.kill("SIGKILL");
    await child.exited;
    await serve(() => "new", dir);
    expect(await callControl(dir, { op: "x" })).toBe("new");
  });

  test("is replaced also if it is a file of another kind", async () => {
    const dir = scratch();
    writeFileSync(join(dir, "control.sock"), "");
    await serve(() => "new", dir);
    expect(await callControl(dir, { op: "x" })).toBe("new");
  });

  test("of a living process is not: already running", async () => {
    const dir = scratch();
    const child = startChild("serve", dir);
    await child.line();
    const error = await usageErrorFrom(serveControl(dir, () => null));
    expect(error.message).toBe(`already running, pid ${child.pid}, in ${dir}`);
    expect(error.exitCode).toBe(2);
    // The lock may have been removed by hand, as it looks like rubbish.
    rmSync(join(dir, "lock"));
    const second = await usageErrorFrom(serveControl(dir, () => null));
    expect(second.message).toStartWith("already running: ");
    expect(await callControl(dir, { op: "x" })).toEqual({ op: "x" });
    child.kill("SIGKILL");
    await child.exited;
  });

  test("needs no lock of its own where its process has the directory", async () => {
    const dir = scratch();
    const lock = lockStateDir(dir);
    const { close } = await serve(() => "here", dir);
    expect(await callControl(dir, { op: "x" })).toBe("here");
    expect((await usageErrorFrom(serveControl(dir, () => null))).message).toStartWith("already running: ");
    close();
    expect(readdirSync(dir)).toEqual(["lock"]);
    lock.release();
  });

  test("gives the directory back when it is closed, or could not be opened", async () => {
    const { dir, close } = await serve();
    close();
    lockStateDir(dir).release();
    mkdirSync(join(dir, "control.sock"));
    expect(serveControl(dir, () => null)).rejects.toThrow();
    await Bun.sleep(10);
    lockStateDir(dir).release();
  });

  test("never wakes a process that is idle and keeps no reserve, as a client is", async () => {
    const timers = [spyOn(globalThis, "setInterval"), spyOn(globalThis, "setTimeout")];
    try {
      const { look } = await serve(() => null);
      look();
      expect(timers.map(({ mock }) => mock.calls)).toEqual([[], []]);
    } finally {
      for (const timer of timers) timer.mockRestore();
    }
  });

  test("answers what it was handling when it was closed, and nothing after", async () => {
    const started = Promise.withResolvers<void>();
    const { dir, path, close } = await serve(async () => {
      started.resolve();
      await Bun.sleep(50);
      return "late";
    });
    const idle = rawCall(path, "");
    const call = callControl(dir, { op: "x" });
    await started.promise;
    close();
    expect(await callControl(dir, { op: "x" })).toBeUndefined();
    expect(await call).toBe("late");
    expect(await idle).toBe("");
  });
});

describe("a path too long for a socket", () => {
  function longDir(): string {
    const dir = join(scratch(), "long".repeat(30));
    mkdirSync(dir, { mode: 0o700 });
    return dir;
  }

  async function withRuntimeDir<T>(dir: string, action: () => Promise<T>): Promise<T> {
    const { XDG_RUNTIME_DIR: before } = process.env;
    Object.assign(process.env, { XDG_RUNTIME_DIR: dir });
    try {
      return await action();
    } finally {
      if (before === undefined) Reflect.deleteProperty(process.env, "XDG_RUNTIME_DIR");
      else Object.assign(process.env, { XDG_RUNTIME_DIR: before });
    }
  }

  test("leads to the runtime directory, by a link that every environment can follow", async () => {
    const dir = longDir();
    const runtimeDir = scratch();
    const { path, close } = await withRuntimeDir(runtimeDir, () => serve(() => "far", dir));
    expect(path).toStartWith(join(runtimeDir, "rvpn/"));
    expect(modeOf(join(runtimeDir, "rvpn"))).toBe("700");
    expect(modeOf(path)).toBe("600");
    expect(readlinkSync(join(dir, "control.sock"))).toBe(path);
    expect(await callControl(dir, { op: "x" })).toBe("far");
    const second = withRuntimeDir(scratch(), () => serveControl(dir, () => null));
    expect((await usageErrorFrom(second)).message).toContain("already running");
    close();
    expect(readdirSync(dir)).toEqual(["lock"]);
    expect(readdirSync(join(runtimeDir, "rvpn"))).toEqual([]);
  });

  test("is not followed into a directory that others may write", async () => {
    const dir = longDir();
    const runtimeDir = scratch();
    await withRuntimeDir(runtimeDir, () => serve(() => "far", dir));
    chmodSync(join(runtimeDir, "rvpn"), 0o777);
    expect((await usageErrorFrom(callControl(dir, { op: "x" }))).message).toContain(
      "is not this user's alone",
    );
    rmSync(join(runtimeDir, "rvpn"), { recursive: true });
    expect(await callControl(dir, { op: "x" })).toBeUndefined();
    expect(lstatSync(join(dir, "control.sock")).isSymbolicLink()).toBe(true);
  });
});
