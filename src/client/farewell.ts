import type { RelaySocket } from "../runtime/relay.ts";

/** How long an application may take to read the last answer, before the socket is closed under it. */
const LINGER_MS = 2_000;
/** How long one that reads too slowly for the answer to be written may take. */
const ANSWER_MS = 30_000;

/**
 * The end of an application's connection: what is left to say, FIN, and a while in which input is read and dropped.
 * Closing a socket that has unread input makes the kernel reset it, and the answer is lost before it is read; a request
 * that crosses our FIN would meet the reset instead of the FIN.
 */
export class Farewell {
  readonly #socket: RelaySocket;
  #left: Uint8Array;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #inputEnded = false;
  #shutDown = false;

  constructor(socket: RelaySocket, words: Uint8Array) {
    this.#socket = socket;
    this.#left = words;
  }

  start(): void {
    this.#arm(ANSWER_MS, () => this.#socket.terminate());
    this.#socket.resume();
    this.socketDrain();
  }

  socketDrain(): void {
    if (this.#shutDown) return;
    const count = this.#left.length === 0 ? 0 : this.#socket.write(this.#left);
    if (count < 0) return this.#socket.terminate();
    this.#left = this.#left.subarray(count);
    if (this.#left.length > 0) return;
    this.#shutDown = true;
    this.#arm(LINGER_MS, () => this.#socket.end());
    this.#socket.shutdown();
    if (this.#inputEnded) this.#socket.end();
  }

  socketEnd(): void {
    this.#inputEnded = true;
    if (this.#shutDown) this.#socket.end();
  }

  /** The socket is gone. */
  socketClose(): void {
    clearTimeout(this.#timer);
  }

  #arm(ms: number, then: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(then, ms);
    this.#timer.unref();
  }
}
