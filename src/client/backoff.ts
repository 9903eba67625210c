import type { Random } from "../proto/index.ts";

const FIRST_MS = 250;
const LONGEST_MS = 30_000;
/** After so many the next delay is FIRST_MS × 2², at most. */
const FAILURES_WITHIN_A_SECOND = 3;
/** While a request waits, the next attempt is at most this far away. */
export const LONGEST_WAITED_FOR_MS = 1_000;

/**
 * How long to wait before the next dial: at once after a link was lost, then exponentially longer with full jitter, so
 * that the clients of a restarted server do not all come back in the same second.
 */
export class Backoff {
  readonly #random: Random;
  #failures = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** A link came up. */
  reset(): void {
    this.#failures = 0;
  }

  /** A link came up, but links die of it: the next dials do not come at once, but within a second as streams wait. */
  calm(): void {
    this.#failures = Math.min(this.#failures, FAILURES_WITHIN_A_SECOND);
  }

  /** Ms until the next attempt. `waitedFor`: a request waits for the link. */
  next(waitedFor: boolean): number {
    if (this.#failures++ === 0) return 0;
    const ceiling = Math.min(FIRST_MS * 2 ** (this.#failures - 2), LONGEST_MS);
    const [high = 0, low = 0] = this.#random(2);
    const delay = ceiling * ((high * 256 + low) / 65_536);
    return waitedFor ? Math.min(delay, LONGEST_WAITED_FOR_MS) : delay;
  }
}
