import type { Frame, ResumeEntry } from "./frames.ts";
import { LIMITS } from "./limits.ts";
import type { Link, SealedPacket } from "./link.ts";
import { Scheduler } from "./scheduler.ts";
import type { Stream } from "./stream.ts";

/**
 * How far a link is on its way into the tunnel. `hello`: the client waits for Accept and may send only a little.
 * `listing`: the peer's resume entries are still arriving. `open`: streams flow.
 */
export type AttachPhase = HelloPhase | ListingPhase | { readonly kind: "open" };

export interface HelloPhase {
  readonly kind: "hello";
  earlyBytes: number;
  earlyStreams: number;
  /** What has been sent so far, Hello's message included. */
  messages: number;
  bytes: number;
  /** What our list says; it holds once the server has taken the link. */
  readonly stated: readonly ResumeEntry[];
  /** The secret that Hello names. */
  readonly secret: Uint8Array;
}

export interface ListingPhase {
  readonly kind: "listing";
  missing: number;
  readonly entries: Map<number, ResumeEntry>;
  /** Server: the client had used up every lower id when it made its list. */
  readonly base: number;
  /** Server: what the client lists was in a tunnel that is gone. */
  readonly lost: boolean;
}

/** A link in its tunnel, with everything that waits to go out on it. */
export class AttachedLink {
  readonly link: Link;
  readonly scheduler = new Scheduler();
  phase: AttachPhase;
  /** Frames to send as they are, in order: Hello, Resume, Accept, GateKey, Pong … */
  readonly frames: Frame[] = [];
  /** Streams whose head (ProxyConnect, ProxyResponse) is to be sent, in order. */
  readonly heads = new Set<Stream>();
  /** Streams whose credit is to be restated; `updatesSoon` says that it cannot wait for another packet. */
  readonly updates = new Set<Stream>();
  updatesSoon = false;
  /** Streams whose RESET is to be sent. */
  readonly resets = new Set<Stream>();
  /** Streams whose RESET is to be acknowledged. */
  readonly resetAcks = new Set<number>();
  /** Streams first sent in the `hello` phase: the peer's resume list cannot know them. */
  readonly early = new Set<Stream>();
  /** Set for the packet that carries Hello or Accept: extra bytes of padding. */
  helloPadding = 0;
  suspected = false;
  /** Client: GoAway has come on it. Nothing new is started here. */
  goesAway = false;
  /** Client: when to ask for a replacement, in ms; once it was asked for, never again. */
  renewAt = Number.POSITIVE_INFINITY;

  constructor(link: Link, phase: AttachPhase) {
    this.link = link;
    this.phase = phase;
  }

  /** Before Accept the server takes only so much: false until then, once another packet might be more. */
  get maySend(): boolean {
    const { phase } = this;
    if (phase.kind !== "hello") return true;
    // A packet is two messages at most, and half of the bytes are more than the longest one.
    const { maxMessagesBeforeAccept, maxBytesBeforeAccept } = LIMITS;
    return phase.messages < maxMessagesBeforeAccept && phase.bytes < maxBytesBeforeAccept / 2;
  }

  /** A packet of it was sealed. */
  sent({ lead, body }: SealedPacket): void {
    if (this.phase.kind !== "hello") return;
    this.phase.messages += body === undefined ? 1 : 2;
    this.phase.bytes += lead.length + (body?.length ?? 0);
  }

  /**
   * The application has taken bytes of `stream`: restates its credit now, with the next packet, or not yet. `scarce`: the
   * pool has so little room that the sender may be standing still.
   */
  noteConsumed(stream: Stream, now: number, scarce = false): void {
    const due = stream.receiving.updateDue();
    if (due === "no") return;
    this.updates.add(stream);
    if (due === "soon" || scarce) this.updatesSoon = true;
    else this.link.promptWithin(now);
  }

  /** Control frames that should go out without waiting for data. */
  get hasUrgent(): boolean {
    return (
      this.frames.length > 0 ||
      this.resets.size > 0 ||
      this.resetAcks.size > 0 ||
      (this.updatesSoon && this.updates.size > 0) ||
      (this.heads.size > 0 && this.phase.kind !== "listing")
    );
  }
}
