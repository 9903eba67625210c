import type { Socket } from "bun";
import type { Lane } from "./lane.ts";

/** What travels: bytes, or the end of them. */
type Parcel = { readonly at: number; readonly bytes: Uint8Array | "end" };

/** Bytes that the far socket has not taken, above which the near one is paused. */
const MAX_UNSENT_BYTES = 1024 * 1024;

/** One direction of one connection: from a socket, over a lane, into another socket. */
export class Pipe {
  readonly #lane: Lane;
  readonly #source: Socket<unknown>;
  #target: Socket<unknown> | undefined;
  readonly #travelling: Parcel[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #unsent: Uint8Array[] = [];
  #unsentBytes = 0;
  #isPaused = false;
  #ended = false;
  /** Nothing leaves before: the time that setting up a connection takes. */
  readonly #notBefore: number;

  constructor(lane: Lane, source: Socket<unknown>, notBefore: number) {
    this.#lane = lane;
    this.#source = source;
    this.#notBefore = notBefore;
  }

  /** Gives the pipe its far socket, and the socket what has arrived. */
  connect(target: Socket<unknown>): void {
    this.#target = target;
    this.#deliver();
  }

  get isDone(): boolean {
    return this.#ended;
  }

  push(bytes: Uint8Array): void {
    const now = performance.now();
    const { pieceBytes } = this.#lane;
    for (let start = 0; start < bytes.length; start += pieceBytes) {
      const piece = bytes.subarray(start, start + pieceBytes);
      const at = this.#lane.send(piece.length, Math.max(now, this.#notBefore));
      this.#travelling.push({ at, bytes: piece });
    }
    this.#pauseIfFull();
    this.#arm();
  }

  end(): void {
    const at = this.#lane.send(0, Math.max(performance.now(), this.#notBefore));
    this.#travelling.push({ at, bytes: "end" });
    this.#arm();
  }

  /** The far socket takes bytes again. */
  drained(): void {
    this.#write();
    this.#resume();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#travelling.length = 0;
    this.#unsent = [];
    this.#ended = true;
  }

  #pauseIfFull(): void {
    if (this.#isPaused) return;
    const isLaneFull = this.#lane.isFull(performance.now());
    if (!isLaneFull && this.#unsentBytes <= MAX_UNSENT_BYTES) return;
    this.#isPaused = true;
    this.#source.pause();
    if (isLaneFull) this.#lane.whenRoom(() => this.#resume());
  }

  #resume(): void {
    if (!this.#isPaused || this.#unsentBytes > MAX_UNSENT_BYTES) return;
    if (this.#lane.isFull(performance.now())) return this.#lane.whenRoom(() => this.#resume());
    this.#isPaused = false;
    this.#source.resume();
  }

  #arm(): void {
    const first = this.#travelling[0];
    if (this.#timer !== undefined || first === undefined) return;
    const wait = first.at - performance.now();
    if (wait <= 0) return this.#deliver();
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#deliver();
    }, wait);
  }

  #deliver(): void {
    if (this.#target === undefined) return;
    const now = performance.now();
    let count = 0;
    for (const { at, bytes } of this.#travelling) {
      if (at > now) break;
      count += 1;
      if (bytes === "end") this.#ended = true;
      else {
        this.#unsent.push(bytes);
        this.#unsentBytes += bytes.length;
      }
    }
    this.#travelling.splice(0, count);
    this.#write();
    this.#pauseIfFull();
    this.#arm();
  }

  #write(): void {
    while (this.#unsent[0] !== undefined) {
      const bytes = this.#unsent[0];
      const count = Math.max(this.#target?.write(bytes) ?? 0, 0);
      this.#unsentBytes -= count;
      if (count < bytes.length) {
        this.#unsent[0] = bytes.subarray(count);
        return;
      }
      this.#unsent.shift();
    }
    if (this.#ended) this.#target?.shutdown();
  }
}
