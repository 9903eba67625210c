/** Something that will happen. `cancel` does nothing once it has. */
export interface Timer {
  readonly time: number;
  cancel(): void;
}

class Entry implements Timer {
  readonly time: number;
  readonly order: number;
  run: (() => void) | undefined;
  readonly #onCancel: () => void;

  constructor(time: number, order: number, run: () => void, onCancel: () => void) {
    this.time = time;
    this.order = order;
    this.run = run;
    this.#onCancel = onCancel;
  }

  cancel(): void {
    if (this.run === undefined) return;
    this.run = undefined;
    this.#onCancel();
  }

  isBefore(other: Entry): boolean {
    return this.time < other.time || (this.time === other.time && this.order < other.order);
  }
}

/** Virtual time in ms: a heap of what is to happen, equal times in the order they were asked for. */
export class Clock {
  now = 0;
  /** Timers that are neither run nor cancelled. */
  waiting = 0;
  readonly #heap: Entry[] = [];
  #order = 0;

  /** Runs `run` at `time`, or now if that has passed. */
  at(time: number, run: () => void): Timer {
    const entry = new Entry(Math.max(time, this.now), this.#order++, run, () => {
      this.waiting -= 1;
    });
    this.waiting += 1;
    this.#heap.push(entry);
    this.#up(this.#heap.length - 1);
    return entry;
  }

  after(ms: number, run: () => void): Timer {
    return this.at(this.now + ms, run);
  }

  /** Runs the next timer. False when there is none. */
  step(): boolean {
    for (let entry = this.#take(); entry !== undefined; entry = this.#take()) {
      const { run } = entry;
      if (run === undefined) continue;
      entry.run = undefined;
      this.waiting -= 1;
      this.now = entry.time;
      run();
      return true;
    }
    return false;
  }

  #take(): Entry | undefined {
    const [first] = this.#heap;
    const last = this.#heap.pop();
    if (last !== undefined && last !== first) {
      this.#heap[0] = last;
      this.#down(0);
    }
    return first;
  }

  #up(start: number): void {
    let at = start;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#swapIfBefore(at, parent)) return;
      at = parent;
    }
  }

  #down(start: number): void {
    for (let at = start; ; ) {
      const left = 2 * at + 1;
      const right = left + 1;
      const leftEntry = this.#heap[left];
      if (leftEntry === undefined) return;
      const rightEntry = this.#heap[right];
      const child = rightEntry?.isBefore(leftEntry) ? right : left;
      if (!this.#swapIfBefore(child, at)) return;
      at = child;
    }
  }

  #swapIfBefore(lower: number, upper: number): boolean {
    const [one, other] = [this.#heap[lower], this.#heap[upper]];
    if (one === undefined || other === undefined || !one.isBefore(other)) return false;
    this.#heap[upper] = one;
    this.#heap[lower] = other;
    return true;
  }
}
