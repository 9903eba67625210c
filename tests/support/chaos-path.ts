/** `up` is what flows from the side that dialled. */
export type Direction = "up" | "down";

/** A late timer may be made up for by this much, so that a throttled path reaches its rate. */
const CATCH_UP_MS = 10;

/** What all connections of a chaos proxy share: the present state of the path, its rate and its counters. */
export class Path {
  delayMs = 0;
  /** 0: as fast as it goes. */
  bytesPerSecond = 0;
  swallowing = false;
  readonly stalled: Record<Direction, boolean> = { up: false, down: false };
  up = 0;
  down = 0;
  swallowed = 0;
  readonly #freeAt: Record<Direction, number> = { up: 0, down: 0 };
  readonly #onWake: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerAt = Number.POSITIVE_INFINITY;

  /** `onWake` is called when something that was held back may go. */
  constructor(onWake: () => void) {
    this.#onWake = onWake;
  }

  /** When bytes that arrived at `arrivedAt` may go on in `direction`; not after `now` means at once. */
  dueAt(direction: Direction, arrivedAt: number): number {
    if (this.stalled[direction]) return Number.POSITIVE_INFINITY;
    return Math.max(arrivedAt + this.delayMs, this.bytesPerSecond === 0 ? 0 : this.#freeAt[direction]);
  }

  /** `count` bytes went through at `now`. */
  passed(direction: Direction, count: number, now: number): void {
    this[direction] += count;
    if (this.bytesPerSecond === 0) return;
    const from = Math.max(this.#freeAt[direction], now - CATCH_UP_MS);
    this.#freeAt[direction] = from + (1_000 * count) / this.bytesPerSecond;
  }

  /** Calls `onWake` at `at`, or before. One timer for all. */
  wakeAt(at: number, now: number): void {
    if (at >= this.#timerAt || at === Number.POSITIVE_INFINITY) return;
    clearTimeout(this.#timer);
    this.#timerAt = at;
    this.#timer = setTimeout(
      () => {
        this.#timerAt = Number.POSITIVE_INFINITY;
        this.#onWake();
      },
      Math.max(at - now, 0),
    );
  }

  close(): void {
    clearTimeout(this.#timer);
  }
}
