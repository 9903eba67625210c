import type { RelaySocket } from "../../runtime/relay.ts";

interface Entry {
  bytes: Uint8Array;
  /** How many of the origin's bytes these stand for, and were not reported yet. */
  credit: number;
}

/** What waits for a socket to take it, and the credit that the origin gets for it. */
export class Outbox {
  readonly #socket: Pick<RelaySocket, "write">;
  readonly #onTaken: (credit: number) => void;
  #entries: Entry[] = [];

  /** `onTaken` is told how many of the origin's bytes the socket has taken. */
  constructor(socket: Pick<RelaySocket, "write">, onTaken: (credit: number) => void) {
    this.#socket = socket;
    this.#onTaken = onTaken;
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  /** Queues `pieces`, which stand for `credit` bytes of the origin; more or fewer than they have, where a head changed. */
  push(pieces: readonly Uint8Array[], credit: number): void {
    let left = credit;
    for (const [index, bytes] of pieces.entries()) {
      const own = index === pieces.length - 1 ? left : Math.min(left, bytes.length);
      left -= own;
      this.#entries.push({ bytes, credit: own });
    }
    if (left > 0) this.#onTaken(left);
  }

  /** Writes what the socket takes; the number of bytes, or that the socket takes none any more. */
  flush(): number | "broken" {
    let taken = 0;
    let credit = 0;
    for (let entry = this.#entries[0]; entry !== undefined; entry = this.#entries[0]) {
      const count = entry.bytes.length === 0 ? 0 : this.#socket.write(entry.bytes);
      if (count < 0) return "broken";
      taken += count;
      const isWhole = count === entry.bytes.length;
      const earned = isWhole ? entry.credit : Math.min(count, entry.credit);
      credit += earned;
      entry.credit -= earned;
      entry.bytes = entry.bytes.subarray(count);
      if (!isWhole) break;
      this.#entries.shift();
    }
    if (credit > 0) this.#onTaken(credit);
    return taken;
  }

  clear(): void {
    this.#entries = [];
  }
}
