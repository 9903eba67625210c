import { dlopen, type Library } from "bun:ffi";
import { libcPath } from "./libc.ts";

const SYMBOLS = {
  ioctl: { args: ["i32", "u64", "ptr"], returns: "i32" },
  recv: { args: ["i32", "ptr", "u64", "i32"], returns: "i64" },
} as const;
type Libc = Library<typeof SYMBOLS>["symbols"];

// Values of x86-64 and arm64: asm-generic/ioctls.h, bits/socket.h.
const FIONREAD = 0x541b;
const MSG_DONTWAIT = 0x40;

const readable = new Int32Array(1);
let libc: Libc | undefined | "untried" = "untried";

/**
 * What has arrived on a paused socket, at most `most` bytes. Bun itself reads up to 512 KiB at once, and what it has
 * read has to be kept. Undefined where nothing is there, and where this cannot be done: on other systems than Linux.
 *
 * The end of input and errors stay where they are, for Bun to report: FIONREAD does not take them off the socket.
 */
export function readSome({ fd }: { readonly fd?: number }, most: number): Uint8Array | undefined {
  if (libc === "untried") libc = openLibc();
  // Bun gives -1 for a socket that it has closed.
  if (libc === undefined || fd === undefined || fd < 0) return undefined;
  if (libc.ioctl(fd, FIONREAD, readable) !== 0) return undefined;
  const length = Math.min(readable[0] ?? 0, most);
  if (length <= 0) return undefined;
  const bytes = new Uint8Array(length);
  const count = Number(libc.recv(fd, bytes, length, MSG_DONTWAIT));
  return count > 0 ? bytes.subarray(0, count) : undefined;
}

function openLibc(): Libc | undefined {
  if (process.platform !== "linux") return undefined;
  const path = libcPath();
  try {
    return path === undefined ? undefined : dlopen(path, SYMBOLS).symbols;
  } catch {
    // A libc without these names: whole reads it is.
    return undefined;
  }
}
