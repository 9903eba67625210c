import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isAcceptablePublicKey, parseSecretKey } from "../../src/proto/index.ts";
import { ServerStore } from "../../src/server/store.ts";
import { modeOf, startChild, usageErrorOf, useScratch, withUmask } from "../runtime/state-support.ts";
import { DAY_MS, HOUR_MS, newKey, START_MS, useStores } from "./store-support.ts";

// A process starts in 0.1 s, and in seconds on a busy machine.
setDefaultTimeout(60_000);

const scratch = useScratch();
const openStore = useStores(scratch);

describe("the first start", () => {
  test.each([0o000, 0o022, 0o777])("makes identity, gate and list, 0600 in 0700, under umask %o", (umask) => {
    const dir = join(scratch(), "rvpn/server");
    const { store } = withUmask(umask, () => openStore(dir));
    expect(readdirSync(dir).sort()).toEqual(["clients.json", "gate.json", "identity.key", "lock"]);
    for (const name of readdirSync(dir)) expect(modeOf(join(dir, name))).toBe("600");
    expect(modeOf(dir)).toBe("700");
    expect(isAcceptablePublicKey(store.identity.publicKey)).toBe(true);
    expect(store.gateKeys()).toHaveLength(1);
    expect([store.clients(), store.invites(), store.url]).toEqual([[], [], undefined]);
    expect(ServerStore.exists(dir)).toBe(true);
  });

  test("writes the identity as the text that keygen prints", () => {
    const { dir, store } = openStore();
    const text = readFileSync(join(dir, "identity.key"), "utf8");
    expect(text).toEndWith("\n");
    expect(parseSecretKey(text.trim()).publicKey).toEqual(store.identity.publicKey);
  });

  test("takes an identity that was put there before", () => {
    const other = openStore();
    const dir = scratch();
    writeFileSync(join(dir, "identity.key"), readFileSync(join(other.dir, "identity.key")), { mode: 0o600 });
    expect(openStore(dir).store.identity.publicKey).toEqual(other.store.identity.publicKey);
  });

  test.each([["identity.key"], ["identity.key", "gate.json"]])(
    "goes on where it was cut short, after %p",
    (...made) => {
      const { dir, store } = openStore();
      store.close();
      for (const name of ["identity.key", "gate.json", "clients.json"]) {
        if (!made.includes(name)) rmSync(join(dir, name));
      }
      const again = openStore(dir).store;
      expect(again.identity.publicKey).toEqual(store.identity.publicKey);
      if (made.includes("gate.json")) expect(again.gateKeys()).toEqual(store.gateKeys());
    },
  );
});

describe("the next start", () => {
  test("finds everything as it was", () => {
    const { store, reopen, clock } = openStore();
    const { secret } = store.invite({ name: "laptop", uses: 3, expiresInMs: HOUR_MS });
    store.admit(newKey(), secret);
    store.invite({ name: "ci", seat: true });
    store.invite({ name: "job", seat: true, expiresInMs: DAY_MS });
    store.add("router", newKey());
    store.admit(newKey(), store.invite({ name: "thief" }).secret);
    clock.now += 1234;
    store.revoke("thief");
    store.rememberUrl("wss://vpn.example.org/");

    const again = reopen();
    expect(again.clients()).toEqual(store.clients());
    expect(again.clients()).toHaveLength(4);
    expect(again.invites()).toEqual(store.invites());
    expect(again.gateKeys()).toEqual(store.gateKeys());
    expect(again.gateKeys()).toHaveLength(2);
    expect(again.url).toBe("wss://vpn.example.org/");
    expect(again.identity.publicKey).toEqual(store.identity.publicKey);
  });

  test("writes nothing", () => {
    const { dir, store, reopen } = openStore();
    store.invite({ name: "laptop" });
    const read = (): string[] =>
      ["clients.json", "gate.json", "identity.key"].map((name) => readFileSync(join(dir, name), "utf8"));
    const before = read();
    reopen();
    expect(read()).toEqual(before);
  });

  test("clears away what a killed writer left", () => {
    const { dir, reopen } = openStore();
    writeFileSync(join(dir, `clients.json.${crypto.randomUUID()}.tmp`), "half");
    reopen();
    expect(readdirSync(dir).sort()).toEqual(["clients.json", "gate.json", "identity.key", "lock"]);
  });

  test("is refused while a process has the directory", () => {
    const { dir, store } = openStore();
    const error = usageErrorOf(() => openStore(dir));
    expect(error.message).toBe(`already running, pid ${process.pid}, in ${dir}`);
    expect(error.exitCode).toBe(2);
    store.close();
    openStore(dir);
  });
});

