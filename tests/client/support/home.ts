import { afterEach } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ClientOptions, type RunningClient, startClient } from "../../../src/client/client.ts";
import { ClientStore } from "../../../src/client/store.ts";
import { makeGateToken } from "../../../src/proto/index.ts";
import { silentLog } from "../../../src/runtime/log.ts";
import { secureRandom } from "../../../src/runtime/random.ts";
import { TrustedProxies } from "../../../src/server/client-address.ts";
import { DestinationPolicy } from "../../../src/server/policy.ts";
import { type RunningServer, startServer } from "../../../src/server/server.ts";
import { ServerStore } from "../../../src/server/store.ts";
import { Wire } from "./wire.ts";

const POLL_MS = 5;

/** A real server and a real client in this process, with a wire between them. */
export class Home {
  readonly wire = new Wire();
  /** What clients may reach besides what every server lets them: read when a server starts. */
  allow: readonly string[] = ["127.0.0.0/8"];
  /** How long a server lets open streams finish: read when it starts. */
  drainMs = 0;
  readonly #dir = mkdtempSync(join(tmpdir(), "rvpn-client-"));
  readonly #clients: { readonly client: RunningClient; readonly store: ClientStore }[] = [];
  #port = 0;
  #servers = 0;
  #store: ServerStore | undefined;
  #server: RunningServer | undefined;

  async start(): Promise<this> {
    this.#port = await this.wire.listen();
    await this.startServer();
    return this;
  }

  /** A server process, or what is one to the client: another boot id. `fresh`: with another identity too. */
  async startServer(fresh = false): Promise<void> {
    await this.stopServer();
    if (fresh || this.#store === undefined) {
      this.#store?.close();
      const dir = join(this.#dir, `server${this.#servers++}`);
      this.#store = ServerStore.open({ dir, now: Date.now, random: secureRandom });
    }
    this.#server = await startServer({
      hostname: "127.0.0.1",
      port: 0,
      path: "/",
      store: this.#store,
      stateDir: join(this.#dir, `server${this.#servers - 1}`),
      policy: new DestinationPolicy({ allow: this.allow, deny: [] }),
      trustedProxies: new TrustedProxies([]),
      padding: "padme",
      resumeWindowMs: 60_000,
      pool: true,
      drainMs: this.drainMs,
      log: silentLog,
    });
    this.wire.target = this.#server.port;
  }

  /** Lets what is dialled reach the server again. */
  reachServer(): void {
    this.wire.target = this.#server?.port;
  }

  /** What the running server says first on a link. */
  async bundle(): Promise<Uint8Array> {
    const gateKey = this.#store?.gateKeys()[0];
    if (gateKey === undefined) throw new Error("there is no server");
    const socket = new WebSocket(`ws://127.0.0.1:${this.#server?.port}/`, {
      headers: { Cookie: `sid=${makeGateToken(gateKey, secureRandom)}` },
    });
    socket.binaryType = "arraybuffer";
    const first = Promise.withResolvers<Uint8Array>();
    socket.onmessage = ({ data }) => first.resolve(new Uint8Array(data));
    socket.onerror = () => first.reject(new Error("the server gave no bundle"));
    const bundle = await first.promise;
    socket.terminate();
    return bundle;
  }

  /** The server's identity and how it is renewed. */
  get serverKeys(): ServerStore["keys"] {
    if (this.#store === undefined) throw new Error("there is no server");
    return this.#store.keys;
  }

  /** What the client that was started last keeps, and where. */
  get last(): { readonly store: ClientStore; readonly dir: string } {
    const started = this.#clients.at(-1);
    if (started === undefined) throw new Error("there is no client");
    return { store: started.store, dir: join(this.#dir, `client${this.#clients.length - 1}`) };
  }

  /** Begins a drain; links may still be made. Resolves when the server has ended. */
  drainServer(): Promise<void> {
    return this.#server?.stop() ?? Promise.resolve();
  }

  async stopServer(): Promise<void> {
    this.wire.target = undefined;
    const server = this.#server;
    this.#server = undefined;
    await server?.stop();
  }

  /** A client of the server; with `awaitLink` false it need not be reachable. `serverKey`: whom it expects there. */
  async startClient(
    { serverKey, ...options }: Partial<ClientOptions> & { readonly serverKey?: Uint8Array } = {},
    awaitLink = true,
  ): Promise<RunningClient> {
    const name = `client${this.#clients.length}`;
    const url = `ws://127.0.0.1:${this.#port}/`;
    if (this.#store === undefined) throw new Error("there is no server to invite a client");
    const { kind, secret } = this.#store.invite({ name });
    const gateKey = this.#store.gateKeys()[0];
    const link = { url, kind, secret, gateKey, serverKey: serverKey ?? this.#store.identity.publicKey };
    const stateDir = join(this.#dir, name);
    const store = ClientStore.open({ dir: stateDir, random: secureRandom });
    const server = store.adopt(link);
    const client = await startClient({
      server,
      store,
      stateDir,
      hostname: "127.0.0.1",
      port: 0,
      padding: "padme",
      optimistic: false,
      pool: true,
      links: 1,
      waitMs: 15_000,
      log: silentLog,
      ...options,
    });
    this.#clients.push({ client, store });
    if (awaitLink) await client.firstLink;
    return client;
  }

  async close(): Promise<void> {
    for (const { client, store } of this.#clients) {
      await client.stop();
      store.close();
    }
    await this.stopServer();
    this.#store?.close();
    this.wire.close();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

/** Gives tests homes that end with them. */
export function useHomes(): () => Promise<Home> {
  const homes: Home[] = [];
  afterEach(async () => {
    for (const home of homes.splice(0)) await home.close();
  });
  return () => {
    const home = new Home();
    homes.push(home);
    return home.start();
  };
}

/** Waits until `isMet`; throws after `limitMs`. */
export async function until(isMet: () => boolean, limitMs = 10_000): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!isMet()) {
    if (performance.now() > deadline) throw new Error(`not in time: ${isMet}`);
    await Bun.sleep(POLL_MS);
  }
}
