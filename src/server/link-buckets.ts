import { SERVER_LIMITS } from "./server-limits.ts";

interface Bucket {
  tokens: number;
  /** Milliseconds of the clock that the caller passes. */
  at: number;
}

const FULL = SERVER_LIMITS.linksPerAddress;
const PER_MS = SERVER_LIMITS.linksPerAddressPerSecond / 1_000;

/**
 * Token buckets: how many links each address may still begin. They come after the gate, so that only holders of a gate
 * key have one; a stranger can neither fill the table nor empty the bucket of a neighbour.
 */
export class LinkBuckets {
  // In the order of use. An address that is not there has a full bucket, so to forget one harms nobody.
  readonly #buckets = new Map<string, Bucket>();

  /** How many addresses are counted. */
  get size(): number {
    return this.#buckets.size;
  }

  /** Takes a token of `address`, if it has one. */
  take(address: string, now: number): boolean {
    const tokens = this.#tokensOf(address, now);
    if (tokens < 1) return false;
    this.#keep(address, tokens - 1, now);
    return true;
  }

  /** Puts back what an admitted client took. */
  giveBack(address: string, now: number): void {
    this.#keep(address, this.#tokensOf(address, now) + 1, now);
  }

  #tokensOf(address: string, now: number): number {
    const bucket = this.#buckets.get(address);
    return bucket === undefined ? FULL : Math.min(FULL, bucket.tokens + (now - bucket.at) * PER_MS);
  }

  #keep(address: string, tokens: number, now: number): void {
    this.#buckets.delete(address);
    if (tokens >= FULL) return;
    this.#buckets.set(address, { tokens, at: now });
    if (this.#buckets.size <= SERVER_LIMITS.addressesCounted) return;
    const [quietest] = this.#buckets.keys();
    if (quietest !== undefined) this.#buckets.delete(quietest);
  }
}
