import { dlopen } from "bun:ffi";
import { afterEach, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import type { Socket, SocketHandler } from "bun";
import { openLinuxConnect } from "../../src/server/connect-linux.ts";
import { connectPortably } from "../../src/server/connect-portable.ts";
import type { Connect } from "../../src/server/probe.ts";
import {
  closedPort,
  dialerOf,
  errorOf,
  isLinux,
  never,
  recorder,
  serve,
  stopServers,
  to,
  until,
} from "./dialer-setup.ts";

afterEach(stopServers);

const ways: [name: string, connect: Connect | undefined][] = [
  ["on Linux", openLinuxConnect()],
  ["portably", connectPortably],
];

describe.each(ways.filter(([, connect]) => connect !== undefined))("connecting %s", (_, connect) => {
  const dialer = dialerOf({ ...(connect && { connect }) });

  test("gives a socket that carries bytes both ways", async () => {
    const port = serve({ data: (socket, bytes) => void socket.write(`echo ${bytes.toString()}`) });
    const { setup, events } = recorder();
    const socket = await dialer.dial(to("127.0.0.1", port), setup, never);
    expect(socket.data).toBe("mine");
    expect(socket.write("hello")).toBe(5);
    await until(() => events.length >= 2);
    expect(events).toEqual(["open mine", "data echo hello"]);
    socket.terminate();
  });

  test("loses nothing of a peer that speaks first and closes", async () => {
    const port = serve({
      open(socket) {
        socket.write("banner");
        socket.end();
      },
    });
    for (let round = 0; round < 100; round++) {
      const { setup, events } = recorder();
      const socket = await dialer.dial(to("127.0.0.1", port), setup, never);
      await until(() => events.includes("end"));
      expect(events).toEqual(["open mine", "data banner", "end"]);
      socket.end();
    }
  });

  test("holds the first bytes back when paused in open", async () => {
    const port = serve({ open: (socket) => void socket.write("banner") });
    const { setup, events } = recorder(true);
    const socket = await dialer.dial(to("127.0.0.1", port), setup, never);
    await Bun.sleep(30);
    expect(events).toEqual(["open mine"]);
    socket.resume();
    await until(() => events.length === 2);
    expect(events).toEqual(["open mine", "data banner"]);
    socket.terminate();
  });

  test("lets one way end while the other goes on", async () => {
    const megabytes = Buffer.alloc(3 << 20, "x");
    let sent = 0;
    const pump = (peer: Socket<undefined>): void => {
      sent += peer.write(megabytes, sent, megabytes.length - sent);
      if (sent === megabytes.length) peer.shutdown();
    };
    const port = serve({
      end: pump,
      drain: (peer) => void (sent > 0 && sent < megabytes.length && pump(peer)),
    });
    let received = 0;
    let closed = false;
    const handlers: SocketHandler<undefined> = {
      data(_socket, bytes) {
        received += bytes.length;
      },
      close() {
        closed = true;
      },
    };
    const socket = await dialer.dial(to("127.0.0.1", port), { handlers, data: undefined }, never);
    socket.shutdown();
    await until(() => closed);
    expect(received).toBe(megabytes.length);
  });

  test("reports a refused connection", async () => {
    const { setup, events } = recorder();
    const error = await errorOf(dialer.dial(to("127.0.0.1", closedPort()), setup, never));
    expect(error.failure).toBe("refused");
    expect(error.message).toContain("ECONNREFUSED");
    expect(events).toEqual([]);
  });

  test("reaches IPv6, and mapped addresses as IPv4", async () => {
    const hello = { open: (socket: Socket<undefined>): void => void socket.write("hi") };
    for (const [host, port] of [
      ["::1", serve(hello, "::1")],
      ["::ffff:127.0.0.1", serve(hello, "127.0.0.1")],
    ] as const) {
      const { setup, events } = recorder();
      const socket = await dialer.dial(to(host, port), setup, never);
      await until(() => events.length === 2);
      expect(events).toEqual(["open mine", "data hi"]);
      socket.terminate();
    }
  });

  test.skipIf(!isLinux)("leaves no descriptor behind in 1,000 dials of each kind", async () => {
    const port = serve();
    const dead = closedPort();
    const count = (): number => readdirSync("/proc/self/fd").length;
    const { setup } = recorder();
    const rounds = async (dial: () => Promise<unknown>): Promise<void> => {
      for (let round = 0; round < 100; round++) await Promise.allSettled(Array.from({ length: 10 }, dial));
    };
    const before = count();
    await rounds(async () => (await dialer.dial(to("127.0.0.1", port), setup, never)).terminate());
    await rounds(() => dialer.dial(to("127.0.0.1", dead), setup, never));
    // In every moment of a dial: while it resolves, while it connects, after it connected.
    const moments = [
      queueMicrotask,
      (f: () => void) => void setImmediate(f),
      (f: () => void) => void setTimeout(f, 1),
    ];
    await rounds(async () => {
      const abort = new AbortController();
      const dial = dialer.dial(to("127.0.0.1", port), setup, abort.signal);
      moments[Math.floor(Math.random() * moments.length)]?.(() => abort.abort());
      (await dial).terminate();
    });
    // The server's ends of the connections close when it hears of it.
    await until(() => count() <= before);
  });
});

test.skipIf(!isLinux)("a dialled socket has no delay and is not inherited by child processes", async () => {
  const socket = await dialerOf().dial(to("127.0.0.1", serve()), recorder().setup, never);
  const fd = "fd" in socket ? Number(socket.fd) : -1;
  const flags = /^flags:\s+(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1];
  expect(Number.parseInt(flags ?? "", 8) & 0o2000000).toBe(0o2000000);
  const { symbols } = dlopen("libc.so.6", {
    getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
  });
  const value = new Int32Array(1);
  expect(symbols.getsockopt(fd, 6, 1, value, new Uint32Array([4]))).toBe(0);
  expect(value[0]).toBe(1);
  socket.terminate();
});
