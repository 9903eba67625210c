import { describe, expect, test } from "bun:test";
import { chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { defaultStateDir, ensureStateDir } from "../../src/runtime/state-dir.ts";
import { modeOf, usageErrorOf, useScratch, withUmask } from "./state-support.ts";

const scratch = useScratch();
const isRoot = process.geteuid?.() === 0;

describe("defaultStateDir", () => {
  test.each([
    [0, {}, "/var/lib/rvpn/server"],
    [0, { XDG_STATE_HOME: "/xdg" }, "/var/lib/rvpn/server"],
    [1000, {}, "/home/u/.local/state/rvpn/server"],
    [1000, { XDG_STATE_HOME: "/xdg" }, "/xdg/rvpn/server"],
    [1000, { XDG_STATE_HOME: "" }, "/home/u/.local/state/rvpn/server"],
    [1000, { XDG_STATE_HOME: "relative" }, "/home/u/.local/state/rvpn/server"],
  ])("of uid %p with %j is %s", (uid, env, expected) => {
    expect(defaultStateDir("server", { uid, home: "/home/u", env })).toBe(expected);
  });

  test("asks for --state where there is no home", () => {
    const error = usageErrorOf(() => defaultStateDir("client", { uid: 1000, home: "", env: {} }));
    expect(error.hint).toContain("--state");
  });
});

describe("ensureStateDir", () => {
  test.each([0o000, 0o022, 0o077, 0o777])(
    "makes the directory and its parents 0700 under umask %o",
    (umask) => {
      const parent = join(scratch(), "a");
      const dir = join(parent, "b/server");
      withUmask(umask, () => ensureStateDir(dir));
      expect([modeOf(dir), modeOf(join(parent, "b")), modeOf(parent)]).toEqual(["700", "700", "700"]);
    },
  );

  test("leaves the mode of directories that were there before alone", () => {
    const parent = scratch();
    chmodSync(parent, 0o755);
    ensureStateDir(join(parent, "server"));
    expect(modeOf(parent)).toBe("755");
  });

  test("takes a directory that is there and private, also by a symbolic link", () => {
    const dir = scratch();
    const link = join(scratch(), "link");
    symlinkSync(dir, link);
    ensureStateDir(dir);
    ensureStateDir(link);
  });

  test.each([0o755, 0o750, 0o701, 0o770, 0o1777])("refuses mode %o and says chmod", (mode) => {
    const dir = scratch();
    chmodSync(dir, mode);
    const error = usageErrorOf(() => ensureStateDir(dir));
    expect(error.message).toContain(dir);
    expect(error.hint).toBe(`chmod 700 ${dir}`);
    expect(error.exitCode).toBe(2);
  });

  test("quotes a path in the hint, so that it can be pasted", () => {
    const dir = join(scratch(), "it's mine");
    mkdirSync(dir);
    chmodSync(dir, 0o755);
    expect(usageErrorOf(() => ensureStateDir(dir)).hint).toBe(`chmod 700 '${dir.replace("'", "'\\''")}'`);
  });

  test("refuses a file in the place of the directory or of a parent", () => {
    const file = join(scratch(), "file");
    writeFileSync(file, "");
    expect(usageErrorOf(() => ensureStateDir(file)).message).toBe(`${file} is not a directory`);
    expect(usageErrorOf(() => ensureStateDir(join(file, "x/y"))).message).toContain("ENOTDIR");
  });

  if (isRoot)
    test("refuses another user's directory, also to root", () => {
      const dir = scratch();
      chownSync(dir, 65534, 65534);
      const error = usageErrorOf(() => ensureStateDir(dir));
      expect(error.message).toBe(`${dir} belongs to another user (uid 65534)`);
      expect(error.hint).toContain("sudo -u '#65534'");
    });

  if (!isRoot)
    test("refuses what this user cannot make or does not own", () => {
      expect(usageErrorOf(() => ensureStateDir("/usr")).message).toBe("/usr belongs to another user (uid 0)");
      expect(usageErrorOf(() => ensureStateDir("/usr/rvpn-state")).hint).toContain("--state");
    });
});
