import type { AttachedLink } from "./attached-link.ts";
import { EventQueue } from "./events.ts";
import type { ResetCode } from "./frames.ts";
import { LIMITS } from "./limits.ts";
import type { PaddingPolicy } from "./padding.ts";
import type { Random } from "./random.ts";
import type { Stream } from "./stream.ts";
import { type Role, StreamTable } from "./stream-table.ts";

export interface TunnelOptions {
  readonly role: Role;
  readonly random: Random;
  readonly padding: PaddingPolicy;
  /** Bytes sent to us and not consumed that we take, beyond the streams' exemptions. */
  readonly poolBytes?: number;
}

/** What the parts of a tunnel share: its streams, its links by slot, and what its shell is to be told. */
export class TunnelCore {
  readonly role: Role;
  readonly random: Random;
  readonly padding: PaddingPolicy;
  readonly streams: StreamTable;
  readonly events = new EventQueue();
  /** Links whose streams flow or are about to. */
  readonly links = new Map<number, AttachedLink>();
  /** Client: links that wait for Accept, beside an older one of the same slot or alone. */
  readonly pending = new Map<number, AttachedLink>();
  /** Streams that had bytes and credit, but no room in the peer's pool. */
  readonly poolBlocked = new Set<Stream>();
  /** Streams whose readers were told to pause. */
  readonly pausedStreams = new Set<Stream>();
  /** Client: most streams the server takes at once. */
  maxStreams: number = LIMITS.maxStreams;
  /** Client: the server has accepted this tunnel before, so streams of it may have run. */
  acceptedBefore = false;

  constructor(options: TunnelOptions) {
    this.role = options.role;
    this.random = options.random;
    this.padding = options.padding;
    this.streams = new StreamTable(options.role, options.poolBytes ?? LIMITS.poolBytes);
  }

  /** The link that carries `stream`, if it has one. */
  linkOf(stream: Stream): AttachedLink | undefined {
    return stream.home === undefined
      ? undefined
      : (this.links.get(stream.home) ?? this.pending.get(stream.home));
  }

  /** Gives a stream without a link one, the least loaded first. */
  ensureHome(stream: Stream): void {
    if (stream.home !== undefined) return;
    stream.home = (this.links.values().next().value ?? this.pending.values().next().value)?.link.slot;
  }

  /** Queues whatever `stream` can send: its head first, then bytes and FIN. */
  wake(stream: Stream, now: number): void {
    if (stream.phase.kind === "reset") return;
    const attached = this.linkOf(stream);
    if (attached === undefined || attached.phase.kind === "listing") return;
    const { sending } = stream;
    if (!sending.started) {
      if (sending.head !== undefined && !attached.heads.includes(stream)) attached.heads.push(stream);
    } else if (stream.hasUnsent) attached.scheduler.add(stream, now);
  }

  /** The application or the peer ended the stream for good: nothing of it is kept. */
  drop(stream: Stream): void {
    const attached = this.linkOf(stream);
    if (attached !== undefined) {
      attached.scheduler.remove(stream);
      attached.updates.delete(stream);
      attached.resets.delete(stream);
      const head = attached.heads.indexOf(stream);
      if (head >= 0) attached.heads.splice(head, 1);
    }
    this.poolBlocked.delete(stream);
    this.pausedStreams.delete(stream);
    this.streams.forget(stream);
  }

  /** Ends a stream whose rest is gone: the application sees a broken connection, never a clean end. */
  breakStream(stream: Stream, code: ResetCode): void {
    this.drop(stream);
    if (stream.phase.kind === "open") this.events.push({ kind: "reset", stream: stream.id, code });
  }

  /** Forgets `stream` once both ends are done with it. */
  forgetIfComplete(stream: Stream): void {
    if (stream.complete) this.drop(stream);
  }

  /** Room came free: streams that waited for the peer's pool, and readers that were paused, may go on. */
  relieve(now: number): void {
    if (this.poolBlocked.size > 0 && this.streams.peerPoolFree > 0) {
      const waiting = [...this.poolBlocked];
      this.poolBlocked.clear();
      for (const stream of waiting) this.wake(stream, now);
    }
    for (const stream of this.pausedStreams) {
      if (this.streams.heldBytes > LIMITS.sendPoolBytes - LIMITS.streamHighWaterBytes) return;
      if (stream.sending.unsentBytes > LIMITS.streamLowWaterBytes) continue;
      this.pausedStreams.delete(stream);
      this.events.push({ kind: "writable", stream: stream.id });
    }
  }
}
