import type { Socket } from "bun";

/** What strangers send to a port: nothing, noise, other protocols, halves of ours, and far too much. */
const KINDS: readonly ((random: () => Uint8Array) => Uint8Array)[] = [
  () => new Uint8Array(0),
  (random) => random(),
  () => Uint8Array.of(0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03),
  () => Uint8Array.of(0x05),
  () => Uint8Array.of(0x05, 0xff),
  () => Uint8Array.of(0x05, 0x01, 0x00, 0x05, 0x09, 0x00, 0x7f),
  () => Uint8Array.of(0x05, 0x01, 0x00, 0x05, 0x01, 0x00, 0x03, 0xff, 0x61),
  () => Uint8Array.of(0x04, 0x01, 0x00, 0x50, 0x00, 0x00, 0x00, 0x01, 0x61),
  () => Buffer.from("GET / HTTP/1.1\r\nHost"),
  () => Buffer.from("CONNECT :::::99999 HTTP/9.9\r\n\r\n"),
  () => Buffer.from("GET http://[::1/ HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"),
  () => Buffer.from(`GET / HTTP/1.1\r\nX: ${"y".repeat(200_000)}`),
  () => Buffer.from("GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nCookie: sid=\r\n\r\n"),
  () => Buffer.from("\r\n".repeat(20_000)),
  (random) =>
    Buffer.concat([Buffer.from("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n"), random()]),
];

/** How a stranger leaves. */
const LEAVE: readonly ((socket: Socket<undefined>) => void)[] = [
  (socket) => socket.end(),
  (socket) => socket.terminate(),
  (socket) => socket.shutdown(),
  () => {},
];

/** Opens `count` connections to `port` at once, each with some garbage; ends them all after `lingerMs`. */
export async function garbageStorm(port: number, count: number, lingerMs: number): Promise<number> {
  const random = () =>
    crypto.getRandomValues(new Uint8Array(1 + Math.floor(Math.random() * 4_096))) as Uint8Array;
  const sockets: Socket<undefined>[] = [];
  const attempts = Array.from({ length: count }, async (_, index) => {
    const socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      allowHalfOpen: true,
      socket: { data() {}, error() {} },
    });
    sockets.push(socket);
    const bytes = KINDS[index % KINDS.length]?.(random) ?? new Uint8Array(0);
    socket.write(bytes);
    // The way of leaving changes with each round of kinds, so that every pair occurs.
    LEAVE[Math.floor(index / KINDS.length) % LEAVE.length]?.(socket);
  });
  const results = await Promise.allSettled(attempts);
  await Bun.sleep(lingerMs);
  for (const socket of sockets) socket.terminate();
  return results.filter(({ status }) => status === "fulfilled").length;
}
