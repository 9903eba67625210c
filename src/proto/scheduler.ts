import type { Stream } from "./stream.ts";

/** Where a stream waits: it has sent next to nothing in one go, a little, or much. */
export type Level = "first" | "fresh" | "bulk";

/** What a stream sends ahead of all others: a keystroke, a request, the head of a page. */
const FIRST_BYTES = 2 * 1024;
/** A stream counts as small until it has sent this much in one go: a page's script, an image. */
const FRESH_BYTES = 64 * 1024;
/** A stream that filled its share within this time is no new one when it comes back. */
const BULK_MEMORY_MS = 100;
/** Share of a bulk stream per round. A larger packet is paid for with the rounds after it. */
const QUANTUM_BYTES = 256 * 1024;

/**
 * Whose bytes go next on a link. New and small streams go first, those that have sent least before the others (a
 * multi-level feedback queue), for up to half of what is sent; then the bulk streams in deficit round robin (Shreedhar
 * and Varghese 1996). So equal downloads share equally, and a keystroke waits neither behind them nor behind a page.
 */
export class Scheduler {
  readonly #first: Stream[] = [];
  readonly #fresh: Stream[] = [];
  readonly #bulk: Stream[] = [];
  /** Bytes of small streams sent above those of bulk ones, while both wait. */
  #freshLead = 0;

  get idle(): boolean {
    return !this.#hasSmall && this.#bulk.length === 0;
  }

  get #hasSmall(): boolean {
    return this.#first.length > 0 || this.#fresh.length > 0;
  }

  /** `stream` has something to send. */
  add(stream: Stream, now: number): void {
    if (stream.queue !== "none") return;
    if (now - stream.lastBulkAt < BULK_MEMORY_MS) return this.#addBulk(stream);
    stream.deficit = FRESH_BYTES;
    this.#push(stream, "first");
  }

  /**
   * The stream whose turn it is, still queued; of those that have come down to `lowest` at most. Where that leaves the
   * bulk streams out, small ones have no lead over them that they could not pay back: else a few would take everything.
   */
  next(lowest: Level = "bulk"): Stream | undefined {
    const small = this.#first[0] ?? this.#fresh[0];
    const lead = this.#bulk.length > 0 ? this.#freshLead : 0;
    const smallFirst = lead <= 0;
    if (lowest === "bulk") {
      return smallFirst ? (small ?? this.#nextBulk()) : (this.#nextBulk() ?? small);
    }
    if (lowest === "fresh" && smallFirst) return small;
    return lead <= FRESH_BYTES ? this.#first[0] : undefined;
  }

  /** The first of the bulk streams whose share of this round leaves it something to send; the others wait on. */
  #nextBulk(): Stream | undefined {
    for (let first = this.#bulk[0]; first !== undefined; first = this.#bulk[0]) {
      if (first.deficit <= 0) first.deficit += QUANTUM_BYTES;
      if (first.deficit > 0) return first;
      this.#bulk.shift();
      this.#bulk.push(first);
    }
    return undefined;
  }

  /** Bytes that `stream` may send before another has its turn, where others have sent as little as it has. */
  shareOf(stream: Stream): number {
    if (stream.queue !== "first" || this.#first.length === 1) return Number.POSITIVE_INFINITY;
    return stream.deficit - (FRESH_BYTES - FIRST_BYTES);
  }

  /** `stream`, as given by `next`, has sent `bytes`. */
  charge(stream: Stream, bytes: number, now: number): void {
    this.#balance(stream.queue === "bulk" ? -bytes : bytes);
    stream.deficit -= bytes;
    if (stream.deficit <= 0) {
      this.remove(stream);
      stream.lastBulkAt = now;
      this.#addBulk(stream);
    } else if (stream.queue === "first" && stream.deficit <= FRESH_BYTES - FIRST_BYTES) {
      this.remove(stream);
      this.#push(stream, "fresh");
    }
  }

  /** `stream` has nothing to send, or may not. */
  remove(stream: Stream): void {
    if (stream.queue === "none") return;
    const list = this.#list(stream.queue);
    const index = list.indexOf(stream);
    if (index >= 0) list.splice(index, 1);
    stream.queue = "none";
  }

  // A debt is kept: nobody gains by a pause that is shorter than BULK_MEMORY_MS. A longer one makes a new stream of it.
  #addBulk(stream: Stream): void {
    stream.deficit = Math.min(stream.deficit, 0);
    this.#push(stream, "bulk");
  }

  #push(stream: Stream, level: Level): void {
    stream.queue = level;
    this.#list(level).push(stream);
  }

  #list(level: Level): Stream[] {
    if (level === "first") return this.#first;
    return level === "fresh" ? this.#fresh : this.#bulk;
  }

  #balance(smallBytes: number): void {
    const contended = this.#hasSmall && this.#bulk.length > 0;
    this.#freshLead = contended ? this.#freshLead + smallBytes : 0;
  }
}
