import { Buffer } from "node:buffer";
import { linuxLibc } from "./libc.ts";

const SYMBOLS = {
  ioctl: { args: ["i32", "u64", "ptr"], returns: "i32" },
  recv: { args: ["i32", "ptr", "u64", "i32"], returns: "i64" },
} as const;

// Values of x86-64 and arm64: asm-generic/ioctls.h, bits/socket.h.
const FIONREAD = 0x541b;
const MSG_DONTWAIT = 0x40;

const readable = new Int32Array(1);
const libc = linuxLibc(SYMBOLS);

/**
 * What has arrived on a paused socket, `least` to `most` bytes, in a buffer of its own. Bun itself reads up to 512 KiB at
 * once, neither less where memory is short nor more where more would be cheaper, and copies it once more. Undefined where
 * less is there, and where this cannot be done: on other systems than Linux.
 *
 * The end of input and errors stay where they are, for Bun to report: FIONREAD does not take them off the socket.
 */
export function readSome({ fd }: { readonly fd?: number }, most: number, least = 1): Uint8Array | undefined {
  // Bun gives -1 for a socket that it has closed.
  if (libc === undefined || fd === undefined || fd < 0) return undefined;
  if (libc.ioctl(fd, FIONREAD, readable) !== 0) return undefined;
  const length = Math.min(readable[0] ?? 0, most);
  if (length < least) return undefined;
  // Not filled with zeros, which would cost as much as the copy; what recv(2) does not fill is not shown.
  const bytes = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
  const count = Number(libc.recv(fd, bytes, length, MSG_DONTWAIT));
  if (count === length) return bytes;
  return count > 0 ? bytes.subarray(0, count) : undefined;
}
