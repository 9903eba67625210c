import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import {
  ClientHandshake,
  followRotations,
  formatSecretKey,
  generateIdentity,
  parsePublicKey,
  parseSecretKey,
  ServerHandshake,
} from "../../src/proto/index.ts";
import { callServer, handleAdmin } from "../../src/server/admin.ts";
import type { ServerStore } from "../../src/server/store.ts";
import { seededRandom } from "../proto/support/random.ts";
import { modeOf, startChild, usageErrorOf, useScratch, withUmask } from "../runtime/state-support.ts";
import { useStores } from "./store-support.ts";

const openStore = useStores(useScratch());
const random = seededRandom("server rotation");

/** Whether a client that pins `pinned` would go along with what the store offers now. */
function leadsFrom(pinned: Uint8Array, { identity, keys }: ServerStore): boolean {
  if (Bun.deepEquals(pinned, identity.publicKey)) return true;
  return (
    typeof followRotations({ key: pinned, sequence: 0 }, keys.rotations, identity.publicKey) !== "string"
  );
}

function text(dir: string, name: string): string {
  return readFileSync(join(dir, name), "utf8");
}

describe("a rotation", () => {
  test("gives a new identity, to which the old one leads, and is there after a restart", () => {
    const { store, reopen } = openStore();
    const before = store.identity.publicKey;
    const { oldKey, newKey, sequence } = store.keys.rotate();
    expect([oldKey, newKey, sequence]).toEqual([before, store.identity.publicKey, 1]);
    expect(newKey).not.toEqual(before);
    const again = reopen();
    expect(again.identity.publicKey).toEqual(newKey);
    expect(again.keys.rotations).toEqual(store.keys.rotations);
    expect(leadsFrom(before, again)).toBe(true);
  });

  test("leaves no trace of the old secret key, and the new one in its own file alone", () => {
    const { dir, store } = openStore();
    const old = formatSecretKey(store.identity);
    expect(text(dir, "identity.key")).toContain(old);
    store.keys.rotate();
    for (const name of readdirSync(dir)) {
      expect([name, text(dir, name).includes(old)]).toEqual([name, false]);
      const holdsNew = text(dir, name).includes(formatSecretKey(store.identity));
      expect([name, holdsNew]).toEqual([name, name === "identity.key"]);
    }
  });

  test("keeps the newest eight statements: from further back nothing leads here", () => {
    const { store, reopen } = openStore();
    const former = [store.identity.publicKey];
    const { firstKey } = store.keys;
    for (let i = 0; i < 10; i++) former.push(store.keys.rotate().newKey);
    const again = reopen();
    expect(again.keys.rotations.map(({ sequence }) => sequence)).toEqual([3, 4, 5, 6, 7, 8, 9, 10]);
    expect(former.map((key) => leadsFrom(key, again))).toEqual([false, false, ...Array(9).fill(true)]);
    expect(again.keys.firstKey).toEqual(firstKey);
  });

  test.each([0o000, 0o777])("writes files that are 0600 under umask %o", (umask) => {
    const { dir, store } = openStore();
    withUmask(umask, () => store.keys.rotate());
    for (const name of readdirSync(dir)) expect([name, modeOf(join(dir, name))]).toEqual([name, "600"]);
  });

  test("is what clients meet: a pin of any age within eight", () => {
    const { store } = openStore();
    const pins = [store.identity.publicKey];
    for (let i = 0; i < 8; i++) pins.push(store.keys.rotate().newKey);
    const { identity, keys } = store;
    const offer = { identity, rotations: keys.rotations, boot: random(16), kemPublicKey: random(1184) };
    const { bundle } = new ServerHandshake({ ...offer, random, suites: ["aes-256-gcm"] });
    for (const serverKey of pins) {
      const options = { identity: generateIdentity(random), serverKey, random } as const;
      const client = new ClientHandshake({ ...options, suites: ["aes-256-gcm"] });
      expect(client.receive(bundle).successor?.key ?? serverKey).toEqual(identity.publicKey);
    }
  });
});

