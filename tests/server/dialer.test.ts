import { afterEach, describe, expect, test } from "bun:test";
import type { SocketHandler } from "bun";
import { openLinuxConnect } from "../../src/server/connect-linux.ts";
import { connectPortably } from "../../src/server/connect-portable.ts";
import type { DialError } from "../../src/server/dialer.ts";
import { DIAL_LIMITS } from "../../src/server/limits.ts";
import type { Connect } from "../../src/server/probe.ts";
import {
  dialerOf,
  dialersOf,
  errorOf,
  never,
  recorder,
  scriptedConnect,
  serve,
  stopServers,
  to,
  until,
} from "./dialer-setup.ts";

afterEach(stopServers);

describe("the policy", () => {
  test("refuses an address, and names the rule", async () => {
    const error = await errorOf(dialerOf({ allow: [] }).dial(to("127.0.0.1", 80), recorder().setup, never));
    expect(error).toMatchObject({ failure: "policy", rule: "127.0.0.0/8 (loopback, RFC 1122)" });
  });

  test("judges what a name resolves to, not the name", async () => {
    const names = { "rebind.example": ["169.254.169.254", "::1"], "0x7f.1": ["127.0.0.1"] };
    const dialer = dialerOf({ allow: [], names });
    for (const name of Object.keys(names)) {
      expect((await errorOf(dialer.dial(to(name, 80), recorder().setup, never))).failure).toBe("policy");
    }
  });

  test("lets only the permitted addresses of a mixed answer be dialled", async () => {
    const { connect, tried } = scriptedConnect();
    const dialer = dialerOf({ names: { mixed: ["10.0.0.1", "127.0.0.1", "::1", "fd00::1"] }, connect });
    const dial = errorOf(dialer.dial(to("mixed", 80), recorder().setup, never));
    await until(() => tried.length === 1);
    tried[0]?.fail();
    tried[1]?.fail();
    expect((await dial).failure).toBe("refused");
    expect(tried.map(({ address }) => address)).toEqual(["127.0.0.1", "::1"]);
  });

  test("opens only the ports it names", async () => {
    const port = serve();
    const dialer = dialerOf({ allow: [`127.0.0.1:${port}`] });
    (await dialer.dial(to("127.0.0.1", port), recorder().setup, never)).terminate();
    const other = to("127.0.0.1", port === 65_535 ? 1 : port + 1);
    expect((await errorOf(dialer.dial(other, recorder().setup, never))).failure).toBe("policy");
  });
});

test("a name that does not exist is nameNotFound; a resolver that breaks is nameServerFailed", async () => {
  const setup = recorder().setup;
  expect((await errorOf(dialerOf().dial(to("nowhere", 80), setup, never))).failure).toBe("nameNotFound");
  const broken = dialerOf({ resolver: () => Promise.reject(new Error("broken")) });
  expect((await errorOf(broken.dial(to("a", 80), setup, never))).failure).toBe("nameServerFailed");
  const empty = dialerOf({ resolver: async () => [] });
  expect((await errorOf(empty.dial(to("a", 80), setup, never))).failure).toBe("nameNotFound");
});

describe("an aborted dial", () => {
  test("rejects with the signal's reason as cause, before anything was done", async () => {
    const { connect, tried } = scriptedConnect();
    const signal = AbortSignal.abort("gone");
    const error = await errorOf(dialerOf({ connect }).dial(to("127.0.0.1", 80), recorder().setup, signal));
    expect([error.failure, error.cause, tried.length]).toEqual(["general", "gone", 0]);
  });

  test("rejects at once while the name is looked up, and connects to nothing afterwards", async () => {
    const { connect, tried } = scriptedConnect();
    const answer = Promise.withResolvers<Uint8Array[]>();
    const abort = new AbortController();
    const dialer = dialerOf({ connect, resolver: () => answer.promise });
    const dial = errorOf(dialer.dial(to("slow", 80), recorder().setup, abort.signal));
    await Bun.sleep(5);
    abort.abort("gone");
    expect((await dial).cause).toBe("gone");
    answer.resolve([new Uint8Array([8, 8, 8, 8])]);
    await Bun.sleep(5);
    expect(tried).toEqual([]);
  });

  test("rejects at once while connecting, and closes what is under way", async () => {
    const { connect, tried } = scriptedConnect();
    const abort = new AbortController();
    const dial = errorOf(dialerOf({ connect }).dial(to("127.0.0.1", 80), recorder().setup, abort.signal));
    await until(() => tried.length === 1);
    abort.abort("gone");
    expect((await dial).cause).toBe("gone");
    expect(tried[0]?.abandoned).toBe(true);
  });

  test("gives no socket though it connected in the same tick", async () => {
    const port = serve();
    const abort = new AbortController();
    const events: string[] = [];
    const handlers: SocketHandler<undefined> = {
      open: () => abort.abort("gone"),
      data() {},
      close: () => void events.push("close"),
    };
    const dial = dialerOf().dial(to("127.0.0.1", port), { handlers, data: undefined }, abort.signal);
    expect((await errorOf(dial)).cause).toBe("gone");
    await until(() => events.length === 1);
  });
});

test("a dial that takes too long is a timeout, names included", async () => {
  const dialer = dialerOf({ resolver: () => new Promise(() => {}), deadlineMs: 30 });
  expect((await errorOf(dialer.dial(to("slow", 80), recorder().setup, never))).failure).toBe("timeout");
});

test("above a client's share of pending dials its next one is refused as overloaded, until one ends", async () => {
  const { connect } = scriptedConnect();
  const dialer = dialerOf({ connect });
  const abort = new AbortController();
  const setup = recorder().setup;
  const dial = (signal: AbortSignal): Promise<DialError> =>
    errorOf(dialer.dial(to("127.0.0.1", 80), setup, signal));
  const held = Array.from({ length: DIAL_LIMITS.pendingDials / 2 }, () => dial(abort.signal));
  expect((await dial(never)).failure).toBe("overloaded");
  abort.abort();
  await Promise.all(held);
  expect((await dial(AbortSignal.timeout(20))).failure).toBe("general");
});

test("clients that flood the dialer lock out no other: as much as each of them has stays free", async () => {
  const abort = new AbortController();
  const really = openLinuxConnect() ?? connectPortably;
  const { connect: never9, tried } = scriptedConnect();
  const connect: Connect = (address, port, events) => (port === 9 ? never9 : really)(address, port, events);
  const dialers = dialersOf({ connect });
  const { setup } = recorder();
  const flood = ["mallory", "mallet", "trudy"].flatMap((client) =>
    Array.from({ length: DIAL_LIMITS.pendingDials }, () =>
      errorOf(dialers.dialerOf(client).dial(to("127.0.0.1", 9), setup, abort.signal)),
    ),
  );
  await until(() => tried.length > DIAL_LIMITS.pendingDials * 0.7);
  const port = serve();
  const start = performance.now();
  const sockets = await Promise.all(
    Array.from({ length: 50 }, () =>
      dialers.dialerOf("ann").dial(to("127.0.0.1", port), recorder().setup, never),
    ),
  );
  expect(performance.now() - start).toBeLessThan(1_000);
  for (const socket of sockets) socket.terminate();
  abort.abort();
  const failures = (await Promise.all(flood)).map(({ failure }) => failure);
  expect(new Set(failures)).toEqual(new Set(["overloaded", "general"]));
});
