import type { Socket } from "bun";
import { type DialResult, LIMITS, type ResetCode } from "../proto/index.ts";
import { readSome } from "./read-some.ts";
import type { StreamListener, TunnelStream } from "./tunnel-stream.ts";
import { Unwritten } from "./unwritten.ts";

/** The part of a Bun TCP socket that a relay uses. */
export type RelaySocket = Pick<
  Socket<unknown>,
  "write" | "pause" | "resume" | "shutdown" | "end" | "terminate"
> & {
  /** Bun has it; its types do not. */
  readonly fd?: number;
};

/**
 * A read of this much is a turn: the socket is read again after all others that are ready. Bun itself reads up to ten
 * times from a socket that fills its buffer while nothing else is ready, and a sender that is served like that stays so:
 * of eight equal downloads one got ten times as much as another. For as long as turns are full the socket stays paused
 * and is read past Bun, a packet's worth at once: a quarter of a bulk transfer's CPU time (bench/NOTES.md).
 */
const TURN_BYTES = 128 * 1024;

/** Less than this is left to Bun: by the time it looks, more has come. */
const BULK_BYTES = LIMITS.maxChunkBytes / 2;

export interface RelayOptions {
  /** Client: the far connection stands, or why not. */
  readonly onResponse?: (result: DialResult) => void;
  /** The stream broke before anything was written to the socket, which is its owner's again: for an answer that says so. */
  readonly onUnanswered?: () => void;
  /** The stream broke before there was a socket: nobody waits for the dial any more. */
  readonly onAbandoned?: () => void;
  /** Socket and stream need nobody any more. Called once. */
  readonly onDone?: () => void;
}

/**
 * Joins a local TCP socket and a stream (step 2 of the journey in docs/ARCHITECTURE.md): bytes, back-pressure,
 * half-close and reset, both ways. The owner of the socket calls `socket…` from Bun's handlers; the tunnel calls `on…`.
 *
 * Ends map one to one: end of input is FIN; a broken socket is RESET; FIN in is `shutdown()` behind the last byte;
 * RESET in is `terminate()`. `end()` closes the descriptor even while the peer sends, so it comes only when both
 * directions are done.
 */
export class Relay implements StreamListener {
  readonly #options: RelayOptions;
  #socket: RelaySocket | undefined;
  #stream: TunnelStream | undefined;
  readonly #unwritten = new Unwritten();
  #inputEnded = false;
  #paused = false;
  /** It has had its turn. */
  #waits = false;
  /** Its last turn was a full one: it is read here, and stays paused. */
  #bulk = false;
  /** The tunnel has no link: nothing is read, whatever the stream would take. */
  #held = false;
  /** What it may write in spite of a full pool, once it is held no more. */
  #heldMost: number | undefined;
  /** A write has failed. Bun tells a paused socket nothing more then, and may report the end of others as a clean one. */
  #broken = false;
  #finArrived = false;
  /** The socket's peer was given something, or soon will be. */
  #answered = false;
  #shutDown = false;
  #done = false;
  #progressAt = performance.now();

  constructor(options: RelayOptions = {}) {
    this.#options = options;
  }

  /** Gives the relay its stream. */
  join(stream: TunnelStream): void {
    this.#stream = stream;
  }

