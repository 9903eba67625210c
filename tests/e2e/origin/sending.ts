import type { Socket } from "bun";

/** The sending side of a socket: keeps what the kernel has not taken, and takes from a source only as it goes out. */
export class Sending {
  readonly #socket: Pick<Socket<unknown>, "write" | "shutdown">;
  #queue: Uint8Array[] = [];
  #source: Iterator<Uint8Array> | undefined;
  #finishing = false;

  constructor(socket: Pick<Socket<unknown>, "write" | "shutdown">) {
    this.#socket = socket;
  }

  push(bytes: Uint8Array): void {
    this.#queue.push(bytes);
    this.drain();
  }

  /** Sends all that `source` gives, behind what was pushed before. */
  pull(source: Iterator<Uint8Array>): void {
    this.#source = source;
    this.drain();
  }

  /** Ends the sending side once everything is out. */
  finish(): void {
    this.#finishing = true;
    this.drain();
  }

  drain(): void {
    for (let bytes = this.#next(); bytes !== undefined; bytes = this.#next()) {
      const taken = Math.max(this.#socket.write(bytes), 0);
      if (taken === bytes.length) continue;
      this.#queue.unshift(bytes.subarray(taken));
      return;
    }
    if (this.#finishing) this.#socket.shutdown();
    this.#finishing = false;
  }

  #next(): Uint8Array | undefined {
    const queued = this.#queue.shift();
    if (queued !== undefined) return queued;
    const next = this.#source?.next();
    return next?.done === false ? next.value : undefined;
  }
}
