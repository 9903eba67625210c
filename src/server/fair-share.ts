/**
 * Places that clients share, so that none of them can have all: a client may have as many as are left free. Who asks
 * for ever more gets half of them, and n such clients the (n+1)st part each, with as much left for whoever comes next.
 */
export class FairShare {
  readonly #held = new Map<string, number>();
  #free: number;

  constructor(places: number) {
    this.#free = places;
  }

  mayTake(client: string): boolean {
    return (this.#held.get(client) ?? 0) < this.#free;
  }

  /** Takes a place, if the client may have one more. Every place must be given back once. */
  take(client: string): boolean {
    if (!this.mayTake(client)) return false;
    this.#held.set(client, (this.#held.get(client) ?? 0) + 1);
    this.#free -= 1;
    return true;
  }

  giveBack(client: string): void {
    const held = this.#held.get(client) ?? 0;
    if (held > 1) this.#held.set(client, held - 1);
    else this.#held.delete(client);
    this.#free += 1;
  }
}
