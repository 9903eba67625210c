import { LIMITS } from "./limits.ts";
import type { Stream } from "./stream.ts";

type GoOn = (stream: Stream, most?: number) => void;

/**
 * Streams whose applications were told to write no more, until each may go on: once little of it is unsent, and the
 * pool of kept bytes has room or the caller makes an exception. Costs nothing per packet for those that stand still.
 */
export class PausedReaders {
  readonly #all = new Set<Stream>();
  /** Those of which little is unsent: they wait for the pool. May name streams whose bytes are to be sent again. */
  readonly #forPool = new Set<Stream>();
  readonly #goOn: GoOn;

  /** `goOn` tells the stream's application; the stream is no longer paused then. */
  constructor(goOn: GoOn) {
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

  has(stream: Stream): boolean {
    return this.#all.has(stream);
  }

  /** Little of `stream` may be unsent now: it goes on, or waits for the pool. */
  eased(stream: Stream, poolHasRoom: boolean): void {
    if (!this.#all.has(stream) || !isShort(stream)) return;
    if (poolHasRoom) this.#release(stream);
    else this.#forPool.add(stream);
  }

  /** Lets `stream` write once, though the pool has no room. */
  except(stream: Stream, most?: number): void {
    if (this.#all.has(stream)) this.#release(stream, most);
  }

  /** The pool of kept bytes has room. */
  poolEased(): void {
    for (const stream of this.#forPool) {
      this.#forPool.delete(stream);
      if (isShort(stream)) this.#release(stream);
    }
  }

  #release(stream: Stream, most?: number): void {
    this.delete(stream);
    this.#goOn(stream, most);
  }
}

function isShort(stream: Stream): boolean {
  return stream.sending.unsentBytes <= LIMITS.streamLowWaterBytes;
}
