import { Quota } from "./quota.ts";
import type { SERVER_LIMITS } from "./server-limits.ts";

/** The limits that a registry keeps to; tests give smaller ones. */
export type AdmissionLimits = {
  readonly [K in keyof typeof SERVER_LIMITS]: number;
};

/** What is counted of the whole server. */
export interface ServerQuotas {
  readonly links: Quota;
  readonly streams: Quota;
  /** Sockets to destinations; their number is bounded by that of streams and of dials under way. */
  readonly sockets: Quota;
}

export function serverQuotas(limits: AdmissionLimits): ServerQuotas {
  return {
    links: new Quota(limits.links),
    streams: new Quota(limits.streams),
    sockets: new Quota(Number.POSITIVE_INFINITY),
  };
}

/** What one identity has here, through all of its tunnels. It exists as long as they do. */
export class ClientAccount {
  readonly tunnels = new Set<string>();
  readonly links: Quota;
  readonly streams: Quota;

  constructor(limits: AdmissionLimits, whole: ServerQuotas) {
    this.links = new Quota(limits.linksPerClient, whole.links);
    this.streams = new Quota(limits.streamsPerClient, whole.streams);
  }
}
