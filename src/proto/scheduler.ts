import { LIMITS } from "./limits.ts";
import type { Stream } from "./stream.ts";

/** A stream counts as small until it has sent this much in one go: a page's script, a burst of keystrokes. */
const FRESH_BYTES = 64 * 1024;
/** A stream that filled its share within this time is no new one when it comes back. */
const BULK_MEMORY_MS = 100;
/** Share of a bulk stream per round. */
const QUANTUM_BYTES = LIMITS.maxChunkBytes;

/**
 * Whose bytes go next on a link: new and small streams first, for up to half of what is sent, then the bulk streams in
 * deficit round robin (Shreedhar and Varghese 1996), so that equal downloads share equally and a keystroke does not
 * wait behind them.
 */
export class Scheduler {
  readonly #fresh: Stream[] = [];
  readonly #bulk: Stream[] = [];
  /** Bytes of fresh streams sent above those of bulk ones, while both wait. */
  #freshLead = 0;

  get idle(): boolean {
    return this.#fresh.length === 0 && this.#bulk.length === 0;
  }

  get hasFresh(): boolean {
    return this.#fresh.length > 0;
  }

  /** `stream` has something to send. */
  add(stream: Stream, now: number): void {
    if (stream.queue !== "none") return;
    if (now - stream.lastBulkAt < BULK_MEMORY_MS) this.#addBulk(stream);
    else {
      stream.queue = "fresh";
      stream.deficit = FRESH_BYTES;
      this.#fresh.push(stream);
    }
  }

  /** The stream whose turn it is, still queued. */
  next(): Stream | undefined {
    const freshFirst = this.#bulk.length === 0 || this.#freshLead <= 0;
    return freshFirst ? (this.#fresh[0] ?? this.#bulk[0]) : (this.#bulk[0] ?? this.#fresh[0]);
  }

  /** `stream`, as given by `next`, has sent `bytes`. */
  charge(stream: Stream, bytes: number, now: number): void {
    this.#balance(stream.queue === "fresh" ? bytes : -bytes);
    stream.deficit -= bytes;
    if (stream.deficit > 0) return;
    this.remove(stream);
    stream.lastBulkAt = now;
    this.#addBulk(stream);
  }

  /** `stream` has nothing to send, or may not. */
  remove(stream: Stream): void {
    const list = stream.queue === "fresh" ? this.#fresh : this.#bulk;
    const index = list.indexOf(stream);
    if (index >= 0) list.splice(index, 1);
    stream.queue = "none";
  }

  #addBulk(stream: Stream): void {
    stream.queue = "bulk";
    stream.deficit = Math.min(stream.deficit, 0) + QUANTUM_BYTES;
    this.#bulk.push(stream);
  }

  #balance(freshBytes: number): void {
    const contended = this.#fresh.length > 0 && this.#bulk.length > 0;
    this.#freshLead = contended ? this.#freshLead + freshBytes : 0;
  }
}