describe("a change", () => {
  test("is on the disk when the method returns", () => {
    const { dir, store } = openStore();
    const list = (): string => readFileSync(join(dir, "clients.json"), "utf8");
    store.invite({ name: "invited" });
    expect(list()).toContain('"invited"');
    store.add("added", newKey());
    expect(list()).toContain('"added"');
    store.revoke("added");
    expect(JSON.parse(list())).toMatchObject({ clients: [], revoked: [{ name: "added" }] });
  });

  test("that the disk does not take has not happened", () => {
    const { dir, store } = openStore();
    const { secret } = store.invite({ name: "laptop" });
    const key = newKey();
    store.add("router", key);
    const before = { clients: store.clients(), invites: store.invites(), gateKeys: store.gateKeys() };
    rmSync(dir, { recursive: true });

    for (const change of [
      () => store.invite({ name: "phone" }),
      () => store.invite({ name: "ci", seat: true }),
      () => store.add("phone", newKey()),
      () => store.revoke("router"),
      () => store.rememberUrl("wss://vpn.example.org/"),
    ]) {
      const error = usageErrorOf(change);
      expect(error.message).toStartWith(`cannot write ${dir}`);
      expect(error.exitCode).toBe(1);
    }
    expect({ clients: store.clients(), invites: store.invites(), gateKeys: store.gateKeys() }).toEqual(
      before,
    );
    expect(store.url).toBeUndefined();

    const joining = store.admit(newKey(), secret);
    expect(joining).toMatchObject({ kind: "refused", refusal: "internal", cause: { name: "UsageError" } });
    // Who is on the list needs no disk.
    expect(store.admit(key)).toEqual({ kind: "admitted", name: "router", joined: false });
  });

  test.each(["gate.json", "clients.json"])("by revoke that %s did not take can be made again", (name) => {
    const { dir, store } = openStore();
    const key = newKey();
    store.add("thief", key);
    const [before] = store.gateKeys();
    // A directory in its place cannot be replaced by a file.
    rmSync(join(dir, name));
    mkdirSync(join(dir, name));
    expect(usageErrorOf(() => store.revoke("thief")).message).toContain(`cannot write ${join(dir, name)}`);
    expect(store.admit(key).kind).toBe("admitted");
    rmSync(join(dir, name), { recursive: true });
    expect(store.revoke("thief").keys).toEqual([key]);
    expect(store.admit(key)).toEqual({ kind: "refused", refusal: "revoked" });
    expect(store.gateKeys()).toContainEqual(before ?? newKey());
  });

  test("survives being killed at any moment: the list is as before or after, never damaged", async () => {
    const dir = scratch();
    for (let round = 0; round < 6; round++) {
      const child = startChild("invite", dir);
      expect(await child.line()).toBe("inviting");
      await Bun.sleep(5 + round * 7);
      child.kill("SIGKILL");
      await child.exited;
      const { store } = openStore(dir);
      expect(store.clients().length).toBeLessThanOrEqual(1);
      if (store.clients().length === 1) store.revoke("somebody");
      store.close();
    }
  });
});

describe("the gate's keys", () => {
  test("are renewed by every revocation; a client that slept through eight still has one that opens", () => {
    const { store, reopen } = openStore();
    const history = [store.gateKeys()[0]];
    for (let round = 0; round < 12; round++) {
      store.invite({ name: "somebody" });
      store.revoke("somebody");
      history.unshift(store.gateKeys()[0]);
    }
    expect(store.gateKeys()).toEqual([history[0] ?? newKey(), ...history.slice(1, 9)]);
    expect(new Set(store.gateKeys().map((key) => key.toHex())).size).toBe(9);
    expect(reopen().gateKeys()).toEqual(store.gateKeys());
  });

  test("are the same arrays until there is a new one", () => {
    const { store } = openStore();
    const [key] = store.gateKeys();
    store.add("router", newKey());
    store.rememberUrl("wss://vpn.example.org/");
    expect(store.gateKeys()[0]).toBe(key);
  });
});

test("the URL is remembered in its one form", () => {
  const { store, reopen } = openStore();
  store.rememberUrl("WSS://VPN.Example.org:443");
  expect(store.url).toBe("wss://vpn.example.org/");
  expect(reopen().url).toBe("wss://vpn.example.org/");
  expect(() => store.rememberUrl("https://vpn.example.org/")).toThrow("wss://");
});

test("times are kept to the millisecond", () => {
  const { store, clock, reopen } = openStore();
  clock.now = START_MS + 7;
  store.invite({ name: "laptop", expiresInMs: 1500 });
  const [invite] = reopen().invites();
  expect(invite).toMatchObject({ createdAtMs: START_MS + 7, expiresAtMs: START_MS + 1507 });
});
