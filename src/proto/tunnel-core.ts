import { assert } from "./assert.ts";
import type { AttachedLink } from "./attached-link.ts";
import { equalBytes } from "./crypto/octets.ts";
import type { DialResult } from "./destination.ts";
import { EventQueue } from "./events.ts";
import type { ResetCode, ResumeEntry } from "./frames.ts";
import { LIMITS } from "./limits.ts";
import type { PaddingPolicy } from "./padding.ts";
import { PausedReaders } from "./paused-readers.ts";
import type { Random } from "./random.ts";
import type { Stream } from "./stream.ts";
import { type Role, StreamTable } from "./stream-table.ts";

export interface TunnelOptions {
  readonly role: Role;
  readonly random: Random;
  readonly padding: PaddingPolicy;
  /**
   * Bytes sent to us and not consumed that we take, beyond the streams' exemptions: at least `maxEarlyBytes`, for a
   * client does not know the number before Accept.
   */
  readonly poolBytes?: number;
  /** Bytes given to us and not acknowledged at which `write` asks for a pause, whatever their streams. */
  readonly sendPoolBytes?: number;
  /** Client: age at which a link is to be replaced, ± 20 %, in ms; `linkAgeMs` unless a test wants it sooner. */
  readonly linkAgeMs?: number;
  /** Server: how long the tunnel is kept without a link, in ms; Accept says so. */
  readonly resumeWindowMs?: number;
}

/** Part of the send pool at which paused readers go on. */
const SEND_POOL_LOW = 3 / 4;

/** What the parts of a tunnel share: its streams, its links by slot, and what its shell is to be told. */
export class TunnelCore {
  readonly role: Role;
  readonly random: Random;
  readonly padding: PaddingPolicy;
  readonly sendPoolBytes: number;
  readonly linkAgeMs: number;
  readonly resumeWindowMs: number | undefined;
  readonly streams: StreamTable;
  readonly events = new EventQueue();
  /** Links whose streams flow or are about to. */
  readonly links = new Map<number, AttachedLink>();
  /** Client: links that wait for Accept, beside an older one of the same slot or alone. */
  readonly pending = new Map<number, AttachedLink>();
  /** Streams that had bytes and credit, but no room in the peer's pool. */
  readonly poolBlocked = new Set<Stream>();
  readonly pausedReaders = new PausedReaders(({ id }, most) =>
    this.events.push({ kind: "writable", stream: id, ...(most === undefined ? {} : { most }) }),
  );
  /** Its readers have been told. */
  #sendPoolIsFull = false;
  /** Client: most streams the server takes at once. */
  maxStreams: number = LIMITS.maxStreams;
  /** Server: this tunnel replaces one that was given up; slots of which it knows what the client had there. */
  replacesDropped = false;
  readonly listedSlots = new Set<number>();
  /** Client: the secret of the tunnel that has our streams; the first one offered, until a server has taken another. */
  secret: Uint8Array | undefined;
  /** This side goes away, or to the client's knowledge the server does: see `Tunnel.goAway`. */
  goesAway = false;
  /** Client: the server has accepted this tunnel before, so streams of it may have run. */
  acceptedBefore = false;

  constructor(options: TunnelOptions) {
    this.role = options.role;
    this.random = options.random;
    this.padding = options.padding;
    assert((options.poolBytes ?? LIMITS.poolBytes) >= LIMITS.maxEarlyBytes, "a pool holds what comes early");
    this.sendPoolBytes = options.sendPoolBytes ?? LIMITS.sendPoolBytes;
    this.linkAgeMs = options.linkAgeMs ?? LIMITS.linkAgeMs;
    this.resumeWindowMs = options.resumeWindowMs;
    this.streams = new StreamTable(options.role, options.poolBytes ?? LIMITS.poolBytes);
  }

  /** The link that carries `stream`, if it has one. One that waits for Accept carries what began on it. */
  linkOf(stream: Stream): AttachedLink | undefined {
    if (stream.home === undefined) return undefined;
    const attached = this.links.get(stream.home);
    if (attached !== undefined) return attached;
    const pending = this.pending.get(stream.home);
    return !stream.sending.started || pending?.early.has(stream) ? pending : undefined;
  }

