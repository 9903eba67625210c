import { LIMITS } from "./limits.ts";

/** What silence on a link means so far. Suspect: dial another beside it. Dead: give it up. */
export type Health = "alive" | "suspect" | "dead";

/**
 * Decides when to ping and when a link is no longer believed (PROTOCOL.md section 10). Any inbound byte is life; what
 * differs is how long an answer may take: 10 s on an idle link, 3 s where somebody waits for it.
 */
export class Liveness {
  readonly #pingIdleMs: number;
  #heardAt: number;
  #waitingSince: number | undefined;
  #suspectAt = Number.POSITIVE_INFINITY;
  #pingWanted = false;
  /** Bytes of streams have come, and nothing has asked since whether more would. */
  #flowing = false;

  /** `jitter` in [0, 1) spreads the idle time over ± 20 %. */
  constructor(now: number, jitter: number) {
    this.#heardAt = now;
    this.#pingIdleMs = LIMITS.pingIdleMs * (0.8 + 0.4 * jitter);
  }

  get heardAt(): number {
    return this.#heardAt;
  }

  /** Something arrived from the peer. */
  heard(now: number): void {
    this.#heardAt = now;
    this.#waitingSince = undefined;
    this.#suspectAt = Number.POSITIVE_INFINITY;
  }

  /** What arrived had bytes of streams: more may be on its way, and who only receives owes the peer no packet to answer. */
  heardBytes(): void {
    this.#flowing = true;
  }

  /** Data went out, or a user waits: an answer is due within the short deadline. */
  expectSoon(now: number): void {
    this.#expect(LIMITS.urgentPingDeadlineMs, now);
  }

  /** A stream opens: ask at once unless the link has just shown life. */
  check(now: number): void {
    if (now - this.#heardAt >= LIMITS.quietLinkMs) this.probe(now);
  }

  /** The network has changed: ask at once, whatever was heard before. */
  probe(now: number): void {
    this.#pingWanted ||= this.#waitingSince === undefined;
    this.expectSoon(now);
  }

  /** This process or its machine has slept: its own silence says nothing of the peer, so every wait begins anew. */
  woke(now: number): void {
    this.#waitingSince = undefined;
    this.#suspectAt = Number.POSITIVE_INFINITY;
    this.probe(now);
  }

  /** True once for each ping that should be sent now. */
  takePing(now: number): boolean {
    const idle = this.#waitingSince === undefined && now >= this.#heardAt + this.#idleMs;
    if (!idle && !this.#pingWanted) return false;
    const isUrgent = this.#pingWanted || this.#flowing;
    // A flow that has stopped is waited for since then; a sleep of ours may lie in between, which does not count.
    if (idle && this.#flowing) this.#waitingSince = Math.max(this.#heardAt, now - LIMITS.stoppedFlowMs);
    this.#pingWanted = false;
    this.#flowing = false;
    this.#expect(isUrgent ? LIMITS.urgentPingDeadlineMs : LIMITS.pingDeadlineMs, now);
    return true;
  }

  get #idleMs(): number {
    return this.#flowing ? LIMITS.stoppedFlowMs : this.#pingIdleMs;
  }

  get pingWanted(): boolean {
    return this.#pingWanted;
  }

  health(now: number): Health {
    if (this.#waitingSince === undefined || now < this.#suspectAt) return "alive";
    return now >= this.#waitingSince + LIMITS.pingDeadlineMs ? "dead" : "suspect";
  }

  /**
   * When to look again, in ms on the caller's clock. `suspected`: the caller has seen that the link is suspect. By the
   * clock alone a deadline that passes between a look and this question would never be looked at.
   */
  nextWake(suspected: boolean): number {
    if (this.#waitingSince === undefined) return this.#heardAt + this.#idleMs;
    const deadAt = this.#waitingSince + LIMITS.pingDeadlineMs;
    return suspected ? deadAt : Math.min(this.#suspectAt, deadAt);
  }

  #expect(deadlineMs: number, now: number): void {
    this.#waitingSince ??= now;
    this.#suspectAt = Math.min(this.#suspectAt, now + deadlineMs);
  }
}
