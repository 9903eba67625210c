import type { Wire } from "./wire.ts";

const BYTE = new Uint8Array([42]);

/** Times the way of one byte there and back on an open stream, one byte at a time. */
export class Echo {
  readonly #wire: Wire;
  #answer: PromiseWithResolvers<void> | undefined;

  constructor(wire: Wire) {
    this.#wire = wire;
    wire.onData = () => this.#answer?.resolve();
    void wire.closed.then(() => this.#answer?.reject(new Error("the echo stream broke")));
  }

  /** Round trips in ms: so many, or for so long. */
  async measure({ count, durationMs }: { count?: number; durationMs?: number }): Promise<number[]> {
    const times: number[] = [];
    const until = performance.now() + (durationMs ?? Number.POSITIVE_INFINITY);
    while (times.length < (count ?? Number.POSITIVE_INFINITY)) {
      const started = performance.now();
      if (started >= until) break;
      this.#answer = Promise.withResolvers();
      this.#wire.write(BYTE);
      await this.#answer.promise;
      times.push(performance.now() - started);
    }
    return times;
  }

  close(): void {
    this.#wire.close();
  }
}
