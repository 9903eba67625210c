import { assert } from "./assert.ts";
import { ProtocolError } from "./errors.ts";
import { LIMITS } from "./limits.ts";
import { SeenStreams } from "./seen-streams.ts";
import { Stream } from "./stream.ts";

export type Role = "client" | "server";

/**
 * The streams of one tunnel and what they hold together: bytes kept for sending, and the two pools of bytes sent but
 * not consumed, ours and the peer's. Every change of a half is followed by `settle`, which keeps the sums right.
 */
export class StreamTable {
  readonly #streams = new Map<number, Stream>();
  readonly #role: Role;
  #nextId = 0;
  readonly #seen = new SeenStreams(0);
  #heldBytes = 0;
  #peerPoolUsed = 0;
  #ourPoolUsed = 0;
  /** How many streams each slot has. */
  readonly #homes = new Map<number, number>();

  /** What the peer takes beyond the streams' exemptions: stated in its Hello or Accept, before that the least. */
  peerPoolBytes: number = LIMITS.maxEarlyBytes;
  readonly ourPoolBytes: number;

  constructor(role: Role, ourPoolBytes: number) {
    this.#role = role;
    this.ourPoolBytes = ourPoolBytes;
  }

  get size(): number {
    return this.#streams.size;
  }

  /** Bytes kept for sending or sending again. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Bytes the peer sent that our applications have not taken, beyond the exemptions. */
  get ourPoolUsed(): number {
    return this.#ourPoolUsed;
  }

  /** Bytes we sent that the peer's applications have not taken as far as we know, beyond the exemptions. */
  get peerPoolUsed(): number {
    return this.#peerPoolUsed;
  }

