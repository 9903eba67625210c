import type { TunnelHost } from "./tunnel-host.ts";

/** What is open for one client, or for all. Bytes where not said otherwise. */
export type TunnelCounts = {
  /** Also those without a link. */
  readonly tunnels: number;
  /** Those that wait for their client's next link. */
  readonly detached: number;
  readonly links: number;
  readonly streams: number;
  /** Kept for sending, or for sending again. */
  readonly heldBytes: number;
  /** Received and not taken by sockets, beyond the streams' exemptions. */
  readonly pooledBytes: number;
};

/** Counters of a whole server. All but `remembered` are zero when nobody has used it for the resume window. */
export type RegistryStats = TunnelCounts & {
  /** Sockets to destinations. */
  readonly sockets: number;
  /** The most that detached tunnels keep, as it counts against their budget. */
  readonly detachedBytes: number;
  /** Timers of detached tunnels. */
  readonly timers: number;
  /** Given-up tunnels whose names are remembered. */
  readonly remembered: number;
};

export function countTunnels(hosts: Iterable<TunnelHost>): TunnelCounts {
  const counts = { tunnels: 0, detached: 0, links: 0, streams: 0, heldBytes: 0, pooledBytes: 0 };
  for (const host of hosts) {
    const { streams, heldBytes, ourPoolUsed } = host.driver.stats();
    counts.tunnels += 1;
    if (!host.attached) counts.detached += 1;
    counts.links += host.linkCount;
    counts.streams += streams;
    counts.heldBytes += heldBytes;
    counts.pooledBytes += ourPoolUsed;
  }
  return counts;
}
