import type { LinkState } from "./slot-keeper.ts";

/** One slot, for the status page. A type, not an interface, so that it is known to be JSON. */
export type SlotStatus = {
  readonly slot: number;
  readonly state: LinkState;
  /** When its link came up or was lost, ISO 8601; absent before the first. */
  readonly since?: string;
  /** Of a link that is up. */
  readonly ageSeconds?: number;
  readonly rttMs?: number;
  readonly streams: number;
  readonly reconnects: number;
  readonly lastReason?: string;
};
