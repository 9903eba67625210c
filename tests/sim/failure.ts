/** The simulation has shown a fault of the code under test. */
export class SimFailure extends Error {
  override readonly name = "SimFailure";
}

export function fail(message: string): never {
  throw new SimFailure(message);
}

export function check(condition: boolean, message: () => string): asserts condition {
  if (!condition) fail(message());
}

/** Enough for what led to a failure; SIM_TRACE asks for more. */
const DEFAULT_LINES = Number(process.env["SIM_TRACE"] ?? 400);

/** The last lines of what happened. Nothing is formatted unless somebody will read it. */
export class Trace {
  readonly enabled: boolean;
  readonly #limit: number;
  #lines: string[] = [];
  #dropped = 0;

  constructor(enabled: boolean, limit = DEFAULT_LINES) {
    this.enabled = enabled;
    this.#limit = limit;
  }

  add(time: number, line: () => string): void {
    if (!this.enabled) return;
    this.#lines.push(`${time.toFixed(2).padStart(10)} ${line()}`);
    if (this.#lines.length < 2 * this.#limit) return;
    this.#dropped += this.#lines.length - this.#limit;
    this.#lines = this.#lines.slice(-this.#limit);
  }

  text(): string {
    const head = this.#dropped > 0 ? [`… ${this.#dropped} earlier lines`] : [];
    return [...head, ...this.#lines.slice(-this.#limit)].join("\n");
  }
}
