import { FairShare } from "./fair-share.ts";

export interface Turn {
  readonly ready: Promise<void>;
  /** Gives the turn up, or the place in line. Exactly once. */
  giveBack(): void;
}

/**
 * At most `atOnce` turns are out at a time, and at most `waiting` callers stand in line, a fair share of both for each
 * client. Clients whose callers wait are served in rotation, and of one client who came first.
 */
export class Turns {
  readonly #atOnce: FairShare;
  readonly #inLine: FairShare;
  /** By client, whose turn is next first. No line is empty. */
  readonly #lines = new Map<string, (() => void)[]>();

  constructor(atOnce: number, waiting: number) {
    this.#atOnce = new FairShare(atOnce);
    this.#inLine = new FairShare(waiting);
  }

  /** A turn, ready now or later; undefined where the client has its share of both. */
  take(client: string): Turn | undefined {
    if (!this.#lines.has(client) && this.#atOnce.take(client))
      return { ready: Promise.resolve(), giveBack: () => this.#end(client) };
    if (!this.#inLine.take(client)) return undefined;
    const { promise: ready, resolve: begin } = Promise.withResolvers<void>();
    const line = this.#lines.get(client) ?? [];
    line.push(begin);
    this.#lines.set(client, line);
    return { ready, giveBack: () => void (this.#leave(client, begin) || this.#end(client)) };
  }

  /** False for who has left the line because his turn came. */
  #leave(client: string, begin: () => void): boolean {
    const line = this.#lines.get(client);
    const place = line?.indexOf(begin) ?? -1;
    if (line === undefined || place === -1) return false;
    line.splice(place, 1);
    if (line.length === 0) this.#lines.delete(client);
    this.#inLine.giveBack(client);
    return true;
  }

  #end(client: string): void {
    this.#atOnce.giveBack(client);
    // With one more free turn the shares of several may have grown.
    while (this.#pass()) {}
  }

  /** Gives a free turn to whoever is next and has less than his share. */
  #pass(): boolean {
    for (const [client, line] of this.#lines) {
      const [next] = line;
      if (next === undefined || !this.#atOnce.take(client)) continue;
      // To the end of the rotation.
      this.#lines.delete(client);
      this.#lines.set(client, line);
      this.#leave(client, next);
      next();
      return true;
    }
    return false;
  }
}
