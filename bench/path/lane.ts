/** What one direction of a path does to bytes. */
export interface LaneOptions {
  /** From one end to the other, in ms. */
  readonly delayMs: number;
  /** Bytes per ms; Infinity: no limit. */
  readonly bytesPerMs: number;
  /** Bytes that may wait for their turn before the senders are paused. */
  readonly queueBytes: number;
}

/** Bytes that wait for their turn are sent in pieces of about this duration, so that connections share the lane. */
const PIECE_MS = 1;
const MIN_PIECE_BYTES = 1_400;

/** One direction of a path, shared by all of its connections: one rate, one queue, one delay. */
export class Lane {
  readonly #options: LaneOptions;
  readonly #paused = new Set<() => void>();
  /** When what is queued now has left. */
  #freeAt = 0;
  #wake: ReturnType<typeof setTimeout> | undefined;
  /** Bytes that were sent through it. */
  bytes = 0;

  constructor(options: LaneOptions) {
    this.#options = options;
  }

  get pieceBytes(): number {
    return Math.max(MIN_PIECE_BYTES, Math.floor(this.#options.bytesPerMs * PIECE_MS));
  }

  /** Takes a piece at `now`, or as soon as it may leave after; returns when it arrives at the far end. */
  send(length: number, now: number): number {
    const { bytesPerMs, delayMs } = this.#options;
    this.bytes += length;
    this.#freeAt = Math.max(this.#freeAt, now) + length / bytesPerMs;
    return this.#freeAt + delayMs;
  }

  /** The sender is to stop; `resume` is called when there is room again. */
  isFull(now: number): boolean {
    return this.#queued(now) > this.#options.queueBytes;
  }

  whenRoom(resume: () => void): void {
    this.#paused.add(resume);
    this.#arm();
  }

  #queued(now: number): number {
    // Infinity × 0 is NaN: without a limit nothing ever waits.
    return this.#freeAt <= now ? 0 : (this.#freeAt - now) * this.#options.bytesPerMs;
  }

  #arm(): void {
    if (this.#wake !== undefined) return;
    const excess = this.#queued(performance.now()) - this.#options.queueBytes / 2;
    this.#wake = setTimeout(() => this.#release(), Math.max(excess / this.#options.bytesPerMs, 1));
  }

  #release(): void {
    this.#wake = undefined;
    const all = [...this.#paused];
    this.#paused.clear();
    // In turn, and only while there is room: who finds none waits again.
    for (const [index, resume] of all.entries()) {
      if (this.isFull(performance.now())) {
        for (const later of all.slice(index)) this.whenRoom(later);
        return;
      }
      resume();
    }
  }
}
