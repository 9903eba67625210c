import { totalmem } from "node:os";
import { assert, LIMITS, tunnelMemoryBound } from "../proto/index.ts";

const MiB = 1024 * 1024;
const HOUR_MS = 3_600_000;

/** Bounds of what clients can make a server hold, each with its reason. */
export const SERVER_LIMITS = {
  /** Gate nonces remembered per generation, 22 characters each: a day of a busy server, some 10 MB at most. */
  noncesRemembered: 65_536,
  /** Tunnels of one identity: a seat is shared by the parallel jobs of a CI. */
  tunnelsPerClient: 1_024,
  /** Tunnels of all: as many busy machines as one server's two cores could serve at all. */
  tunnels: 8_192,
  /** Slots of one tunnel. `--links` above a handful gains nothing, and each slot costs memory in every mark below. */
  linksPerTunnel: 16,
  /** Links of one identity: two for each of its tunnels, as when all of them replace theirs. */
  linksPerClient: 2_048,
  /** Links of all, a descriptor and some 20 KB each. */
  links: 16_384,
  /** Streams of one identity, as many as one tunnel may have. */
  streamsPerClient: 16_384,
  /** Streams of all, a descriptor each; service managers allow half a million. */
  streams: 65_536,
  /**
   * Tunnels remembered as given up, so that a late dial brings none back and its client repeats no request. Where more
   * are given up, the oldest mark makes room, and for as long as it should have lasted a client whose tunnel is unknown
   * here hears `dropped`: it loses what it had begun, but nothing runs twice. So the number is no matter of safety for
   * streams that were sent before. A Hello of a dial that was given up brings new ones; it can come until the
   * handshake's deadline, in which at most 10,000 tunnels are made and given up (2,000 handshakes/s).
   */
  droppedRemembered: 32_768,
  /**
   * A client may have sent a request in a tunnel whose first Accept it has never seen, and fallen asleep. It sends it
   * again in the tunnel's next Hello, unless it is told `dropped`; no application waits longer than a day.
   */
  droppedRememberedMs: 24 * HOUR_MS,
  /** WebSockets that have not proven a client yet. Above it the oldest goes first. */
  unproven: 1_024,
  /** Links that one address may have unproven at once: a company or a CI behind one address, coming back together. */
  linksPerAddress: 128,
  /** And how many more each second, if they never prove a client: 0.3 % of a core (a failed handshake is 0.6 ms). */
  linksPerAddressPerSecond: 4,
  /** Addresses whose links are counted: some 10 MB. Beyond it the one that was quiet for longest counts as new. */
  addressesCounted: 65_536,
  /** Entries of X-Forwarded-For that are read, from the right: nobody has more proxies of his own. */
  forwardedHops: 16,
  /**
   * How long a tunnel without links and streams is kept. Not only until the next retry: a request may have gone out on
   * the link that broke and never have come here. It waits for 15 s unless the user says otherwise, and is lost if the
   * tunnel is, for then its client cannot know that it has not run.
   */
  emptyTunnelMs: 60_000,
  /**
   * How long the streams of a tunnel without links hold up a drain: half a dozen attempts of a client that is there.
   * One that has been away for longer is not likely to be back before the drain ends.
   */
  drainDetachedMs: 10_000,
  /**
   * What the detached tunnels of one identity may hold: one tunnel with both pools full and a hundred streams, so that
   * a client with one tunnel practically never loses it to the budget.
   */
  detachedBytesPerClient: 256 * MiB,
  /** Bytes in a WebSocket that the client does not read: beyond the flight limit it answers without listening. */
  socketBufferBytes: 128 * 1024 * 1024,
  /** How often clients are looked through for those whose time is over. */
  expirySweepMs: 1_000,
  /** Clients and rules whose refusals are counted each, in a minute: some 1 MB. Beyond it they are counted together. */
  refusalsCounted: 4_096,
  /** How often half-closed streams are looked through, and refusals of the policy told; their limit is ten minutes. */
  sweepMs: 60_000,
  /**
   * How often it is looked whether descriptors are short, and whether a command waits for one: less time than a client's
   * dial may take, and than the second in which a revocation takes effect.
   */
  crowdLookMs: 250,
  /** How often a drain looks whether the last stream is done. */
  drainPollMs: 50,
  /** A request head that is not complete after this is closed (seconds, Bun's unit). */
  idleHttpSeconds: 10,
  /** Of a request: Caddyfile.example lets through 20 KB, and its answer to more must be Caddy's own. */
  requestHeadBytes: 32 * 1024,
} as const;

assert(SERVER_LIMITS.tunnelsPerClient <= SERVER_LIMITS.tunnels, "one identity cannot have more than all");
assert(SERVER_LIMITS.linksPerClient >= SERVER_LIMITS.tunnelsPerClient, "every tunnel may have a link");
assert(SERVER_LIMITS.links >= SERVER_LIMITS.tunnels, "every tunnel may have a link");
assert(
  SERVER_LIMITS.streamsPerClient >= LIMITS.maxStreams,
  "a tunnel may have the streams that Accept promises",
);
assert(
  SERVER_LIMITS.droppedRemembered >= SERVER_LIMITS.tunnels + 2 * LIMITS.handshakeDeadlineMs,
  "no mark makes room before its tunnel's last Hello, though all are given up at once and 2 a ms are made",
);
assert(
  SERVER_LIMITS.detachedBytesPerClient >= tunnelMemoryBound(100, LIMITS.poolBytes),
  "a client with one tunnel keeps it, though its pools are full",
);

/**
 * What all detached tunnels together may hold, by the memory of the machine: half of it, for the attached ones need
 * the other half. By count of identities alone there would be no bound: 10,000 clients may be on the list.
 */
export function detachedBudgetInAll(memoryBytes: number): number {
  return Math.max(SERVER_LIMITS.detachedBytesPerClient, Math.floor(memoryBytes / 2));
}

/** Part of the memory that is the pool of an identity's first tunnel, where that is more than one full pool. */
const POOL_PART = 32;

/**
 * Pools of a new tunnel, each way, by how many tunnels its identity has already: of the n-th a full pool, or the n-th
 * part of the identity's share of the memory if that is less. All pools of one identity are so at most 2 × (1 + 1/2 + … +
 * 1/1,024) = 15 shares, whatever it closes and opens meanwhile: less than half of the memory, and with a full pool for
 * a share where there is little memory, 1 GB. On top of them come, of each tunnel: in WebSockets as much as its sending pool;
 * one read, which filled that pool (1 MiB); and what its streams may have beyond full pools, so that each goes on: as much as
 * the sending pool once more, and 80 KiB a stream (`tunnelMemoryBound`).
 */
export function poolBytesOf(tunnels: number, memoryBytes: number): number {
  const share = Math.max(LIMITS.poolBytes, Math.floor(memoryBytes / POOL_PART));
  return Math.min(LIMITS.poolBytes, Math.floor(share / (tunnels + 1)));
}

assert(
  poolBytesOf(SERVER_LIMITS.tunnelsPerClient - 1, 0) >= LIMITS.maxEarlyBytes,
  "the last tunnel of an identity takes what comes early",
);

/** Memory that this process may use: the machine's, or less in a container. */
export function usableMemory(): number {
  const constrained = process.constrainedMemory();
  return constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
}
