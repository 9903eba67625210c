import { ProtocolError } from "./errors.ts";
import { LIMITS } from "./limits.ts";

/**
 * Which stream ids the client has used, so that the server tells a finished stream from one never opened. Ids are used
 * in order, but over several links they may arrive out of it.
 */
export class SeenStreams {
  #below: number;
  readonly #above = new Set<number>();

  /** Every id below `base` counts as seen. */
  constructor(base: number) {
    this.#below = base;
  }

  /** From now on every id below `base` counts as seen. */
  raise(base: number): void {
    if (base <= this.#below) return;
    for (const id of this.#above) if (id < base) this.#above.delete(id);
    this.#below = base;
    this.#close();
  }

  has(id: number): boolean {
    return id < this.#below || this.#above.has(id);
  }

  add(id: number): void {
    if (id - this.#below > LIMITS.maxSeenGap)
      throw new ProtocolError("tooManyStreams", `stream ${id} leaves a gap`);
    this.#above.add(id);
    this.#close();
  }

  #close(): void {
    while (this.#above.delete(this.#below)) this.#below += 1;
  }
}
