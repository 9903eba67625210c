import type { Link, Random } from "../proto/index.ts";

export interface Timer {
  /** Does nothing once it has run. */
  cancel(): void;
}

/** A link whose keys are agreed; nothing of the tunnel has been said on it. */
export interface FreshLink {
  readonly link: Link;
  /** Identity of the server's process, 16 bytes. */
  readonly boot: Uint8Array;
}

/** `wrongServer`: what answered has another identity than the pinned one. */
export interface DialFailure {
  readonly reason: string;
  readonly wrongServer: boolean;
}

/**
 * Why a slot has no new link yet, and how the log says it. `refused`: the server was reached and wants none for now.
 * `otherServer`: what answered has another identity than the pinned one; perhaps somebody is in between.
 */
export const DIAL_PROBLEMS = {
  notReached: { level: "info", what: "server not reached" },
  refused: { level: "info", what: "link refused, will be tried again" },
  otherServer: { level: "warn", what: "another server answered: its identity is not the one of the link" },
} as const;

export type DialProblem = keyof typeof DIAL_PROBLEMS;

/** How a dial ends: exactly one of the two is called, unless it was given up before. */
export interface DialOutcome<D extends FreshLink> {
  dialled(fresh: D): void;
  failed(failure: DialFailure): void;
}

/** What the keepers of links have none of: a clock, WebSockets, a tunnel. The simulator has its own. */
export interface LinkShell<D extends FreshLink> {
  readonly random: Random;
  /** Ms of a steady clock. */
  now(): number;
  after(ms: number, run: () => void): Timer;
  /** Begins a dial, which ends within its own deadline; the result gives it up. */
  dial(slot: number, gen: number, outcome: DialOutcome<D>): () => void;
  /** Gives the link to the tunnel, which says Hello on it. */
  offer(fresh: D, secret: Uint8Array): void;
  /** Closes a link that was never offered. */
  discard(fresh: D): void;
  /** Closes a link that was offered; the keepers hear of it by `lost`. */
  lose(link: Link, reason: string): void;
  /** Whether streams have bytes that the server has not acknowledged: their applications wait as requests do. */
  holdsBytes(): boolean;
  /** The server has restarted: what was started there is lost, as the tunnel has found at the same Accept. */
  onRestarted(): void;
  /** No link for longer than the server keeps the tunnel: what was started there is lost. No link is offered. */
  onGivenUp(): void;
  onUp(slot: number): void;
  /** A dial has failed, or the server did not take the link; another comes. */
  onDialFailed(slot: number, problem: DialProblem, reason: string): void;
  /** The link of a slot that was up is gone. */
  onDown(slot: number, reason: string): void;
  /** What answers is not the server that this client knows, and has not been for too long to be an accident. */
  onWrongServer(): void;
}
