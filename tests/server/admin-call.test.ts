import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { parseLink } from "../../src/proto/index.ts";
import type { Json } from "../../src/runtime/json.ts";
import { callServer, handleAdmin } from "../../src/server/admin.ts";
import { useControl } from "../runtime/control-support.ts";
import { startChild, usageErrorFrom, useScratch } from "../runtime/state-support.ts";
import { newKey, useStores } from "./store-support.ts";

// A process starts in 0.1 s, and in seconds on a busy machine.
setDefaultTimeout(60_000);

const scratch = useScratch();
const openStore = useStores(scratch);
const serve = useControl(scratch);
const URL = "wss://vpn.example.org/";

/** The secret of the link in a reply to `invite`. */
function secretIn(reply: Json): Uint8Array {
  return parseLink(String(Object(reply).link)).secret;
}

describe("callServer", () => {
  test("has the running server do it, which knows it at once", async () => {
    const { dir, store } = openStore();
    await serve((request) => handleAdmin(store, request), dir);
    const secret = secretIn(await callServer(dir, { op: "invite", name: "laptop", url: URL }));
    expect(store.admit(newKey(), secret)).toMatchObject({ kind: "admitted", joined: true });
    expect(await callServer(dir, { op: "revoke", name: "laptop" })).toEqual({ revoked: 1, invites: 0 });
    expect((await usageErrorFrom(callServer(dir, { op: "revoke", name: "nobody" }))).exitCode).toBe(2);
  });

  test("does it on the files when none runs, and leaves the directory free", async () => {
    const { dir, store, reopen } = openStore();
    store.close();
    const secret = secretIn(await callServer(dir, { op: "invite", name: "laptop", url: URL }));
    expect((await usageErrorFrom(callServer(dir, { op: "revoke", name: "nobody" }))).message).toContain(
      "nobody",
    );
    const again = reopen();
    // The link was made in the true year, and the test's clock stands in the past.
    expect(again.admit(newKey(), secret)).toMatchObject({ kind: "admitted", name: "laptop" });
    expect(readdirSync(dir).sort()).toEqual(["clients.json", "gate.json", "identity.key", "lock"]);
  });

  test("many at once, without a server, lose nothing", async () => {
    const { dir, store, reopen } = openStore();
    store.close();
    const names = Array.from({ length: 8 }, (_, index) => `client-${index}`);
    const children = names.map((name) =>
      startChild("call", dir, JSON.stringify({ op: "invite", name, url: URL })),
    );
    for (const child of children) expect(await child.line()).toContain(`"link":"${URL}#`);
    expect(
      reopen()
        .invites()
        .map(({ name }) => name)
        .sort(),
    ).toEqual(names);
  });

  test("waits for a server that is starting", async () => {
    const { dir, store } = openStore();
    const call = callServer(dir, { op: "clients" });
    await Bun.sleep(200);
    await serve((request) => handleAdmin(store, request), dir);
    expect(await call).toEqual({ clients: [], invites: [], server: { running: false } });
  });

  test("waits for a server that is stopping", async () => {
    const { dir, store } = openStore();
    const call = callServer(dir, { op: "clients" });
    await Bun.sleep(200);
    store.close();
    expect(await call).toEqual({ clients: [], invites: [], server: { running: false } });
  });

  test("names a process that has the directory and does not answer", async () => {
    const { dir } = openStore();
    const error = await usageErrorFrom(callServer(dir, { op: "clients" }));
    expect(error.message).toBe(`already running, pid ${process.pid}, in ${dir}`);
  });

  test("makes no server where there was none", async () => {
    const dir = scratch();
    for (const place of [dir, join(dir, "none")]) {
      const error = await usageErrorFrom(callServer(place, { op: "invite", name: "laptop", url: URL }));
      expect(error.message).toBe(`there is no server in ${place}`);
      expect(error.hint).toContain("--state");
    }
    expect(readdirSync(dir)).toEqual([]);
    expect(existsSync(join(dir, "none"))).toBe(false);
  });
});
