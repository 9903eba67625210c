import { type Library, ptr } from "bun:ffi";
import { readFileSync } from "node:fs";
import { systemCode } from "../runtime/errors.ts";
import { linuxLibc } from "../runtime/libc.ts";

/**
 * What networkInterfaces() leaves out on Linux: addresses of interfaces that are up without a carrier, such as a bridge
 * that nobody is on or a TUN device whose program has ended. The kernel takes connections to them all the same.
 */
export function openLinuxInterfaces(): (() => Uint8Array[] | undefined) | undefined {
  if (process.platform !== "linux") return undefined;
  const libc = linuxLibc(SYMBOLS);
  if (libc === undefined) return undefined;
  return () => {
    const ipv4 = ipv4Addresses(libc);
    const ipv6 = ipv6Addresses();
    return ipv4 === undefined || ipv6 === undefined ? undefined : [...ipv4, ...ipv6];
  };
}

const SYMBOLS = {
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  ioctl: { args: ["i32", "u64", "ptr"], returns: "i32" },
  close: { args: ["i32"], returns: "i32" },
} as const;
type Libc = Library<typeof SYMBOLS>["symbols"];

// Values and layouts of x86-64 and arm64: bits/socket.h, bits/ioctls.h, net/if.h.
const AF_INET = 2;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
const SIOCGIFCONF = 0x8912;
/** struct ifreq: 16 bytes of name, then a sockaddr_in with the address 4 bytes in. */
const IFREQ_BYTES = 40;
const ADDRESS_AT = 20;
/** Addresses that are asked for: more than anybody gives one machine. The rest would be missing. */
const MAX_ADDRESSES = 1_024;

/** netdevice(7): the IPv4 addresses of all interfaces. Undefined without a descriptor to ask through. */
function ipv4Addresses(libc: Libc): Uint8Array[] | undefined {
  const fd = libc.socket(AF_INET, SOCK_DGRAM_CLOEXEC, 0);
  if (fd < 0) return undefined;
  const list = new Uint8Array(MAX_ADDRESSES * IFREQ_BYTES);
  // struct ifconf: the length, 32 bits and as many of padding, which the kernel changes to what it wrote; a pointer.
  const request = new BigInt64Array([BigInt(list.length), BigInt(ptr(list))]);
  const failed = libc.ioctl(fd, SIOCGIFCONF, request) !== 0;
  libc.close(fd);
  if (failed) return undefined;
  const written = Number(request[0]);
  const addresses: Uint8Array[] = [];
  for (let at = 0; at < written; at += IFREQ_BYTES)
    addresses.push(list.slice(at + ADDRESS_AT, at + ADDRESS_AT + 4));
  return addresses;
}

/** proc_net(5): one address a line, 32 hex digits first. A kernel without IPv6 has no such file, and no addresses. */
function ipv6Addresses(): Uint8Array[] | undefined {
  try {
    const lines = readFileSync("/proc/net/if_inet6", "latin1").split("\n");
    return lines.flatMap((line) => {
      const hex = /^[0-9a-f]{32}(?= )/.exec(line)?.[0];
      return hex === undefined ? [] : [Uint8Array.fromHex(hex)];
    });
  } catch (error) {
    return systemCode(error) === "ENOENT" ? [] : undefined;
  }
}
