import type { ResetCode } from "./frames.ts";
import { ReceivingHalf } from "./receiving-half.ts";
import type { Level } from "./scheduler.ts";
import { SendingHalf } from "./sending-half.ts";

/**
 * What a stream is to its tunnel. `refused`: the dial failed, only the answer is still to be acknowledged. `reset`: we
 * have reset it and keep a tombstone until ResetAck, so that a lost RESET can be repeated.
 */
export type StreamPhase =
  | { readonly kind: "open" }
  | { readonly kind: "refused" }
  | { readonly kind: "reset"; readonly code: ResetCode };

/** One proxied connection inside a tunnel: two independent halves, and where its packets go. */
export class Stream {
  readonly id: number;
  readonly sending = new SendingHalf();
  readonly receiving = new ReceivingHalf();
  phase: StreamPhase = { kind: "open" };
  /** Slot of the link that carries it; undefined while that link is gone. Set by the stream table, which counts. */
  home: number | undefined;
  /** What of its sent bytes counts against the peer's pool, as last settled. */
  poolShare = 0;
  /** Client: perhaps of a tunnel that the server has lost, so that its bytes do not count against our pool. */
  isApart = false;
  /** What of its received bytes counts against our pool, as last settled. */
  ourPoolShare = 0;
  /** Scheduling: which list it waits in, bytes it may still send there, and when it last filled a whole share. */
  queue: "none" | Level = "none";
  deficit = 0;
  lastBulkAt = Number.NEGATIVE_INFINITY;

  constructor(id: number) {
    this.id = id;
  }

  /** Bytes or FIN wait, whether or not credit allows them. */
  get hasUnsent(): boolean {
    return this.phase.kind === "open" && (this.sending.unsentBytes > 0 || this.sending.finIsNext);
  }

  /** Both directions have ended and been acknowledged: it can be forgotten. */
  get complete(): boolean {
    if (this.phase.kind === "refused") return this.sending.known;
    return this.phase.kind === "open" && this.sending.complete && this.receiving.complete;
  }
}
