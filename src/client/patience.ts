/** The part of a keeper that says how long there has been no link. */
export interface Downtime {
  /** For how long no link has been up on which a stream could start, in ms; 0 while one is. */
  readonly downMs: number;
}

/** Timers may be a little early, and `--wait 0s` is no reason to look all the time. */
const MIN_LOOK_MS = 20;

/**
 * How long one request waits for a link: `waitMs` without one, however often it comes and goes before. One whose server
 * goes away does not count. While a link is up the request waits for the far server, which has its own deadline.
 */
export class Patience {
  readonly #downtime: Downtime;
  readonly #waitMs: number;
  readonly #onOver: () => void;
  readonly #begunAt = performance.now();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(downtime: Downtime, waitMs: number, onOver: () => void) {
    this.#downtime = downtime;
    this.#waitMs = waitMs;
    this.#onOver = onOver;
    this.#timer = setTimeout(() => this.#look(), waitMs);
  }

  /** The request waits no more. */
  end(): void {
    clearTimeout(this.#timer);
  }

  #look(): void {
    const { downMs } = this.#downtime;
    const waited = Math.min(downMs, performance.now() - this.#begunAt);
    if (downMs > 0 && waited >= this.#waitMs) return this.#onOver();
    this.#timer = setTimeout(() => this.#look(), Math.max(this.#waitMs - waited, MIN_LOOK_MS));
  }
}