  /** Client: the link waits for a tunnel that has none of our streams: it is no home before it is accepted. */
  asksAnew({ phase }: AttachedLink): boolean {
    return phase.kind === "hello" && this.secret !== undefined && !equalBytes(phase.secret, this.secret);
  }

  /** Client: whether streams may start on the link. A server that goes away would refuse them. */
  takesStreams(attached: AttachedLink): boolean {
    if (this.asksAnew(attached)) return false;
    return attached.phase.kind === "hello" ? !this.goesAway : !attached.goesAway;
  }

  /** Client: GoAway has come: streams of which nothing was sent wait for another link, or for another server. */
  leave(attached: AttachedLink): void {
    this.goesAway = true;
    attached.goesAway = true;
    const { slot } = attached.link;
    for (const stream of this.streams.values()) {
      if (stream.home !== slot || stream.sending.started || stream.phase.kind !== "open") continue;
      attached.heads.delete(stream);
      this.streams.setHome(stream, undefined);
    }
    this.rehome();
  }

  /** Gives a stream without a link one: the least loaded of those that are not suspect, if there is such a one. */
  ensureHome(stream: Stream): void {
    if (stream.home !== undefined) return;
    this.streams.setHome(stream, this.#leastLoaded(this.links) ?? this.#leastLoaded(this.pending));
  }

  #leastLoaded(links: ReadonlyMap<number, AttachedLink>): number | undefined {
    const slots = [...links].filter(([, link]) => this.takesStreams(link)).map(([slot]) => slot);
    if (slots.length < 2) return slots[0];
    const trusted = slots.filter((slot) => links.get(slot)?.suspected === false);
    return (trusted.length > 0 ? trusted : slots).reduce((best, slot) =>
      this.streams.countAt(slot) < this.streams.countAt(best) ? slot : best,
    );
  }

  /** Client: streams of which nothing was sent go to whatever link there is. */
  rehome(): void {
    if (this.role !== "client" || this.links.size + this.pending.size === 0) return;
    for (const stream of this.streams.values()) {
      if (stream.home !== undefined || stream.phase.kind !== "open") continue;
      this.ensureHome(stream);
      this.#queueHead(stream);
    }
  }

  /** The peer knows of the streams of `slot` what `entries`, our list, says, and perhaps no more. */
  restated(slot: number, entries: readonly ResumeEntry[]): void {
    const consumed = new Map(entries.map((entry) => [entry.stream, entry.consumed]));
    for (const stream of this.streams.values()) {
      if (stream.home !== slot) continue;
      stream.receiving.restated(consumed.get(stream.id) ?? 0);
    }
  }

  /** Queues whatever `stream` can send: its head first, then bytes and FIN. */
  wake(stream: Stream, now: number): void {
    if (stream.phase.kind === "reset") return;
    if (!stream.sending.started) return this.#queueHead(stream);
    const attached = this.linkOf(stream);
    if (attached === undefined || attached.phase.kind === "listing") return;
    if (stream.hasUnsent) attached.scheduler.add(stream, now);
  }

