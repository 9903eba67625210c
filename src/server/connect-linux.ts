import { type Library, read } from "bun:ffi";
import { constants } from "node:os";
import { getSystemErrorName } from "node:util";
import type { FdSocketOptions, SocketHandler, TCPSocketConnectOptions } from "bun";
import { systemCode } from "../runtime/errors.ts";
import { linuxLibc } from "../runtime/libc.ts";
import { isLoopback, unpace } from "../runtime/loopback.ts";
import { type Connect, Probe } from "./probe.ts";

/**
 * Connecting on Linux, with the true reason of every failure. Bun.connect reports refused, unreachable and timed out
 * alike (oven-sh/bun#37093) and cannot be aborted, so:
 *
 * 1. socket(2) and connect(2) are called here, non-blocking; what fails at once (no route) gives its errno.
 * 2. Bun adopts the descriptor while it connects, and watches it with its event loop: nothing is polled.
 * 3. `drain`, the first time the socket is writable, means connected. `close` means failed, and its error is the
 *    errno that read(2) found on the socket: refused, unreachable and timed out, each by its own name.
 *
 * docs/BUN-NOTES.md has the experiments; tests/server/dialer.netns.test.ts repeats them.
 */
export function openLinuxConnect(): Connect | undefined {
  const libc = linuxLibc(SYMBOLS);
  if (libc === undefined) return undefined;
  return (address, port, events) => {
    const probe = new Probe(address, port, events);
    const started = startConnect(libc, address, port);
    if (started.fd === undefined) failAtOnce(probe, started.errno);
    else adopt(libc, started.fd, probe);
    return probe;
  };
}

const SYMBOLS = {
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
  connect: { args: ["i32", "ptr", "u32"], returns: "i32" },
  close: { args: ["i32"], returns: "i32" },
  __errno_location: { args: [], returns: "ptr" },
} as const;

type Libc = Library<typeof SYMBOLS>["symbols"];

// Values of x86-64 and arm64, the machines Bun runs on: asm-generic/socket.h, bits/socket.h, netinet/tcp.h.
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM_NONBLOCK_CLOEXEC = 1 | 0o4000 | 0o2000000;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const ONE = new Int32Array([1]);

/** A descriptor that is connecting, or the errno why not. */
type Started = { readonly fd: number } | { readonly fd: undefined; readonly errno: number };

function startConnect(libc: Libc, address: Uint8Array, port: number): Started {
  const family = address.length === 4 ? AF_INET : AF_INET6;
  const fd = libc.socket(family, SOCK_STREAM_NONBLOCK_CLOEXEC, 0);
  if (fd < 0) return { fd: undefined, errno: readErrno(libc) };
  const target = socketAddress(address, port);
  // Without NODELAY Nagle's algorithm would hold a small write of the client back for a round trip. Only advice: its
  // failure would not be worth the connection.
  libc.setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, ONE, ONE.byteLength);
  if (isLoopback(address)) unpace(fd);
  if (libc.connect(fd, target, target.length) === 0) return { fd };
  const errno = readErrno(libc);
  // EINTR: the connection goes on in the background (connect(2)).
  if (errno === constants.errno.EINPROGRESS || errno === constants.errno.EINTR) return { fd };
  libc.close(fd);
  return { fd: undefined, errno };
}

/** The errno of the libc call just made. Nothing that allocates may come between, or the collector might change it. */
function readErrno(libc: Libc): number {
  const location = libc.__errno_location();
  return location === null ? 0 : read.i32(location, 0);
}

/** struct sockaddr_in or sockaddr_in6: family in host order, port in network order. */
function socketAddress(address: Uint8Array, port: number): Uint8Array {
  const isIpv4 = address.length === 4;
  const bytes = new Uint8Array(isIpv4 ? 16 : 28);
  bytes[0] = isIpv4 ? AF_INET : AF_INET6;
  bytes[2] = port >> 8;
  bytes[3] = port & 0xff;
  bytes.set(address, isIpv4 ? 4 : 8);
  return bytes;
}

/** connect(2) said no without sending a packet. A ban then is this host's own (a `prohibit` route, a BPF filter). */
function failAtOnce(probe: Probe, errno: number): void {
  const name = errno === 0 ? undefined : getSystemErrorName(-errno);
  if (name === "EACCES" || name === "EPERM") probe.fail(name, "policy", `this host's routes (${name})`);
  else probe.fail(name);
}

function adopt(libc: Libc, fd: number, probe: Probe): void {
  const options: FdSocketOptions<Probe> = { fd, allowHalfOpen: true, data: probe, socket: HANDLERS };
  // Bun's types declare FdSocketOptions, but no overload of connect that takes them.
  const accepted = options as unknown as TCPSocketConnectOptions<Probe>;
  Bun.connect(accepted).catch((error: unknown) => {
    // A descriptor that was not adopted stays open (tried with a file), so it is still ours.
    libc.close(fd);
    probe.fail(systemCode(error), "general");
  });
}

const HANDLERS: SocketHandler<Probe> = {
  // Called at once, within Bun.connect: it means adopted, not connected.
  open: (socket) => socket.data.attach(socket),
  drain: (socket) => socket.data.succeed(socket),
  // Bun reports writable before readable, so `drain` has handed the socket over by now. Were that to change, bytes
  // would be lost in silence; better that every dial fails.
  data: (socket) => socket.data.fail("data before drain", "general"),
  close: (socket, error) => socket.data.fail(systemCode(error)),
};
