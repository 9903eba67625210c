/** Identities that come back: the clients of a busy server. A stranger's keys push them out, and cost what they cost. */
const KEPT = 1_024;

/** Remembers what was computed of public points, for a bounded number of them; the oldest makes room. */
export class PointMemo<T> {
  readonly #known = new Map<string, T>();

  /** What `compute` says of `point`, perhaps on an earlier occasion. What it throws is not remembered. */
  get(point: Uint8Array, compute: (point: Uint8Array) => T): T {
    const key = point.toHex();
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const value = compute(point);
    const [oldest] = this.#known.keys();
    if (oldest !== undefined && this.#known.size >= KEPT) this.#known.delete(oldest);
    this.#known.set(key, value);
    return value;
  }
}
