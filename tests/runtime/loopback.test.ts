import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { linuxLibc } from "../../src/runtime/libc.ts";
import { isLoopback, unpaceListener } from "../../src/runtime/loopback.ts";

const ALLOWED = "/proc/sys/net/ipv4/tcp_allowed_congestion_control";

/** Whether this kernel has BBR and lets us choose it. */
function hasBbr(): boolean {
  try {
    return readFileSync(ALLOWED, "utf8").includes("bbr") || process.getuid?.() === 0;
  } catch {
    return false;
  }
}

const symbols = {
  getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
  setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
} as const;
const libc = linuxLibc(symbols);
const [TCP, CONGESTION] = [6, 13];

function congestionControl(fd: number): string {
  const name = new Uint8Array(16);
  libc?.getsockopt(fd, TCP, CONGESTION, name, Uint32Array.of(name.length));
  return new TextDecoder().decode(name).replaceAll("\0", "");
}

function choose(fd: number, name: string): boolean {
  const bytes = new TextEncoder().encode(name);
  return libc?.setsockopt(fd, TCP, CONGESTION, bytes, bytes.length) === 0;
}

/** A listener under BBR, and what its accepted connections run with after `unpaceListener`. */
async function acceptedOn(hostname: string): Promise<string | undefined> {
  const accepted = Promise.withResolvers<number>();
  const listener = Bun.listen({
    hostname,
    port: 0,
    socket: { data() {}, open: (socket) => accepted.resolve((socket as unknown as { fd: number }).fd) },
  });
  const fd = (listener as unknown as { fd: number }).fd;
  try {
    if (!choose(fd, "bbr")) return undefined;
    unpaceListener(listener.port);
    const socket = await Bun.connect({ hostname: "127.0.0.1", port: listener.port, socket: { data() {} } });
    const name = congestionControl(await accepted.promise);
    socket.terminate();
    return name;
  } finally {
    listener.stop(true);
  }
}

describe.skipIf(!hasBbr())("where the system paces what it sends", () => {
  test("connections to a listener on loopback are not paced", async () => {
    expect(["reno", undefined]).toContain(await acceptedOn("127.0.0.1"));
  });

  test("those to a listener that others reach are left as they are", async () => {
    expect(["bbr", undefined]).toContain(await acceptedOn("0.0.0.0"));
  });
});

test("loopback is 127.0.0.0/8 and ::1", () => {
  const v6 = (last: number, first = 0) => Uint8Array.of(first, ...new Array(14).fill(0), last);
  expect(
    [
      [127, 0, 0, 1],
      [127, 9, 8, 7],
    ].map((bytes) => isLoopback(Uint8Array.from(bytes))),
  ).toEqual([true, true]);
  expect(isLoopback(v6(1))).toBe(true);
  expect([Uint8Array.of(10, 0, 0, 1), v6(0), v6(2), v6(1, 127)].map(isLoopback)).toEqual([
    false,
    false,
    false,
    false,
  ]);
});
