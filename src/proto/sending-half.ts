import { assert } from "./assert.ts";
import { ChunkQueue } from "./chunk-queue.ts";
import { ProtocolError } from "./errors.ts";
import type { Frame } from "./frames.ts";
import { LIMITS } from "./limits.ts";

/** Unit 0 of a direction: the frame that opens it. */
export type HeadFrame = Extract<Frame, { type: "proxyConnect" | "proxyResponse" }>;

/**
 * One direction of a stream, as its sender keeps it: unit 0 is the head, units 1 to n the bytes, unit n + 1 is FIN
 * (PROTOCOL.md section 7). Everything at or above `acked` is kept until the peer has acknowledged it.
 */
export class SendingHalf {
  readonly #bytes = new ChunkQueue();
  #head: HeadFrame | undefined;
  #finished = false;
  #nextUnit = 0;
  /** Highest value of `#nextUnit` so far: after a resumption units below it are sent again. */
  #reached = 0;
  #acked = 0;
  #consumed = 0;
  #limit: number = LIMITS.initialWindowBytes;

  /** Next unit to send. */
  get nextUnit(): number {
    return this.#nextUnit;
  }

  /** True once anything was put into a packet. */
  get started(): boolean {
    return this.#nextUnit > 0;
  }

  /** True once the peer is known to have had anything of it. */
  get known(): boolean {
    return this.#acked > 0;
  }

  get head(): HeadFrame | undefined {
    return this.#head;
  }

  /** Bytes queued and not yet put into a packet. */
  get unsentBytes(): number {
    return this.#bytes.end - this.#sentBytes;
  }

  /** Bytes held in memory: whole chunks of which any byte is not acknowledged. */
  get heldBytes(): number {
    return this.#bytes.heldBytes;
  }

  /**
   * Bytes sent that the peer's application has not taken: what counts against its pool. Bytes about to be sent again
   * count, because an older link may have carried them all the same.
   */
  get outstandingBytes(): number {
    return this.#bytesBelow(this.#reached) - this.#consumed;
  }

  /** Bytes to be sent again, which count as outstanding already. */
  get repeatedBytes(): number {
    return this.#bytesBelow(this.#reached) - this.#sentBytes;
  }

  /** Bytes that the stream's own credit still allows. */
  get creditBytes(): number {
    return this.#limit - this.#sentBytes;
  }

  /** FIN is the next unit to send. */
  get finIsNext(): boolean {
    return this.#finished && this.#nextUnit === this.#bytes.end + 1;
  }

  /** Every unit including FIN is acknowledged, and nothing of it weighs on the peer's pool. */
  get complete(): boolean {
    return this.#finished && this.#acked > this.#bytes.end + 1 && this.outstandingBytes <= LIMITS.exemptBytes;
  }

  get finished(): boolean {
    return this.#finished;
  }

  get #sentBytes(): number {
    return this.#bytesBelow(this.#nextUnit);
  }

  #bytesBelow(unit: number): number {
    return Math.min(Math.max(unit - 1, 0), this.#bytes.end);
  }

  open(head: HeadFrame): void {
    assert(this.#head === undefined, "a direction opens once");
    this.#head = head;
  }

  write(chunk: Uint8Array): void {
    assert(!this.#finished, "no bytes after FIN");
    this.#bytes.push(chunk);
  }

  finish(): void {
    this.#finished = true;
  }

  /** Drops every byte kept. What was sent still counts as outstanding until the peer has dropped its part too. */
  abandon(): void {
    this.#bytes.clear();
  }

  headSent(): void {
    assert(this.#nextUnit === 0, "the head goes first");
    this.#advance(1);
  }

  /** The next bytes to send, at most `max`. The caller has checked credit. */
  peek(max: number): Uint8Array {
    return this.#bytes.slice(this.#nextUnit - 1, max);
  }

  bytesSent(count: number): void {
    this.#advance(this.#nextUnit + count);
  }

  finSent(): void {
    assert(this.finIsNext, "FIN goes last");
    this.#advance(this.#nextUnit + 1);
  }

  #advance(unit: number): void {
    this.#nextUnit = unit;
    this.#reached = Math.max(this.#reached, unit);
  }

  /** The peer has every unit below `unit`. */
  ack(unit: number): void {
    if (unit <= this.#acked) return;
    this.#acked = unit;
    this.#bytes.discard(Math.min(unit - 1, this.#bytes.end));
  }

  /** A WindowUpdate or a resume entry: both values only ever grow, so a late one changes nothing. */
  credit(consumed: number, limit: number): void {
    if (consumed > this.#bytesBelow(this.#reached))
      throw new ProtocolError("badAck", "consumed bytes that were never sent");
    this.#consumed = Math.max(this.#consumed, consumed);
    this.#limit = Math.max(this.#limit, limit);
    // The peer has had more on the link before this one than it knew of when it asked for this one.
    if (this.#consumed > this.#sentBytes) this.#goOnFrom(this.#consumed + 1);
  }

  /**
   * A new link: the peer expects `unit` next, or had expected it when it asked for the link; the link before this one
   * may have acknowledged more since. What is below has arrived, what is above is sent again.
   */
  resume(unit: number): void {
    if (unit > this.#reached)
      throw new ProtocolError("badAck", "the peer expects a unit that was never sent");
    this.#goOnFrom(Math.max(unit, this.#acked));
  }

  /** A new link, and the peer has said nothing of this stream. */
  resumeUnlisted(): void {
    this.#goOnFrom(this.#acked);
  }

  #goOnFrom(unit: number): void {
    this.ack(unit);
    this.#nextUnit = unit;
  }

  /** Starts again at unit 0, for a peer that never saw any of it. */
  restart(): void {
    assert(this.#acked === 0, "only what was never acknowledged can start again");
    this.#nextUnit = 0;
    this.#reached = 0;
    this.#limit = LIMITS.initialWindowBytes;
  }
}
