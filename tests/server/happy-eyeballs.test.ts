import { afterEach, describe, expect, test } from "bun:test";
import { formatIp, parseIp } from "../../src/runtime/address.ts";
import { openLinuxConnect } from "../../src/server/connect-linux.ts";
import { connectPortably } from "../../src/server/connect-portable.ts";
import { DialError } from "../../src/server/dialer.ts";
import { DIAL_LIMITS } from "../../src/server/limits.ts";
import type { Connect } from "../../src/server/probe.ts";
import {
  dialerOf,
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

describe("several addresses", () => {
  const names = { many: ["8.8.8.1", "8.8.8.2", "8.8.8.3", "2600::1"] };

  test("are tried with families alternating, one stagger apart", async () => {
    const { connect, tried } = scriptedConnect();
    const dialer = dialerOf({ names, connect, deadlineMs: 2_000 });
    expect((await errorOf(dialer.dial(to("many", 80), recorder().setup, never))).failure).toBe("timeout");
    expect(tried.map(({ address }) => address)).toEqual(["8.8.8.1", "2600::1", "8.8.8.2", "8.8.8.3"]);
    const gaps = tried.slice(1).map(({ at }, index) => at - (tried[index]?.at ?? 0));
    for (const gap of gaps) expect(gap).toBeWithin(DIAL_LIMITS.staggerMs - 5, 2 * DIAL_LIMITS.staggerMs);
    expect(tried.every(({ abandoned }) => abandoned)).toBe(true);
  });

  test("are tried at once as earlier ones fail, and the most telling failure is reported", async () => {
    const { connect, tried } = scriptedConnect();
    const dial = errorOf(dialerOf({ names, connect }).dial(to("many", 80), recorder().setup, never));
    const start = performance.now();
    const failures = ["netUnreachable", "refused", "timeout", "hostUnreachable"] as const;
    await until(() => tried.length === 1);
    for (const [index, failure] of failures.entries()) tried[index]?.fail(failure);
    expect((await dial).failure).toBe("refused");
    expect(performance.now() - start).toBeLessThan(DIAL_LIMITS.staggerMs);
  });

  test("that fail before connect returns do not confuse the race", async () => {
    const connect: Connect = (_address, _port, events) => {
      events.failed(new DialError("netUnreachable", "no route"));
      return { abandon() {} };
    };
    const dial = dialerOf({ names, connect }).dial(to("many", 80), recorder().setup, never);
    expect((await errorOf(dial)).failure).toBe("netUnreachable");
  });

  test("beyond the limit are not tried", async () => {
    const many = Array.from({ length: 50 }, (_, index) => `8.8.8.${index}`);
    const connect: Connect = (_address, _port, events) => {
      tries++;
      events.failed(new DialError("refused", "scripted"));
      return { abandon() {} };
    };
    let tries = 0;
    await errorOf(dialerOf({ names: { many }, connect }).dial(to("many", 80), recorder().setup, never));
    expect(tries).toBe(DIAL_LIMITS.addressesPerDial);
  });

  test("lead to a connection past a dead first one, which is closed", async () => {
    const port = serve({ open: (socket) => void socket.write("hi") });
    const real = openLinuxConnect() ?? connectPortably;
    let abandoned = 0;
    const connect: Connect = (address, at, events) =>
      formatIp(address) === "127.0.0.9" ? { abandon: () => void abandoned++ } : real(address, at, events);
    const dialer = dialerOf({ names: { half: ["127.0.0.9", "127.0.0.1"] }, connect });
    const { setup, events } = recorder();
    const socket = await dialer.dial(to("half", port), setup, never);
    await until(() => events.length === 2);
    expect({ abandoned, events }).toEqual({ abandoned: 1, events: ["open mine", "data hi"] });
    socket.terminate();
  });

  test("give one socket even if two connect in the same moment", async () => {
    let opened = 0;
    let closed = 0;
    const port = serve({ open: () => void opened++, close: () => void closed++ }, "0.0.0.0");
    const real = openLinuxConnect() ?? connectPortably;
    // Starts both at once: what the stagger does when the first is slow.
    const connect: Connect = (_address, at, events) => {
      const attempts = ["127.0.0.1", "127.0.0.2"].map((host) =>
        real(parseIp(host) ?? new Uint8Array(), at, events),
      );
      return { abandon: () => attempts.map((attempt) => attempt.abandon()) };
    };
    const { setup, events } = recorder();
    const socket = await dialerOf({ connect }).dial(to("127.0.0.1", port), setup, never);
    await until(() => opened === 2 && closed === 1);
    expect(events).toEqual(["open mine"]);
    socket.terminate();
  });
});
