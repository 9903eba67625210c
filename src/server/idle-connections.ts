import type { Library } from "bun:ffi";
import { mappedIpv4, parseIp } from "../runtime/address.ts";
import { descriptorLimit } from "../runtime/descriptors.ts";
import { linuxLibc } from "../runtime/libc.ts";

/** An eighth of the descriptors: where fewer are free, as many connections are closed, and where none is, all idle ones. */
const MARGIN_PART = 8;
/** In which no byte came or went. Whoever has a gate key sends a whole request at once. */
const IDLE_MS = 1_000;
/** Descriptors looked at in one go, some 20 ms. What is beyond has its turn in the next. */
const LOOKED_AT = 32_768;

export interface IdleConnectionsOptions {
  /** Where the server listens. */
  readonly port: number;
  /** Whether a peer (`peerName`) has a WebSocket, which other limits are for. */
  readonly isLink: (peer: string) => boolean;
}

/**
 * Closes connections of strangers that are idle while descriptors are short, the longest idle first: Bun accepts without
 * end, closes idle ones after ten seconds only, and `closeIdleConnections` knows of those alone that have had an answer.
 * So they are looked for among the descriptors of this process, by the port they are of, and shut down (shutdown(2)),
 * upon which Bun closes them in its own time: no descriptor is closed behind its back.
 */
export class IdleConnections {
  readonly #options: IdleConnectionsOptions;
  readonly #libc: Libc;
  #from = 0;

  /** Undefined on other systems than Linux. */
  static open(options: IdleConnectionsOptions): IdleConnections | undefined {
    const libc = linuxLibc(SYMBOLS);
    return libc === undefined ? undefined : new IdleConnections(options, libc);
  }

  private constructor(options: IdleConnectionsOptions, libc: Libc) {
    this.#options = options;
    this.#libc = libc;
  }

  /** Looks whether descriptors are short, and closes idle connections if so. Returns how many. */
  look(): number {
    const limit = descriptorLimit();
    const margin = Math.ceil((limit ?? 0) / MARGIN_PART);
    const inUse = this.#lowestFree();
    if (limit === undefined || inUse < limit - margin) return 0;
    const idle = this.#idle(limit).sort((one, other) => other.idleMs - one.idleMs);
    const chosen = inUse < limit ? idle.slice(0, margin) : idle;
    for (const { fd } of chosen) this.#libc.shutdown(fd, SHUT_RDWR);
    return chosen.length;
  }

  /** New descriptors get the lowest number that is free: at least so many are in use. */
  #lowestFree(): number {
    const fd = this.#libc.dup(0);
    if (fd < 0) return Number.POSITIVE_INFINITY;
    this.#libc.close(fd);
    return fd;
  }

  #idle(limit: number): { readonly fd: number; readonly idleMs: number }[] {
    const found: { fd: number; idleMs: number }[] = [];
    const count = Math.min(limit, LOOKED_AT);
    for (let each = 0; each < count; each++) {
      const fd = (this.#from + each) % limit;
      if (!this.#isStranger(fd)) continue;
      const idleMs = this.#idleMsOf(fd);
      if (idleMs >= IDLE_MS) found.push({ fd, idleMs });
    }
    this.#from = (this.#from + count) % limit;
    return found;
  }

  #isStranger(fd: number): boolean {
    const { port, isLink } = this.#options;
    if (this.#libc.getsockname(fd, address, lengthOf(address)) !== 0 || portOf(address) !== port)
      return false;
    // Of the listener itself there is no peer.
    if (this.#libc.getpeername(fd, address, lengthOf(address)) !== 0) return false;
    return !isLink(nameOf(ipOf(address), portOf(address)));
  }

  /** How long ago a byte came or went; 0 where the kernel does not say. */
  #idleMsOf(fd: number): number {
    if (this.#libc.getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, lengthOf(info)) !== 0) return 0;
    return Math.min(info[LAST_DATA_SENT] ?? 0, info[LAST_DATA_RECEIVED] ?? 0);
  }
}

/** A connection's other end, as `isLink` is asked for it. */
export function peerName(ip: string, port: number): string {
  // A link-local address comes with its zone, of which the kernel's bytes say nothing.
  return nameOf(parseIp(ip.split("%", 1)[0] ?? "") ?? new Uint8Array(), port);
}

function nameOf(ip: Uint8Array, port: number): string {
  return `${(mappedIpv4(ip) ?? ip).toHex()} ${port}`;
}

const SYMBOLS = {
  dup: { args: ["i32"], returns: "i32" },
  close: { args: ["i32"], returns: "i32" },
  shutdown: { args: ["i32", "i32"], returns: "i32" },
  getsockname: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  getpeername: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
} as const;
type Libc = Library<typeof SYMBOLS>["symbols"];

// Values and layouts of x86-64 and arm64: bits/socket.h, netinet/tcp.h, linux/tcp.h.
const SHUT_RDWR = 2;
const AF_INET6 = 10;
const IPPROTO_TCP = 6;
const TCP_INFO = 11;
/** tcpi_last_data_sent and tcpi_last_data_recv, as 32-bit words of struct tcp_info. */
const LAST_DATA_SENT = 11;
const LAST_DATA_RECEIVED = 13;

// Written by the calls, and read before the next one.
const address = new Uint8Array(28);
const info = new Uint32Array(26);
const length = new Uint32Array(1);

function lengthOf({ byteLength }: { readonly byteLength: number }): Uint32Array {
  length[0] = byteLength;
  return length;
}

/** Of a struct sockaddr_in or sockaddr_in6; that of another family is no port, and no listener's. */
function portOf(socketAddress: Uint8Array): number {
  return ((socketAddress[2] ?? 0) << 8) | (socketAddress[3] ?? 0);
}

function ipOf(socketAddress: Uint8Array): Uint8Array {
  return socketAddress[0] === AF_INET6 ? socketAddress.subarray(8, 24) : socketAddress.subarray(4, 8);
}
