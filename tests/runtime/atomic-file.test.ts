import { describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { readPrivateFile, removeLeftovers, writeFileAtomic } from "../../src/runtime/atomic-file.ts";
import { modeOf, startChild, usageErrorOf, useScratch, withUmask } from "./state-support.ts";

// A process starts in 0.1 s, and in seconds on a busy machine.
setDefaultTimeout(60_000);

const scratch = useScratch();
const isRoot = process.geteuid?.() === 0;

describe("writeFileAtomic", () => {
  test.each([0o000, 0o022, 0o077, 0o777])("writes mode 0600 under umask %o", (umask) => {
    const path = join(scratch(), "file");
    withUmask(umask, () => writeFileAtomic(path, "text"));
    expect(modeOf(path)).toBe("600");
    expect(readPrivateFile(path)).toBe("text");
  });

  test("replaces a file, whatever its mode was, and leaves nothing beside it", () => {
    const dir = scratch();
    const path = join(dir, "file");
    writeFileSync(path, "a longer text than the new one");
    chmodSync(path, 0o644);
    writeFileAtomic(path, "new");
    expect(modeOf(path)).toBe("600");
    expect(readFileSync(path, "utf8")).toBe("new");
    expect(readdirSync(dir)).toEqual(["file"]);
  });

  test("does not write through a symbolic link", () => {
    const dir = scratch();
    const target = join(dir, "target");
    writeFileSync(target, "other");
    symlinkSync(target, join(dir, "file"));
    writeFileAtomic(join(dir, "file"), "new");
    expect(readFileSync(target, "utf8")).toBe("other");
  });

  test("says which file the disk did not take, and leaves the old one and nothing beside it", () => {
    const dir = scratch();
    // A directory cannot be replaced by a file.
    mkdirSync(join(dir, "file"));
    const error = usageErrorOf(() => writeFileAtomic(join(dir, "file"), "new"));
    expect(error.message).toStartWith(`cannot write ${join(dir, "file")}: `);
    expect(error.exitCode).toBe(1);
    expect(readdirSync(dir)).toEqual(["file"]);
  });

  if (!isRoot)
    test("says so too when the directory is read-only", () => {
      const dir = scratch();
      writeFileAtomic(join(dir, "file"), "old");
      chmodSync(dir, 0o500);
      expect(usageErrorOf(() => writeFileAtomic(join(dir, "file"), "new")).message).toContain("EACCES");
      chmodSync(dir, 0o700);
      expect(readPrivateFile(join(dir, "file"))).toBe("old");
    });

  test("leaves a whole file when it is killed at any moment", async () => {
    const dir = scratch();
    const path = join(dir, "file");
    let last = -1;
    let cut = 0;
    for (let round = 0; round < 15; round++) {
      const child = startChild("write", path);
      await child.line();
      await Bun.sleep(1 + ((round * 37) % 23));
      child.kill("SIGKILL");
      await child.exited;
      if (!existsSync(path)) continue;
      // Throws if it is cut short.
      const { version, filler } = JSON.parse(readPrivateFile(path) ?? "");
      expect(filler).toHaveLength((version * 7919) % 100_000);
      last = Math.max(last, version);
      cut += readdirSync(dir).length - 1;
      removeLeftovers(dir);
      expect(readdirSync(dir)).toEqual(["file"]);
    }
    // The test must have met writers in the middle of a write, or it shows nothing.
    expect(last).toBeGreaterThan(0);
    expect(cut).toBeGreaterThan(0);
  });
});

describe("readPrivateFile", () => {
  test("of a file that is not there is undefined", () => {
    expect(readPrivateFile(join(scratch(), "none"))).toBeUndefined();
    expect(readPrivateFile(join(scratch(), "no/directory"))).toBeUndefined();
  });

  test.each([0o644, 0o640, 0o604, 0o660, 0o610, 0o602])("refuses mode %o and says chmod 600", (mode) => {
    const path = join(scratch(), "identity.key");
    writeFileSync(path, "secret");
    chmodSync(path, mode);
    const error = usageErrorOf(() => readPrivateFile(path));
    expect(error.message).toContain(path);
    expect(error.hint).toBe(`chmod 600 ${path}`);
    expect(error.exitCode).toBe(2);
  });

  test("takes a file that even the owner may only read", () => {
    const path = join(scratch(), "file");
    writeFileSync(path, "text");
    chmodSync(path, 0o400);
    expect(readPrivateFile(path)).toBe("text");
  });

  if (!isRoot)
    test("says so when the owner may not read it", () => {
      const path = join(scratch(), "file");
      writeFileSync(path, "text");
      chmodSync(path, 0);
      expect(usageErrorOf(() => readPrivateFile(path)).message).toContain("EACCES");
    });

  test("refuses what is no file of text, without hanging or filling the memory", () => {
    const dir = scratch();
    const fifo = join(dir, "fifo");
    expect(Bun.spawnSync(["mkfifo", "-m", "600", fifo]).exitCode).toBe(0);
    expect(usageErrorOf(() => readPrivateFile(fifo)).message).toContain("not a regular file");
    expect(usageErrorOf(() => readPrivateFile(dir)).message).toContain("not a regular file");
    const binary = join(dir, "binary");
    writeFileSync(binary, Uint8Array.of(0xff, 0xfe), { mode: 0o600 });
    expect(usageErrorOf(() => readPrivateFile(binary)).message).toContain("not UTF-8");
    truncateSync(binary, 5e9);
    expect(usageErrorOf(() => readPrivateFile(binary)).message).toContain("5000000000 bytes long");
  });
});

test("removeLeftovers removes nothing that we did not make", () => {
  const dir = scratch();
  for (const name of ["clients.json", "notes.tmp", "client.log"]) writeFileSync(join(dir, name), "");
  writeFileSync(join(dir, `clients.json.${crypto.randomUUID()}.tmp`), "");
  removeLeftovers(dir);
  expect(readdirSync(dir).sort()).toEqual(["client.log", "clients.json", "notes.tmp"]);
  rmSync(dir, { recursive: true });
});
