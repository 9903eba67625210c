import { afterEach, beforeEach, describe, expect, mock, test } from "bun:test";
import * as fs from "node:fs";
import { basename, join } from "node:path";
import { followRotations, formatSecretKey } from "../../src/proto/index.ts";
import { readPrivateFile, writeFileAtomic } from "../../src/runtime/atomic-file.ts";
import { ServerStore } from "../../src/server/store.ts";
import { seededRandom } from "../proto/support/random.ts";
import { usageErrorOf, useScratch } from "./state-support.ts";

// What a loss of power leaves depends on the order of the calls alone. Killing a process cannot show it: what a process
// wrote is in the kernel by then, whether or not it is on the disk.

const scratch = useScratch();
const system = { ...fs };

let calls: string[] = [];
/** What a descriptor is of: a file's own name, without the random part of a temporary one's, or `directory`. */
let opened = new Map<number, string>();
/** The call that fails, as it stands in `calls`. */
let broken: string | undefined;

function nameOf(path: fs.PathLike): string {
  return basename(String(path)).replace(/\.[0-9a-f-]{36}\.tmp$/, ".tmp");
}

function call(name: string): void {
  calls.push(name);
  if (name === broken) throw Object.assign(new Error("EIO: i/o error"), { code: "EIO" });
}

beforeEach(() => {
  calls = [];
  opened = new Map();
  broken = undefined;
  mock.module("node:fs", () => ({
    ...system,
    openSync(path: fs.PathLike, flags: fs.OpenMode, mode?: fs.Mode) {
      const fd = system.openSync(path, flags, mode);
      opened.set(fd, system.fstatSync(fd).isDirectory() ? "directory" : nameOf(path));
      return fd;
    },
    writeFileSync(file: fs.PathOrFileDescriptor, data: string) {
      call(`write ${typeof file === "number" ? opened.get(file) : nameOf(String(file))}`);
      system.writeFileSync(file, data);
    },
    fsyncSync(fd: number) {
      call(`sync ${opened.get(fd)}`);
      system.fsyncSync(fd);
    },
    renameSync(from: fs.PathLike, to: fs.PathLike) {
      call(`rename ${nameOf(from)} to ${nameOf(to)}`);
      system.renameSync(from, to);
    },
  }));
});

afterEach(() => {
  // Other test files share this process.
  mock.module("node:fs", () => system);
});

/** One file, durably: its bytes are on the disk before its name is, and its name before the caller goes on. */
function written(name: string): string[] {
  return [`write ${name}.tmp`, `sync ${name}.tmp`, `rename ${name}.tmp to ${name}`, "sync directory"];
}

describe("writeFileAtomic", () => {
  test("syncs the file before it takes its name, and the directory after", () => {
    writeFileAtomic(join(scratch(), "file"), "text");
    expect(calls).toEqual(written("file"));
  });

  test.each(["write file.tmp", "sync file.tmp", "rename file.tmp to file"])(
    "leaves the old file, and nothing beside it, when this fails: %s",
    (step) => {
      const dir = scratch();
      const path = join(dir, "file");
      writeFileAtomic(path, "old");
      calls = [];
      broken = step;
      expect(usageErrorOf(() => writeFileAtomic(path, "new")).message).toBe(
        `cannot write ${path}: EIO: i/o error`,
      );
      expect(calls.at(-1)).toBe(step);
      expect(readPrivateFile(path)).toBe("old");
      expect(fs.readdirSync(dir)).toEqual(["file"]);
    },
  );
});

describe("a rotation of the server's identity", () => {
  const random = seededRandom("durability");
  const stores: ServerStore[] = [];
  afterEach(() => {
    for (const store of stores.splice(0)) store.close();
  });

  function open(dir: string): ServerStore {
    const store = ServerStore.open({ dir, now: () => 0, random });
    stores.push(store);
    calls = [];
    return store;
  }

  test("has the statement with the new secret key on the disk before it touches the old one", () => {
    open(scratch()).keys.rotate();
    expect(calls).toEqual([
      ...written("rotations.json"),
      ...written("identity.key"),
      ...written("rotations.json"),
    ]);
  });

  test.each(["write", "sync", "rename"])(
    "has not happened when the %s of the statement fails: the next start has the old identity",
    (step) => {
      const dir = scratch();
      const store = open(dir);
      const before = store.identity;
      broken = written("rotations.json").find((each) => each.startsWith(step));
      usageErrorOf(() => store.keys.rotate());
      broken = undefined;
      expect(store.identity).toBe(before);
      expect(store.keys.rotations).toEqual([]);
      store.close();
      expect(formatSecretKey(open(dir).identity)).toBe(formatSecretKey(before));
    },
  );

  test("whose name may not be on the disk yet is not offered, and clients can follow what the next start has", () => {
    const dir = scratch();
    const store = open(dir);
    const { publicKey: before } = store.identity;
    broken = "sync directory";
    usageErrorOf(() => store.keys.rotate());
    broken = undefined;
    expect(store.identity.publicKey).toEqual(before);
    expect(store.keys.rotations).toEqual([]);
    store.close();
    // The file has its new name by then, in memory at least: the statement leads from what was offered to what is now.
    const { keys } = open(dir);
    const { publicKey: key } = keys.identity;
    expect(followRotations({ key: before, sequence: 0 }, keys.rotations, key)).toMatchObject({
      key,
      sequence: 1,
    });
  });
});
