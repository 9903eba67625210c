import type { Socket } from "bun";
import { release } from "../proto/index.ts";

/** What a flush has brought to the socket. */
export interface Written {
  readonly bytes: number;
  /** How many of them had come through the stream. */
  readonly streamBytes: number;
}

/** The chunks that a socket has not taken yet, oldest first. Each is given back as soon as it is written. */
export class Unwritten {
  #chunks: Uint8Array[] = [];
  /** How much of the first one the socket has taken. */
  #takenOfFirst = 0;
  /** How many of the bytes, in front, did not come through the stream. */
  #injectedBytes = 0;

  get isEmpty(): boolean {
    return this.#chunks.length === 0;
  }

  /** Bytes of the stream. */
  push(bytes: Uint8Array): void {
    this.#chunks.push(bytes);
  }

  /** Bytes of our own, before any of the stream's. */
  inject(bytes: Uint8Array): void {
    this.#chunks.push(bytes);
    this.#injectedBytes += bytes.length;
  }

  /** Writes what `socket` takes; undefined once it takes nothing any more. */
  flush(socket: Pick<Socket<unknown>, "write">): Written | undefined {
    let taken = 0;
    for (let first = this.#chunks[0]; first !== undefined; first = this.#chunks[0]) {
      const left = first.length - this.#takenOfFirst;
      const count = socket.write(first, this.#takenOfFirst, left);
      if (count < 0) return undefined;
      taken += count;
      if (count < left) {
        this.#takenOfFirst += count;
        break;
      }
      this.#chunks.shift();
      this.#takenOfFirst = 0;
      release(first);
    }
    const injected = Math.min(taken, this.#injectedBytes);
    this.#injectedBytes -= injected;
    return { bytes: taken, streamBytes: taken - injected };
  }

  clear(): void {
    this.#chunks = [];
  }
}
