/** When a side renews its ratchet key, and how long it lets the peer keep one. Milliseconds and bytes of plaintext. */
export interface StepLimits {
  /** On its turn a side steps with the next packet once its own last step is this old … */
  readonly stepAfterMs: number;
  /** … or once this much was sealed and opened since: own sent bytes alone would let a download run for ever. */
  readonly stepAfterBytes: number;
  /** A peer that still uses its old chain after this much of its turn does not step at all. */
  readonly overdueAfterMs: number;
  readonly overdueAfterBytes: number;
}

/**
 * The clock of the Diffie-Hellman ratchet. Both sides measure from their own last step: for one that is when its key
 * was new, for the other's turn it is when that turn began.
 */
export class StepPolicy {
  readonly #limits: StepLimits;
  #steppedAt: number | undefined;
  #bytes = 0;

  constructor(limits: StepLimits) {
    this.#limits = limits;
  }

  /** A packet of `bytes` was sealed or opened. */
  count(bytes: number): void {
    this.#bytes += bytes;
  }

  /** The own side has stepped. */
  stepped(now: number): void {
    this.#steppedAt = now;
    this.#bytes = 0;
  }

  /** Whether the own side, on its turn, is to step now. The first step is due at once. */
  isDue(now: number): boolean {
    if (this.#steppedAt === undefined) return true;
    return now - this.#steppedAt >= this.#limits.stepAfterMs || this.#bytes >= this.#limits.stepAfterBytes;
  }

  /** Whether the peer, on its turn, should have stepped long ago. */
  isOverdue(now: number): boolean {
    if (this.#steppedAt === undefined) return false;
    return (
      now - this.#steppedAt > this.#limits.overdueAfterMs || this.#bytes > this.#limits.overdueAfterBytes
    );
  }

  /** Part of SplitRatchet's fingerprint. */
  state(): readonly (Uint8Array | number)[] {
    return [this.#steppedAt ?? -1, this.#bytes];
  }
}
