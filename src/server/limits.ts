import { assert } from "../proto/index.ts";

/** Limits of resolving names. */
export const RESOLVE_LIMITS = {
  /** Enough for c-ares to give up on a dead name server (2 to 5 s) and ask the next; half of what a dial may take. */
  deadlineMs: 5_000,
  /** 64 at once gave 1,500 names a second; from 128 on some answers lacked a family (measured, docs/BUN-NOTES.md). */
  lookupsAtOnce: 64,
  /** A client alone has half (fair-share.ts): a thousand connections to names at once, of a crawler, are no flood. */
  waitingLookups: 4_096,
  /** No real service lists more; a hostile name server may list thousands. */
  addressesPerName: 64,
  /** How often a failed look-up may read /etc/resolv.conf again: often enough to follow a network that just came up. */
  reloadIntervalMs: 5_000,
} as const;

/** Limits of connecting to destinations. */
export const DIAL_LIMITS = {
  /** From the request to a connected socket, names included. Browsers give up later, so they hear the reason. */
  deadlineMs: 10_000,
  /** Connection Attempt Delay, the recommended value of RFC 8305 section 5. */
  staggerMs: 250,
  /** All of them are tried within 2 s of a dial, and each may hold a descriptor until the deadline. */
  addressesPerDial: 8,
  /**
   * Of all clients. One alone has half (fair-share.ts): a thousand connections at once are no flood. Nearly all of them
   * hold one descriptor, and where those are few it is less (descriptor-limits.ts).
   */
  pendingDials: 4_096,
} as const;

assert(RESOLVE_LIMITS.deadlineMs < DIAL_LIMITS.deadlineMs, "a resolved name must leave time to connect");
assert(
  DIAL_LIMITS.staggerMs * DIAL_LIMITS.addressesPerDial < DIAL_LIMITS.deadlineMs - RESOLVE_LIMITS.deadlineMs,
  "every address must get its turn before the deadline",
);

/** Limits of sockets connected ahead of need (src/server/pool.ts). */
export const POOL_LIMITS = {
  /** Two requests for a target this close make it worth a spare: the connections of a page come within a second or two. */
  repeatMs: 5_000,
  /** One for the next request, one for the one beside it. More would be a load on destinations that nobody uses. */
  perTarget: 2,
  /** A descriptor each, of all clients; where there are more the oldest goes. */
  inAll: 64,
  /** Servers wait 10 s and longer for the first byte of a request; past that a spare may be closed while it is handed out. */
  maxAgeMs: 10_000,
  /** After a peer has spoken first on a spare, or closed it: it will again, and each attempt is a load on it for nothing. */
  distrustMs: 60_000,
  /** Targets of one client whose last request is remembered: many pages at once, some 30 KB. */
  targetsPerClient: 256,
  /** How often spares are looked through for those whose time is over, while there are any. */
  sweepMs: 1_000,
} as const;

assert(POOL_LIMITS.perTarget <= POOL_LIMITS.inAll, "one target's spares are among all");
assert(POOL_LIMITS.inAll < DIAL_LIMITS.pendingDials / 2, "spares leave dials to requests");

/** Limits of the web site that strangers see. */
export const SITE_LIMITS = {
  /** Files up to this are read at once; a reader that stops reading holds no more of the server's memory than this. */
  bytesInMemory: 64 * 1024,
} as const;
