import type { Socket } from "bun";

/** Writes one buffer to a socket, as much at a time as the kernel takes: Bun keeps nothing of what it could not write. */
export class SocketWriter {
  readonly #socket: Socket<unknown>;
  #rest: Uint8Array;

  constructor(socket: Socket<unknown>, bytes: Uint8Array) {
    this.#socket = socket;
    this.#rest = bytes;
  }

  /** Goes on writing; to be called again at every `drain`. True when all is written. */
  write(): boolean {
    if (this.#rest.length === 0) return true;
    const taken = this.#socket.write(this.#rest);
    // Below zero: the socket is closed, which its `close` tells.
    if (taken > 0) this.#rest = this.#rest.subarray(taken);
    return this.#rest.length === 0;
  }
}
