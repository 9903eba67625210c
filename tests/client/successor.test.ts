import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RunningClient, startClient } from "../../src/client/client.ts";
import { ClientStore } from "../../src/client/store.ts";
import {
  formatPublicKey,
  generateIdentity,
  kem,
  ServerHandshake,
  signRotation,
} from "../../src/proto/index.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { secureRandom } from "../../src/runtime/random.ts";
import { until, useHomes } from "./support/home.ts";

setDefaultTimeout(60_000);

// When a client replaces its pin: after a sealed Accept, and by nothing less.

const newHome = useHomes();
const [first, second] = [generateIdentity(secureRandom), generateIdentity(secureRandom)];
const cleanUp: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const undo of cleanUp.splice(0).toReversed()) await undo();
});

/**
 * Who can show a sound bundle of the new identity, statement included, and goes no further: it has recorded one and has
 * not the prekeys' secrets, or has the identity's key and admits nobody.
 */
function serveBundles(answer: (message: Uint8Array) => Uint8Array | undefined) {
  const heard: Uint8Array[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request, server) => (server.upgrade(request) ? undefined : new Response("no")),
    websocket: {
      async open(ws) {
        const handshake = new ServerHandshake({
          identity: second,
          rotations: [signRotation(first, second, 1)],
          boot: secureRandom(16),
          kemPublicKey: (await kem.generateKeyPair()).publicKey,
          random: secureRandom,
          suites: ["aes-256-gcm"],
        });
        ws.sendBinary(handshake.bundle);
      },
      message(ws, message) {
        if (typeof message === "string") return;
        heard.push(message);
        const reply = answer(message);
        if (reply !== undefined) ws.sendBinary(reply);
      },
    },
  });
  cleanUp.push(() => server.stop(true));
  return { url: `ws://127.0.0.1:${server.port}/`, heard };
}

async function clientAt(url: string): Promise<{ store: ClientStore; dir: string; client: RunningClient }> {
  const dir = mkdtempSync(join(tmpdir(), "rvpn-successor-"));
  cleanUp.push(() => rmSync(dir, { recursive: true, force: true }));
  const store = ClientStore.open({ dir, random: secureRandom });
  cleanUp.push(() => store.close());
  const [gateKey, secret] = [secureRandom(32), secureRandom(16)];
  const server = store.adopt({ url, kind: "invite", serverKey: first.publicKey, gateKey, secret });
  const place = { stateDir: dir, hostname: "127.0.0.1", port: 0 };
  const ways = {
    padding: "padme",
    optimistic: false,
    links: 1,
    pool: false,
    waitMs: 1_000,
    log: silentLog,
  } as const;
  const client = await startClient({ server, store, ...place, ...ways });
  cleanUp.push(() => client.stop());
  return { store, dir, client };
}

test.each<[string, (message: Uint8Array) => Uint8Array | undefined]>([
  ["is silent", () => undefined],
  ["sends its own message back", (message) => message],
  ["sends random bytes", () => secureRandom(300)],
])("a new identity that %s after its bundle is not pinned", async (_, answer) => {
  const { url, heard } = serveBundles(answer);
  const { store, dir } = await clientAt(url);
  // The handshake went its whole way at the client, and what came back was looked at.
  await until(() => heard.length >= 1);
  await Bun.sleep(100);
  expect(store.server).toMatchObject({ serverKey: first.publicKey, sequence: 0, formerKeys: [] });
  expect(readFileSync(join(dir, "server.json"), "utf8")).not.toContain(formatPublicKey(second.publicKey));
});

test("the same identity is pinned with Accept, once for all links, and is on the disk by then", async () => {
  const home = await newHome();
  const pinned: string[] = [];
  const client = await home.startClient({
    links: 3,
    log: { ...silentLog, info: (message) => void (message.includes("identity") && pinned.push(message)) },
  });
  const { store } = home.last;
  await until(() => client.status().links.every(({ state }) => state === "up"));
  const { newKey } = home.serverKeys.rotate();
  home.wire.cut();
  await until(() => client.status().reconnects >= 3);
  expect(store.server).toMatchObject({ serverKey: newKey, sequence: 1 });
  expect(pinned).toHaveLength(1);
  expect(readFileSync(join(home.last.dir, "server.json"), "utf8")).toContain(formatPublicKey(newKey));
});
