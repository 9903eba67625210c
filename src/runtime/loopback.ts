import { readdirSync } from "node:fs";
import { linuxLibc } from "./libc.ts";

const SYMBOLS = {
  getsockname: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
  setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
} as const;

// Values of x86-64 and arm64: bits/socket.h, netinet/tcp.h.
const AF_INET = 2;
const AF_INET6 = 10;
const IPPROTO_TCP = 6;
const TCP_CONGESTION = 13;
/** TCP_CA_NAME_MAX of linux/tcp.h. */
const MAX_NAME_BYTES = 16;
/** struct sockaddr_in6, the longer one. */
const ADDRESS_BYTES = 28;

/** Everybody may choose it: the kernel keeps it in tcp_allowed_congestion_control. */
const UNPACED = new TextEncoder().encode("reno");

const libc = linuxLibc(SYMBOLS);
const address = new Uint8Array(ADDRESS_BYTES);
const name = new Uint8Array(MAX_NAME_BYTES);
const length = new Uint32Array(1);

/**
 * Takes the pacing off a TCP socket that speaks to this same machine: to be called before it connects or listens to
 * anybody, for sockets inherit it from their listener. Many servers run BBR, which sets a timer for nearly every segment
 * so that routers need not queue. Over loopback there are none, and the timers take a fifth of a transfer's speed
 * (bench/NOTES.md).
 */
export function unpace(fd: number): void {
  if (libc === undefined) return;
  length[0] = name.length;
  if (libc.getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, length) !== 0) return;
  if (!new TextDecoder().decode(name).startsWith("bbr")) return;
  // Only advice: without it the socket is slower, no more.
  libc.setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, UNPACED, UNPACED.length);
}

/** The same for everything that comes to a listener of this process on `port`, if it listens on loopback alone. */
export function unpaceListener(port: number): void {
  // Bun.serve does not tell its descriptor.
  for (const fd of libc === undefined ? [] : ownDescriptors()) if (isLoopbackPort(fd, port)) unpace(fd);
}

function ownDescriptors(): readonly number[] {
  try {
    return readdirSync("/proc/self/fd").map(Number);
  } catch {
    return [];
  }
}

function isLoopbackPort(fd: number, port: number): boolean {
  length[0] = address.length;
  if (libc?.getsockname(fd, address, length) !== 0) return false;
  if (((address[2] ?? 0) << 8) + (address[3] ?? 0) !== port) return false;
  const family = new Uint16Array(address.buffer, 0, 1)[0];
  if (family === AF_INET) return isLoopback(address.subarray(4, 8));
  return family === AF_INET6 && isLoopback(address.subarray(8, 24));
}

/** Whether an IPv4 or IPv6 address, 4 or 16 bytes, is this machine's own: 127.0.0.0/8 or ::1. */
export function isLoopback(bytes: Uint8Array): boolean {
  if (bytes.length === 4) return bytes[0] === 127;
  return bytes.every((byte, index) => byte === (index === 15 ? 1 : 0));
}
