/** What detached tunnels may hold, in bytes. */
export interface DetachedBudget {
  readonly perClient: number;
  readonly inAll: number;
}

interface Owner {
  bytes: number;
  /** Its tunnels and what each holds, the longest detached first. */
  readonly tunnels: Map<string, number>;
}

/**
 * What tunnels hold whose client is away, and which of them go when that is too much: of a client over its budget its
 * own oldest, never another's. Where all clients together are over the process's, it is the one that holds most whose
 * oldest goes: who holds little is safe from those who hold much.
 *
 * A tunnel is entered with what it holds at that moment, which is the most it will: its sockets are paused, and what
 * waits for them only gets less.
 */
export class DetachedLedger {
  readonly #budget: DetachedBudget;
  readonly #owners = new Map<string, Owner>();
  readonly #ownerOf = new Map<string, string>();
  #bytes = 0;

  constructor(budget: DetachedBudget) {
    this.#budget = budget;
  }

  get size(): number {
    return this.#ownerOf.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  bytesOf(owner: string): number {
    return this.#owners.get(owner)?.bytes ?? 0;
  }

  /** The tunnel of `owner` that has been detached for longest. */
  oldestOf(owner: string): string | undefined {
    return this.#owners.get(owner)?.tunnels.keys().next().value;
  }

  /** A tunnel has lost its last link. Returns the tunnels to give up, this one perhaps among them; they have left. */
  enter(tunnel: string, owner: string, bytes: number): string[] {
    this.leave(tunnel);
    const account = this.#owners.get(owner) ?? { bytes: 0, tunnels: new Map() };
    this.#owners.set(owner, account);
    this.#ownerOf.set(tunnel, owner);
    account.tunnels.set(tunnel, bytes);
    account.bytes += bytes;
    this.#bytes += bytes;
    const over: string[] = [];
    while (this.bytesOf(owner) > this.#budget.perClient) this.#takeOldest(owner, over);
    while (this.#bytes > this.#budget.inAll) this.#takeOldest(this.#greediest(), over);
    return over;
  }

  /** The tunnel has a link again, or is gone. */
  leave(tunnel: string): void {
    const owner = this.#ownerOf.get(tunnel);
    const account = owner === undefined ? undefined : this.#owners.get(owner);
    if (owner === undefined || account === undefined) return;
    const bytes = account.tunnels.get(tunnel) ?? 0;
    this.#ownerOf.delete(tunnel);
    account.tunnels.delete(tunnel);
    account.bytes -= bytes;
    this.#bytes -= bytes;
    if (account.tunnels.size === 0) this.#owners.delete(owner);
  }

  #takeOldest(owner: string, into: string[]): void {
    const oldest = this.oldestOf(owner);
    if (oldest === undefined) return;
    this.leave(oldest);
    into.push(oldest);
  }

  #greediest(): string {
    let greediest = "";
    for (const [owner, { bytes }] of this.#owners) {
      if (bytes > this.bytesOf(greediest)) greediest = owner;
    }
    return greediest;
  }
}
