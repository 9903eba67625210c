import { concat, EMPTY } from "./bytes.ts";
import { BEHIND_MAX_BYTES } from "./limits.ts";
import type { ExchangeTerms } from "./negotiation.ts";

const MAX_PARTS = 64;

/** What the origin gets of it, or that the request's body is broken. */
export interface InputStep {
  readonly forward: Uint8Array;
  readonly fault?: string;
}

/**
 * What an application sends during one exchange: the rest of its request, then what is behind it, the beginning of the
 * next one, which waits for the answer.
 */
export class RequestInput {
  readonly #terms: ExchangeTerms;
  #behind: Uint8Array[] = [];
  #behindBytes = 0;
  #isWhole = false;
  #hasMore = false;
  /** No more will come. */
  isEnded = false;

  constructor(terms: ExchangeTerms) {
    this.#terms = terms;
  }

  /** All of the request has come. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Something has come behind it, kept or not. */
  get hasMore(): boolean {
    return this.#hasMore;
  }

  /** The application has ended its input with this request and not with a later one. */
  get isLast(): boolean {
    return this.isEnded && this.#behindBytes === 0;
  }

  /** Its owner should read no more. What is under way still has its place. */
  get isFull(): boolean {
    return this.#behindBytes >= BEHIND_MAX_BYTES;
  }

  /** Looks at what came with the head. */
  start(): InputStep {
    const step = this.push(EMPTY, true);
    if (this.#isWhole) this.#keep(this.#terms.behind, true);
    return step;
  }

  /** Takes what came; without `keepsBehind` nothing is kept of what is no part of the request. */
  push(bytes: Uint8Array, keepsBehind: boolean): InputStep {
    const { forward, done, fault } = this.#terms.upload.push(bytes);
    if (fault !== undefined) return { forward, fault };
    this.#isWhole = done;
    if (done) this.#keep(bytes.subarray(forward.length), keepsBehind);
    return { forward };
  }

  /** All that is kept; nothing is left. */
  takeBehind(): Uint8Array {
    const all = concat(...this.#behind);
    this.#behind = [];
    this.#behindBytes = 0;
    return all;
  }

  #keep(bytes: Uint8Array, keepsBehind: boolean): void {
    if (bytes.length === 0) return;
    this.#hasMore = true;
    if (!keepsBehind || !this.#terms.keepsApplication) return;
    // A copy: these may be the small end of a large buffer.
    this.#behind.push(bytes.slice());
    this.#behindBytes += bytes.length;
    if (this.#behind.length > MAX_PARTS) this.#behind = [concat(...this.#behind)];
  }
}
