import type { AcceptResult } from "../proto/index.ts";

/** What of a Hello decides where its link belongs. */
export interface LinkClaim {
  readonly slot: number;
  readonly gen: number;
}

/**
 * Where a link belongs. `stale`: a newer link of its slot has been here. `tooMany`: its tunnel has no room for another
 * slot. `new`: a tunnel is to be made for it, and the client is told `result`.
 */
export type Standing<T> =
  | { readonly kind: "stale" }
  | { readonly kind: "tooMany" }
  | { readonly kind: "known"; readonly tunnel: T }
  | { readonly kind: "new"; readonly result: Exclude<AcceptResult, "resumed"> };

export interface TunnelNamesLimits {
  /** Given-up tunnels that are remembered. */
  readonly remembered: number;
  /** For how long. */
  readonly rememberMs: number;
  /** Slots of one tunnel. */
  readonly slots: number;
}

/** The highest gen of each slot. It outlives the tunnel, for a dial that comes late must not bring one back. */
type Gens = Map<number, number>;

interface Mark {
  readonly gens: Gens;
  readonly droppedAt: number;
}

/**
 * Which tunnels a server has and which it has had, by `tunnelKey` (PROTOCOL.md section 8): fences links by gen, and
 * tells a client whether its tunnel is known, new or given up, so that no request is ever run twice. Without clock and
 * sockets, so that the simulator runs it as it is. Times are ms of any steady clock.
 */
export class TunnelNames<T> {
  readonly #limits: TunnelNamesLimits;
  readonly #live = new Map<string, { readonly tunnel: T; readonly gens: Gens }>();
  /** Given-up tunnels, the oldest first. */
  readonly #marks = new Map<string, Mark>();
  /** Until then there may be clients whose marks had to make room before their time. */
  #crowdedUntil = Number.NEGATIVE_INFINITY;

  constructor(limits: TunnelNamesLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#live.size;
  }

  /** How many given-up tunnels are remembered. */
  get remembered(): number {
    return this.#marks.size;
  }

  get(key: string): T | undefined {
    return this.#live.get(key)?.tunnel;
  }

  *entries(): IterableIterator<[key: string, tunnel: T]> {
    for (const [key, { tunnel }] of this.#live) yield [key, tunnel];
  }

  *values(): IterableIterator<T> {
    for (const { tunnel } of this.#live.values()) yield tunnel;
  }

  /** Where a link with this Hello belongs. Changes nothing: `enter` and `linked` do, once the link is taken. */
  standing(key: string, { slot, gen }: LinkClaim, now: number): Standing<T> {
    this.#forgetOld(now);
    const live = this.#live.get(key);
    const mark = this.#marks.get(key);
    const gens = live?.gens ?? mark?.gens;
    const latest = gens?.get(slot);
    if (latest !== undefined && gen <= latest) return { kind: "stale" };
    if (latest === undefined && (gens?.size ?? 0) >= this.#limits.slots) return { kind: "tooMany" };
    if (live !== undefined) return { kind: "known", tunnel: live.tunnel };
    // With marks gone before their time we cannot know, so all hear the worse. Also who lists nothing on this slot: it
    // may have sent something on another one, whose Hello then finds this tunnel and would hear `resumed`.
    const lost = mark !== undefined || now < this.#crowdedUntil;
    return { kind: "new", result: lost ? "dropped" : "created" };
  }

  /** A tunnel was made for `key`; if one of this name was given up, it takes over its gens. */
  enter(key: string, tunnel: T): void {
    this.#live.set(key, { tunnel, gens: this.#marks.get(key)?.gens ?? new Map() });
    this.#marks.delete(key);
  }

  /** A link with this slot and gen was taken into the tunnel: older ones of the slot are stale from now on. */
  linked(key: string, { slot, gen }: LinkClaim): void {
    this.#live.get(key)?.gens.set(slot, gen);
  }

  /** The tunnel is given up, for whatever reason. */
  drop(key: string, now: number): void {
    const live = this.#live.get(key);
    if (live === undefined) return;
    this.#live.delete(key);
    this.#marks.set(key, { gens: live.gens, droppedAt: now });
    this.#forgetOld(now);
    const [oldest] = this.#marks;
    if (oldest === undefined || this.#marks.size <= this.#limits.remembered) return;
    this.#marks.delete(oldest[0]);
    this.#crowdedUntil = Math.max(this.#crowdedUntil, oldest[1].droppedAt + this.#limits.rememberMs);
  }

  #forgetOld(now: number): void {
    for (const [key, { droppedAt }] of this.#marks) {
      if (now - droppedAt < this.#limits.rememberMs) return;
      this.#marks.delete(key);
    }
  }
}
