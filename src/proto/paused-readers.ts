import { LIMITS } from "./limits.ts";
import type { Stream } from "./stream.ts";

/**
 * Streams whose applications were told to write no more, until each may go on: once little of it is unsent, and the
 * pool of kept bytes has room or the stream holds none of it. Costs nothing per packet for those that stand still.
 */
export class PausedReaders {
  readonly #all = new Set<Stream>();
  /** Those of which little is unsent: they wait for the pool. May name streams whose bytes are to be sent again. */
  readonly #forPool = new Set<Stream>();
  readonly #goOn: (stream: Stream) => void;

  /** `goOn` tells the stream's application; the stream is no longer paused then. */
  constructor(goOn: (stream: Stream) => void) {
    this.#goOn = goOn;
  }

  add(stream: Stream): void {
    this.#all.add(stream);
    if (isShort(stream)) this.#forPool.add(stream);
  }

  delete(stream: Stream): void {
    this.#all.delete(stream);
    this.#forPool.delete(stream);
  }

  /** Bytes of `stream` were sent or acknowledged. */
  eased(stream: Stream, poolHasRoom: boolean): void {
    if (!this.#all.has(stream) || !isShort(stream)) return;
    // A stream that holds nothing may always read once: others that stand still must not stop it.
    if (poolHasRoom || stream.sending.heldBytes === 0) this.#release(stream);
    else this.#forPool.add(stream);
  }

  /** The pool of kept bytes has room. */
  poolEased(): void {
    for (const stream of this.#forPool) {
      this.#forPool.delete(stream);
      if (isShort(stream)) this.#release(stream);
    }
  }

  #release(stream: Stream): void {
    this.delete(stream);
    this.#goOn(stream);
  }
}

function isShort(stream: Stream): boolean {
  return stream.sending.unsentBytes <= LIMITS.streamLowWaterBytes;
}