  /** Gives the relay its socket, and the socket what has arrived for it. */
  connect(socket: RelaySocket): void {
    this.#socket = socket;
    this.#flush();
    if (this.#finArrived && this.#unwritten.isEmpty) this.#shutdown();
  }

  get done(): boolean {
    return this.#done;
  }

  /** Ms on performance.now() since which a half-closed relay has moved nothing; undefined while both ways are open. */
  get halfClosedSince(): number | undefined {
    return this.#inputEnded !== this.#shutDown ? this.#progressAt : undefined;
  }

  /** Writes bytes of our own to the socket, before any of the stream's: the answer to a proxy request. */
  inject(bytes: Uint8Array): void {
    if (bytes.length === 0 || this.#done) return;
    this.#answered = true;
    this.#unwritten.inject(bytes);
    this.#flush();
  }

  /** The socket gave bytes, which the tunnel keeps. */
  socketData(bytes: Uint8Array): void {
    if (this.#done || this.#inputEnded) return;
    this.#progressAt = performance.now();
    if (this.#stream?.write(bytes) === false) this.#pause();
    else if (bytes.length >= TURN_BYTES) this.#endTurn();
  }

  #endTurn(): void {
    if (this.#broken) return this.abort("connection");
    this.#bulk = true;
    this.#socket?.pause();
    this.#awaitTurn();
  }

  #awaitTurn(): void {
    if (this.#waits) return;
    this.#waits = true;
    setImmediate(() => {
      this.#waits = false;
      this.#resume();
    });
  }

  /** The socket takes bytes again. */
  socketDrain(): void {
    if (!this.#done) this.#flush();
  }

  /** The socket's peer sends no more. */
  socketEnd(): void {
    if (this.#done || this.#inputEnded) return;
    if (this.#broken) return this.abort("connection");
    this.#inputEnded = true;
    this.#stream?.finish();
    this.#endIfBoth();
  }

  /** The socket is gone. After our own shutdown the peer's FIN is reported as a close without error. */
  socketClose(error?: Error): void {
    if (this.#done) return;
    if (error === undefined && this.#shutDown && !this.#broken) {
      if (!this.#inputEnded) this.#stream?.finish();
      return this.#finish();
    }
    this.#stream?.reset("connection");
    this.#finish();
  }

  onResponse(result: DialResult): void {
    this.#options.onResponse?.(result);
  }

  onData(bytes: Uint8Array): void {
    if (this.#done) return;
    this.#answered = true;
    const isFirst = this.#unwritten.isEmpty;
    this.#unwritten.push(bytes);
    if (isFirst) this.#flush();
  }

  onFin(): void {
    this.#finArrived = true;
    if (this.#unwritten.isEmpty) this.#shutdown();
  }

  onReset(_code: ResetCode): void {
    const { onUnanswered } = this.#options;
    if (this.#done || this.#answered || this.#finArrived || onUnanswered === undefined) {
      return this.#terminate();
    }
    this.#finish();
    onUnanswered();
  }

  onFull(): void {
    this.#heldMost = undefined;
    if (!this.#done && !this.#paused) this.#pause();
  }

  onWritable(most?: number): void {
    if (this.#held) this.#heldMost = most;
    if (this.#done || (this.#held && most !== undefined) || this.#writesSome(most)) return;
    this.#paused = false;
    this.#goOn();
  }

  /** Many may be told at once, and what one of them reads may be the last that there is room for: others must hear first. */
  #goOn(): void {
    if (this.#bulk) this.#awaitTurn();
    else this.#resume();
  }

  /** Writes a little of what the socket has and leaves it paused; false if it is to be resumed. */
  #writesSome(most: number | undefined): boolean {
    if (most === undefined || this.#socket === undefined || this.#inputEnded) return false;
    const bytes = readSome(this.#socket, most);
    if (bytes === undefined) return false;
    this.#progressAt = performance.now();
    return this.#stream?.write(bytes) === false;
  }

  #resume(): void {
    if (this.#done || this.#paused || this.#held || this.#waits || this.#socket === undefined) return;
    const bytes = this.#readBulk(this.#socket);
    this.#bulk = bytes !== undefined;
    if (bytes === undefined) return this.#socket.resume();
    this.#progressAt = performance.now();
    if (this.#stream?.write(bytes) === false) this.#pause();
    else this.#awaitTurn();
  }

  #readBulk(socket: RelaySocket): Uint8Array | undefined {
    if (!this.#bulk || this.#inputEnded) return undefined;
    return readSome(socket, LIMITS.maxChunkBytes, BULK_BYTES);
  }

  /** Reads no more of the socket until `go`: nobody is there to send it to, and it would only fill memory. */
  hold(): void {
    if (this.#done) return;
    this.#held = true;
    if (this.#broken) return this.abort("connection");
    this.#socket?.pause();
  }

  /** Ends `hold`. The time of it does not count as time without progress. */
  go(): void {
    if (this.#done || !this.#held) return;
    this.#held = false;
    this.#progressAt = performance.now();
    const most = this.#heldMost;
    this.#heldMost = undefined;
    if (most === undefined) this.#goOn();
    else this.onWritable(most);
  }

  /** Breaks both sides: idle half-closed stream, drain deadline, a dial that failed on the way. */
  abort(code: ResetCode): void {
    if (this.#done) return;
    this.#stream?.reset(code);
    this.#terminate();
  }

  /** Lets go of the stream; the socket, if there is one, is its owner's again. */
  release(): void {
    if (!this.#done) this.#finish();
  }

  #pause(): void {
    if (this.#broken) return this.abort("connection");
    this.#paused = true;
    this.#socket?.pause();
  }

  #flush(): void {
    if (this.#socket === undefined) return;
    const written = this.#unwritten.flush(this.#socket);
    if (written === undefined) {
      this.#broken = true;
      // Another one, also one that waits for its turn, is still to give the rest of its input, and then its end.
      if (this.#paused || this.#held) this.abort("connection");
      return;
    }
    if (written.bytes === 0) return;
    this.#progressAt = performance.now();
    if (written.streamBytes > 0) this.#stream?.consumed(written.streamBytes);
    if (this.#finArrived && this.#unwritten.isEmpty) this.#shutdown();
  }

  #shutdown(): void {
    if (this.#shutDown || this.#done || this.#socket === undefined) return;
    this.#shutDown = true;
    this.#socket.shutdown();
    this.#endIfBoth();
  }

  #endIfBoth(): void {
    if (!this.#inputEnded || !this.#shutDown) return;
    this.#finish();
    this.#socket?.end();
  }

  #terminate(): void {
    if (this.#done) return;
    this.#finish();
    if (this.#socket === undefined) this.#options.onAbandoned?.();
    else this.#socket.terminate();
  }

  #finish(): void {
    this.#done = true;
    this.#unwritten.clear();
    this.#stream?.release();
    this.#options.onDone?.();
  }
}