  #queueHead(stream: Stream): void {
    const attached = this.linkOf(stream);
    if (attached === undefined || attached.phase.kind === "listing" || stream.sending.head === undefined)
      return;
    attached.heads.add(stream);
  }

  /** Server: answers an open stream's ProxyConnect. Of one that is refused only the answer is kept. */
  respond(stream: Stream, result: DialResult, now: number): void {
    stream.sending.open({ type: "proxyResponse", stream: stream.id, result });
    if (result !== "connected") stream.phase = { kind: "refused" };
    this.streams.settle(stream, () => {});
    this.wake(stream, now);
  }

  /** The application or the peer ended the stream for good: nothing of it is kept. */
  drop(stream: Stream): void {
    const attached = this.linkOf(stream);
    if (attached !== undefined) {
      attached.scheduler.remove(stream);
      attached.updates.delete(stream);
      attached.resets.delete(stream);
      attached.heads.delete(stream);
    }
    this.poolBlocked.delete(stream);
    this.pausedReaders.delete(stream);
    this.streams.forget(stream);
  }

  /** Ends a stream whose rest is gone: the application sees a broken connection, never a clean end. */
  breakStream(stream: Stream, code: ResetCode): void {
    this.drop(stream);
    if (stream.phase.kind === "open") this.events.push({ kind: "reset", stream: stream.id, code });
  }

  /** Client: the tunnel that had our streams is gone. What was started there is lost; what never left goes on. */
  loseStarted(): void {
    for (const stream of [...this.streams.values()]) {
      if (stream.sending.started) this.breakStream(stream, "lost");
    }
  }

  /** The peer has forgotten `stream`. That is its end if both directions had one, and else the rest is lost. */
  forgotten(stream: Stream): void {
    const { sending, receiving, phase } = stream;
    const ended = sending.finished && receiving.ended;
    if (phase.kind !== "open" || ended) this.drop(stream);
    else this.breakStream(stream, "lost");
  }

  /** Forgets `stream` once both ends are done with it. */
  forgetIfComplete(stream: Stream): void {
    if (stream.complete) this.drop(stream);
  }

  /** Room came free in the peer's pool or in ours: streams that waited for it may go on. */
  relieve(now: number): void {
    if (this.poolBlocked.size > 0 && this.streams.peerPoolFree > 0) {
      const waiting = [...this.poolBlocked];
      this.poolBlocked.clear();
      for (const stream of waiting) {
        this.wake(stream, now);
        this.eased(stream);
      }
    }
    if (!this.#sendPoolHasRoom) return;
    this.#sendPoolIsFull = false;
    this.pausedReaders.poolEased();
  }

  /** After bytes were queued: whether the writer of `stream` may go on. If not, `writable` says when. */
  mayWriteOn(stream: Stream): boolean {
    const full = this.streams.heldBytes >= this.sendPoolBytes;
    if (!full && stream.sending.unsentBytes < LIMITS.streamHighWaterBytes) return true;
    this.pausedReaders.add(stream);
    if (full && !this.#sendPoolIsFull) this.#pauseReaders();
    return false;
  }

  // Else each of a thousand would bring one more read of up to 512 KiB before it heard.
  #pauseReaders(): void {
    this.#sendPoolIsFull = true;
    for (const stream of this.streams.values()) {
      if (stream.phase.kind !== "open" || stream.sending.finished || this.pausedReaders.has(stream)) continue;
      this.pausedReaders.add(stream);
      this.events.push({ kind: "full", stream: stream.id });
      this.eased(stream);
    }
  }

  /** Bytes of `stream` went out or were acknowledged, or it has credit: its reader, if it was paused, may go on. */
  eased(stream: Stream): void {
    if (!this.pausedReaders.has(stream)) return;
    if (this.#sendPoolHasRoom || stream.sending.heldBytes > 0) {
      return this.pausedReaders.eased(stream, this.#sendPoolHasRoom);
    }
    // A stream that holds nothing and could send may always go on: others that stand still must not stop it.
    if (this.streams.allowance(stream) > 0) this.pausedReaders.except(stream, this.#sharedRead);
    else if (stream.sending.creditBytes > 0) this.poolBlocked.add(stream);
  }

  /** Bytes that each stream may be given beyond a full pool: all of them together no more than it, and the exemptions. */
  get #sharedRead(): number | undefined {
    const share = Math.max(Math.floor(this.sendPoolBytes / this.streams.size), LIMITS.exemptBytes);
    return share < LIMITS.maxReadBytes ? share : undefined;
  }

  /** Lower than where the pool is full, for each crossing tells every reader. */
  get #sendPoolHasRoom(): boolean {
    return this.streams.heldBytes <= this.sendPoolBytes * SEND_POOL_LOW;
  }
}
