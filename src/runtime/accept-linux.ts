import { withReserve } from "./descriptors.ts";
import { linuxLibc } from "./libc.ts";

/**
 * Accepts from a listening socket past Bun, with a descriptor of the reserve. Bun accepts from all of its listeners with
 * those that are free: where strangers open connections without end, somebody else has each before it.
 */
export interface SpareAccept {
  /** Whether a connection waits to be accepted. */
  isWaiting(listener: number): boolean;
  /** The descriptor of one that waits; undefined if there is none any more. */
  accept(listener: number): number | undefined;
}

const SYMBOLS = {
  poll: { args: ["ptr", "u64", "i32"], returns: "i32" },
  accept4: { args: ["i32", "ptr", "ptr", "i32"], returns: "i32" },
} as const;

// Values and layout of x86-64 and arm64: poll.h, bits/socket.h.
const POLLIN = 1;
const SOCK_NONBLOCK_CLOEXEC = 0o4000 | 0o2000000;

export function openSpareAccept(): SpareAccept | undefined {
  const libc = linuxLibc(SYMBOLS);
  if (libc === undefined) return undefined;
  return {
    isWaiting(listener) {
      // struct pollfd: the descriptor, then 16 bits each of what is asked and what is so.
      const asked = new Int32Array([listener, POLLIN]);
      return libc.poll(asked, 1n, 0) === 1;
    },
    accept(listener) {
      const fd = withReserve("own", () => libc.accept4(listener, null, null, SOCK_NONBLOCK_CLOEXEC));
      return fd < 0 ? undefined : fd;
    },
  };
}
