import { dlopen, FFIType } from "bun:ffi";

const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const INT_BYTES = 4;

const libc = dlopen("libc.so.6", {
  setsockopt: {
    args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.u32],
    returns: FFIType.i32,
  },
});

/**
 * Keeps the kernel from taking megabytes on behalf of a slow path: they would be a queue that the path does not have.
 * Sockets that a listener accepts have its size.
 */
export function shrinkReceiveBuffer(fd: number, bytes: number): void {
  // Halved, because the kernel doubles it for its own bookkeeping.
  const value = new Int32Array([bytes / 2]);
  if (libc.symbols.setsockopt(fd, SOL_SOCKET, SO_RCVBUF, value, INT_BYTES) !== 0)
    throw new Error("the kernel refused a receive buffer");
}

/** Bun's sockets and listeners have a descriptor, which their types do not tell of. */
export function descriptorOf(socket: object): number {
  const fd = "fd" in socket ? socket.fd : undefined;
  if (typeof fd !== "number") throw new Error("this Bun does not tell a socket's descriptor");
  return fd;
}
