import type { AdmissionLimits } from "./client-account.ts";
import { DIAL_LIMITS, POOL_LIMITS } from "./limits.ts";
import type { PoolLimits } from "./pool.ts";
import { SERVER_LIMITS } from "./server-limits.ts";

/** What a server allows itself of all that costs a descriptor. */
export interface DescriptorLimits {
  readonly admission: AdmissionLimits;
  readonly pool: PoolLimits;
  readonly unproven: number;
  readonly pendingDials: number;
}

/** Below this a single browser or two can meet the limits. Service managers give half a million. */
const FEW = 4_096;

/**
 * The limits, lowered to what so many descriptors can hold: who was let in then hears "overloaded" before the process
 * has no descriptor left. Sixteenths of the table: streams nine, which lets ten thousand be open where 20,000 are allowed;
 * links three, dials two, unproven links and sockets connected ahead one each. What a dial has belongs to a stream but for
 * its second attempts, so that most of its part is left to the web site and the resolver.
 */
export function limitsWithin(descriptors = Number.POSITIVE_INFINITY): DescriptorLimits {
  const part = (most: number, sixteenths: number) =>
    Math.min(most, Math.max(1, Math.floor((descriptors * sixteenths) / 16)));
  return {
    admission: {
      ...SERVER_LIMITS,
      streams: part(SERVER_LIMITS.streams, 9),
      links: part(SERVER_LIMITS.links, 3),
    },
    pool: { ...POOL_LIMITS, inAll: part(POOL_LIMITS.inAll, 1) },
    unproven: part(SERVER_LIMITS.unproven, 1),
    pendingDials: part(DIAL_LIMITS.pendingDials, 2),
  };
}

/** What an operator should know of so many descriptors, if anything. */
export function descriptorWarning(descriptors: number | undefined): string | undefined {
  if (descriptors === undefined || descriptors >= FEW) return undefined;
  const { streams, links } = limitsWithin(descriptors).admission;
  return `few descriptors: ${streams} streams and ${links} links at once; raise the limit (ulimit -n, LimitNOFILE=)`;
}
