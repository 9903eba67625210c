import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { LIMITS, makeGateToken } from "../../src/proto/index.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { secureRandom } from "../../src/runtime/random.ts";
import { TrustedProxies } from "../../src/server/client-address.ts";
import { DestinationPolicy } from "../../src/server/policy.ts";
import { type RunningServer, startServer } from "../../src/server/server.ts";
import { SERVER_LIMITS } from "../../src/server/server-limits.ts";
import { ServerStore } from "../../src/server/store.ts";
import { useScratch } from "../runtime/state-support.ts";
import { until } from "./registry-support.ts";

const scratch = useScratch();
let server: RunningServer;
let store: ServerStore;
let strangersMade = 0;

beforeAll(async () => {
  const stateDir = scratch();
  store = ServerStore.open({ dir: stateDir, now: Date.now, random: secureRandom });
  server = await startServer({
    hostname: "127.0.0.1",
    port: 0,
    path: "/",
    store,
    stateDir,
    policy: new DestinationPolicy({ allow: [], deny: [] }),
    trustedProxies: new TrustedProxies([]),
    padding: "none",
    drainMs: 0,
    resumeWindowMs: 0,
    pool: false,
    log: silentLog,
  });
});
afterAll(async () => {
  await server.stop();
  store.close();
});

/** A holder of the gate key who does not go on; what became of the connection. */
class Stranger {
  readonly #ws: WebSocket;
  readonly openedAt = performance.now();
  bundle = false;
  closedAfterMs: number | undefined;

  constructor() {
    // Each from an address of its own, as a reverse proxy tells it: one address is let in only so often.
    const address = `198.51.${Math.floor(strangersMade / 256)}.${strangersMade++ % 256}`;
    const headers = {
      Cookie: `sid=${makeGateToken(store.gateKeys()[0], secureRandom)}`,
      "X-Forwarded-For": address,
    };
    this.#ws = new WebSocket(`ws://127.0.0.1:${server.port}/`, { headers, perMessageDeflate: false });
    this.#ws.onmessage = () => {
      this.bundle = true;
    };
    this.#ws.onclose = () => {
      this.closedAfterMs = performance.now() - this.openedAt;
    };
  }

  send(bytes: Uint8Array): void {
    this.#ws.send(bytes);
  }

  close(): void {
    this.#ws.terminate();
  }
}

async function strangers(count: number): Promise<Stranger[]> {
  const made: Stranger[] = [];
  while (made.length < count) {
    const some = Array.from({ length: Math.min(64, count - made.length) }, () => new Stranger());
    await until("the bundles have come", () => some.every(({ bundle }) => bundle));
    made.push(...some);
  }
  return made;
}

describe("connections that prove nobody", () => {
  test("are closed at the handshake's deadline, whether they say nothing or nonsense", async () => {
    const [silent, noisy] = await strangers(2);
    noisy?.send(new Uint8Array(2_000).fill(2));
    expect(server.status()).toMatchObject({ tunnels: 0 });
    const both = [silent, noisy];
    await until("they are closed", () => both.every((one) => one?.closedAfterMs !== undefined), 8_000);
    for (const one of both) {
      expect(one?.closedAfterMs).toBeGreaterThan(LIMITS.handshakeDeadlineMs - 100);
      expect(one?.closedAfterMs).toBeLessThan(LIMITS.handshakeDeadlineMs + 2_000);
    }
    expect(server.status()).toMatchObject({ unproven: 0, tunnels: 0, links: 0 });
  }, 12_000);

  test("are no more than their limit: the oldest goes first", async () => {
    const extra = 5;
    const first = await strangers(extra);
    const others = await strangers(SERVER_LIMITS.unproven);
    await until("the oldest are closed", () =>
      first.every(({ closedAfterMs }) => closedAfterMs !== undefined),
    );
    // By the limit, not by their deadline.
    for (const { closedAfterMs = 0 } of first)
      expect(closedAfterMs).toBeLessThan(LIMITS.handshakeDeadlineMs - 200);
    expect(others.filter(({ closedAfterMs }) => closedAfterMs !== undefined)).toEqual([]);
    expect(server.status()).toMatchObject({ unproven: SERVER_LIMITS.unproven });
    for (const one of others) one.close();
    await until("all are gone", () => server.status().unproven === 0);
  }, 20_000);
});
