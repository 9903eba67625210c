import type { Clock, Timer } from "./clock.ts";

/** One machine: its own reading of the clock, and it can be frozen (SIGSTOP, a closed lid). */
export class Node {
  readonly clock: Clock;
  readonly #settle: () => void;
  #offsetMs = 0;
  #frozen = false;
  #missed: (() => void)[] = [];

  /** `settle` runs after everything that happens here, as microtasks do. */
  constructor(clock: Clock, settle: () => void) {
    this.clock = clock;
    this.#settle = settle;
  }

  get now(): number {
    return this.clock.now + this.#offsetMs;
  }

  /** Something happens to this machine; when frozen, after the thaw. */
  run(input: () => void): void {
    if (this.#frozen) {
      this.#missed.push(input);
      return;
    }
    input();
    this.#settle();
  }

  /** A timer for a time on this machine's clock. */
  at(time: number, run: () => void): Timer {
    let cancelled = false;
    const timer = this.clock.at(time - this.#offsetMs, () => {
      // Between its time and a thaw a timer can still be cancelled.
      this.run(() => {
        if (!cancelled) run();
      });
    });
    return {
      time,
      cancel: () => {
        cancelled = true;
        timer.cancel();
      },
    };
  }

  after(ms: number, run: () => void): Timer {
    return this.at(this.now + ms, run);
  }

  jump(ms: number): void {
    this.#offsetMs += ms;
  }

  freeze(): void {
    this.#frozen = true;
  }

  /** The process is killed: what a frozen one has missed is nobody's any more. */
  reboot(): void {
    this.#frozen = false;
    this.#missed = [];
  }

  thaw(): void {
    this.#frozen = false;
    const missed = this.#missed;
    this.#missed = [];
    for (const input of missed) this.run(input);
  }
}