describe("a rotation that is cut short", () => {
  const FILES = ["rotations.json", "identity.key"] as const;

  /** What lies in a directory when the power fails after `writes` of the three were put in place. */
  function cutAfter(writes: 0 | 1 | 2): { dir: string; old: Uint8Array; restart: () => ServerStore } {
    const { dir, store, reopen } = openStore();
    store.keys.rotate();
    const before = FILES.map((name) => text(dir, name));
    const old = store.identity.publicKey;
    store.keys.rotate();
    store.close();
    const [rotations = "", identity = ""] = FILES.map((name) => text(dir, name));
    const pending = rotations.replace(/\n}\n$/, `,\n  "pending": "${identity.trim()}"\n}\n`);
    const [rotationsThen = "", identityThen = ""] = writes === 0 ? before : [pending, before[1]];
    writeFileSync(join(dir, "rotations.json"), rotationsThen);
    writeFileSync(join(dir, "identity.key"), writes === 2 ? identity : identityThen);
    return { dir, old, restart: reopen };
  }

  test("before anything is in place, nothing has changed", () => {
    const { old, restart } = cutAfter(0);
    const store = restart();
    expect(store.identity.publicKey).toEqual(old);
    expect(store.keys.rotations).toHaveLength(1);
  });

  test.each([1, 2] as const)("after %d of 3 writes, the next start finishes it", (writes) => {
    const { dir, old, restart } = cutAfter(writes);
    const store = restart();
    expect(store.identity.publicKey).not.toEqual(old);
    expect(leadsFrom(old, store)).toBe(true);
    expect(parseSecretKey(text(dir, "identity.key").trim()).publicKey).toEqual(store.identity.publicKey);
    expect(text(dir, "rotations.json")).not.toContain("rvpn-sk-");
    // And the one after that has nothing left to do.
    expect(restart().identity.publicKey).toEqual(store.identity.publicKey);
  });

  test("is finished also when the file of the old key is gone", () => {
    const { dir, old, restart } = cutAfter(1);
    rmSync(join(dir, "identity.key"));
    expect(leadsFrom(old, restart())).toBe(true);
    expect(existsSync(join(dir, "identity.key"))).toBe(true);
  });

  /** A directory where a file belongs: the disk does not take it. */
  function block(dir: string, name: string): () => void {
    const path = join(dir, name);
    renameSync(path, `${path}.away`);
    mkdirSync(path);
    return () => {
      rmSync(path, { recursive: true });
      renameSync(`${path}.away`, path);
    };
  }

  test("by a disk that does not take the statement has not happened", () => {
    const { dir, store, reopen } = openStore();
    const { newKey } = store.keys.rotate();
    const unblock = block(dir, "rotations.json");
    expect(usageErrorOf(() => store.keys.rotate()).message).toStartWith("cannot write ");
    unblock();
    expect(store.identity.publicKey).toEqual(newKey);
    expect(reopen().identity.publicKey).toEqual(newKey);
  });

  test("by a disk that does not take the key holds, and is finished by the next start", () => {
    const { dir, store, reopen } = openStore();
    const { publicKey: old } = store.identity;
    const unblock = block(dir, "identity.key");
    store.keys.rotate();
    const { newKey } = store.keys.rotate();
    expect(text(dir, "rotations.json")).toContain("rvpn-sk-");
    unblock();
    const again = reopen();
    expect(again.identity.publicKey).toEqual(newKey);
    expect(leadsFrom(old, again)).toBe(true);
    expect(text(dir, "rotations.json")).not.toContain("rvpn-sk-");
  });

  test("by SIGKILL at any moment leaves a server that old clients can follow", async () => {
    const { dir, store } = openStore();
    const first = store.identity.publicKey;
    store.close();
    for (let round = 0; round < 5; round++) {
      const child = startChild("rotate", dir);
      await child.line();
      await Bun.sleep(5 + round * 7);
      child.kill("SIGKILL");
      await child.exited;
      const { store } = openStore(dir);
      const { rotations, firstKey } = store.keys;
      const start = rotations[0];
      if (start === undefined) throw new Error("no rotation was made in time");
      expect(firstKey).toEqual(first);
      expect(leadsFrom(start.oldKey, store)).toBe(true);
      expect(store.identity.publicKey).toEqual(rotations.at(-1)?.newKey ?? first);
      store.close();
    }
  }, 60_000);
});