  get ourPoolFree(): number {
    return Math.max(this.ourPoolBytes - this.#ourPoolUsed, 0);
  }

  /** Not even a new stream's first window would find room. */
  get ourPoolIsScarce(): boolean {
    return this.ourPoolFree < LIMITS.initialWindowBytes;
  }

  get peerPoolFree(): number {
    return Math.max(this.peerPoolBytes - this.#peerPoolUsed, 0);
  }

  get(id: number): Stream | undefined {
    return this.#streams.get(id);
  }

  values(): IterableIterator<Stream> {
    return this.#streams.values();
  }

  /** Client: a new stream with the next id. */
  create(): Stream {
    assert(this.#role === "client", "only the client opens streams");
    return this.#insert(this.#nextId++);
  }

  /** Server: more streams are here than may run at once: new ones are to be refused, each by itself. */
  get overloaded(): boolean {
    return this.#streams.size > LIMITS.maxStreams;
  }

  /** Server: the client opened `id`. Undefined where the id was used before. @throws ProtocolError tooManyStreams */
  accept(id: number): Stream | undefined {
    if (this.#seen.has(id)) return undefined;
    if (this.#streams.size >= LIMITS.maxEntries) throw new ProtocolError("tooManyStreams");
    this.#seen.add(id);
    return this.#insert(id);
  }

  /** Server: a stream that ended before it was opened here uses up its id all the same. */
  markSeen(id: number): void {
    if (!this.#seen.has(id)) this.#seen.add(id);
  }

  /** Server: every lower id is used up, whether or not it ever came here. */
  startAt(base: number): void {
    this.#seen.raise(base);
  }

  /** Client: the lowest id that the server may not have seen. */
  base(): number {
    let base = this.#nextId;
    for (const stream of this.#streams.values()) if (!stream.sending.known) base = Math.min(base, stream.id);
    return base;
  }

  /** Whether the client has opened `id`, or used it up otherwise. */
  wasUsed(id: number): boolean {
    return this.#role === "client" ? id < this.#nextId : this.#seen.has(id);
  }

  /** The stream a frame names; undefined where it is finished. @throws ProtocolError unknownStream */
  find(id: number): Stream | undefined {
    const stream = this.#streams.get(id);
    if (stream !== undefined) return stream;
    if (!this.wasUsed(id)) throw new ProtocolError("unknownStream", `stream ${id}`);
    return undefined;
  }

  /** Bytes that `stream` may send now: its own credit, and its share of the peer's pool. */
  allowance(stream: Stream): number {
    const { creditBytes, outstandingBytes, repeatedBytes } = stream.sending;
    const exempt = Math.max(LIMITS.exemptBytes - outstandingBytes, 0);
    // No stream takes more than is left free (Choudhury and Hahne 1998): paused ones cannot stop the others.
    const pooled = Math.max(this.peerPoolFree - stream.poolShare, 0);
    return Math.min(creditBytes, repeatedBytes + exempt + pooled);
  }

  /** Gives `stream` to the link of `slot`, or to none. */
  setHome(stream: Stream, slot: number | undefined): void {
    this.#countHome(stream.home, -1);
    stream.home = slot;
    this.#countHome(slot, 1);
  }

  /** How many streams are at home on `slot`. */
  countAt(slot: number): number {
    return this.#homes.get(slot) ?? 0;
  }

  #countHome(slot: number | undefined, by: 1 | -1): void {
    if (slot === undefined) return;
    const count = this.countAt(slot) + by;
    if (count === 0) this.#homes.delete(slot);
    else this.#homes.set(slot, count);
  }

  /** Runs a change of `stream`'s halves and brings the sums up to date, also when a peer's fault ends it halfway. */
  settle(stream: Stream, change: () => void): void {
    const held = stream.sending.heldBytes;
    try {
      change();
    } finally {
      this.#heldBytes += stream.sending.heldBytes - held;
      this.#share(stream);
    }
  }

  /** Client: `stream` may be of a tunnel that the server has lost. It weighs again once bytes arrive on it. */
  setApart(stream: Stream): void {
    this.settle(stream, () => {
      stream.isApart = true;
    });
  }

  /** Checks the pool after bytes arrived. @throws ProtocolError tunnelCredit */
  checkOurPool(): void {
    if (this.#ourPoolUsed > this.ourPoolBytes) throw new ProtocolError("tunnelCredit");
  }

  /** Compares the sums with the streams they are of: for simulators, after every step. */
  check(): void {
    let held = 0;
    let peerPool = 0;
    let ourPool = 0;
    const homes = new Map<number, number>();
    for (const stream of this.#streams.values()) {
      const { home, sending } = stream;
      if (home !== undefined) homes.set(home, (homes.get(home) ?? 0) + 1);
      held += sending.heldBytes;
      peerPool += Math.max(sending.outstandingBytes - LIMITS.exemptBytes, 0);
      ourPool += weightOf(stream);
    }
    assert(held === this.#heldBytes, `held ${this.#heldBytes}, streams hold ${held}`);
    assert(peerPool === this.#peerPoolUsed, `peer's pool ${this.#peerPoolUsed}, streams use ${peerPool}`);
    assert(ourPool === this.#ourPoolUsed, `our pool ${this.#ourPoolUsed}, streams use ${ourPool}`);
    for (const slot of new Set([...homes.keys(), ...this.#homes.keys()]))
      assert(
        this.countAt(slot) === (homes.get(slot) ?? 0),
        `slot ${slot} counts ${this.countAt(slot)} streams`,
      );
    assert(peerPool <= this.peerPoolBytes, `the peer's pool of ${this.peerPoolBytes} holds ${peerPool}`);
  }

  forget(stream: Stream): void {
    if (!this.#streams.delete(stream.id)) return;
    this.setHome(stream, undefined);
    this.#heldBytes -= stream.sending.heldBytes;
    this.#peerPoolUsed -= stream.poolShare;
    this.#ourPoolUsed -= stream.ourPoolShare;
  }

  #insert(id: number): Stream {
    const stream = new Stream(id);
    this.#streams.set(id, stream);
    return stream;
  }

  #share(stream: Stream): void {
    const theirs = Math.max(stream.sending.outstandingBytes - LIMITS.exemptBytes, 0);
    this.#peerPoolUsed += theirs - stream.poolShare;
    stream.poolShare = theirs;
    const ours = weightOf(stream);
    this.#ourPoolUsed += ours - stream.ourPoolShare;
    stream.ourPoolShare = ours;
  }
}

/** What `stream` weighs in our pool. Bytes of one that has ended badly are dropped on arrival and hold nothing. */
function weightOf({ phase, isApart, receiving }: Stream): number {
  if (phase.kind !== "open" || isApart) return 0;
  return Math.max(receiving.outstandingBytes - LIMITS.exemptBytes, 0);
}