describe("rotations.json", () => {
  function refusalOf(edit: (text: string) => string, name = "rotations.json"): string {
    const { dir, store } = openStore();
    store.keys.rotate();
    store.keys.rotate();
    store.close();
    const path = join(dir, name);
    const edited = edit(readFileSync(path, "utf8"));
    writeFileSync(path, edited);
    const { message } = usageErrorOf(() => openStore(dir));
    expect(readFileSync(path, "utf8")).toBe(edited);
    return message.replace(`${dir}/`, "");
  }

  const other = (): string => formatSecretKey(generateIdentity(random));
  test.each<[string, (text: string) => string]>([
    ["rotations.json: the file is cut short", (file) => file.slice(0, -9)],
    [
      "rotations.json: rotations must be 1 to 8",
      (file) => file.replace(/"rotations": \[.*\]/s, '"rotations": []'),
    ],
    ["rotations.json: rotations[0].sequence", (file) => file.replace('"sequence": 1', '"sequence": 0')],
    [
      "rotations.json: rotations do not hold together",
      (file) => file.replace('"sequence": 2', '"sequence": 3'),
    ],
    [
      "rotations.json: rotations do not hold together",
      (file) => file.replace('"sequence": 2', '"sequence": 1'),
    ],
    ["rotations.json: rotations[0].oldSignature", (file) => file.replace(/("oldSignature": ")./, "$1")],
    ["rotations.json: firstKey is not a public key", (file) => file.replace(/rvpn-pk-..../, "rvpn-pk-AAAA")],
    ["rotations.json: color is not a field", (file) => file.replace('"firstKey"', '"color": 1, "firstKey"')],
  ])("is refused with: %s", (problem, edit) => {
    expect(refusalOf(edit)).toStartWith(problem);
  });

  test("with another pending key than the last statement's is refused", () => {
    const edit = (file: string) => file.replace('"firstKey"', `"pending": "${other()}", "firstKey"`);
    expect(refusalOf(edit)).toBe("rotations.json: pending is not the key that the last statement is for");
  });

  test("without the identity's file is no reason to make another", () => {
    const { dir, store } = openStore();
    store.keys.rotate();
    store.close();
    for (const name of ["identity.key", "gate.json", "clients.json"]) rmSync(join(dir, name));
    expect(usageErrorOf(() => openStore(dir)).message).toBe(
      `${join(dir, "identity.key")} is missing, though rotations.json is there`,
    );
    expect(existsSync(join(dir, "identity.key"))).toBe(false);
  });

  test("and an identity that it does not lead to are refused together", () => {
    expect(refusalOf(() => `${other()}\n`, "identity.key")).toBe(
      "identity.key is not the key that rotations.json leads to",
    );
  });

  test("that others can read is refused", () => {
    const { dir, store } = openStore();
    store.keys.rotate();
    store.close();
    chmodSync(join(dir, "rotations.json"), 0o640);
    expect(usageErrorOf(() => openStore(dir)).hint).toBe(`chmod 600 ${join(dir, "rotations.json")}`);
  });
});

describe("the command", () => {
  test("answers with the new key, and links made after it carry that", async () => {
    const { dir, store } = openStore();
    const before = store.identity.publicKey;
    store.close();
    const reply = await callServer(dir, { op: "rotate" });
    expect(reply).toMatchObject({ sequence: 1 });
    const { key, formerKey } = reply as { key: string; formerKey: string }; // Checked in the next lines.
    expect(parsePublicKey(formerKey)).toEqual(before);
    const { store: again } = openStore(dir);
    expect(again.identity.publicKey).toEqual(parsePublicKey(key));
    expect(usageErrorOf(() => handleAdmin(again, { op: "rotate", force: true })).message).toContain("force");
    expect(leadsFrom(before, again)).toBe(true);
  });
});
