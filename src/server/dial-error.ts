import type { DialFailure } from "../proto/index.ts";

/** Why a dial did not end in a connection. The client learns `failure`; message, rule and cause are for our own log. */
export class DialError extends Error {
  override readonly name = "DialError";
  readonly failure: DialFailure;
  /** The rule that decided, where the failure is `policy`. */
  readonly rule?: string;

  constructor(failure: DialFailure, message: string, options: { rule?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.failure = failure;
    if (options.rule !== undefined) this.rule = options.rule;
  }
}

const FAILURE_OF_ERRNO: Readonly<Record<string, DialFailure>> = {
  ECONNREFUSED: "refused",
  // The peer, or a middlebox in its name, took the connection back in the same moment.
  ECONNRESET: "refused",
  EPIPE: "refused",
  ETIMEDOUT: "timeout",
  EHOSTUNREACH: "hostUnreachable",
  EHOSTDOWN: "hostUnreachable",
  // ICMPv6 "administratively prohibited" and its kin (RFC 4443 section 3.1); ICMPv4 gives EHOSTUNREACH for the same.
  EACCES: "hostUnreachable",
  ENETUNREACH: "netUnreachable",
  ENETDOWN: "netUnreachable",
  // connect(2) on Linux where the route is a `blackhole` one.
  EINVAL: "netUnreachable",
  // A kernel without IPv6.
  EAFNOSUPPORT: "netUnreachable",
  // No port of ours is left for this destination.
  EADDRNOTAVAIL: "overloaded",
  EAGAIN: "overloaded",
  EMFILE: "overloaded",
  ENFILE: "overloaded",
  ENOBUFS: "overloaded",
  ENOMEM: "overloaded",
};

/** The failure that a system error of connect(2) stands for, by its name (`ECONNREFUSED`). */
export function failureOfErrno(name: string | undefined): DialFailure {
  return FAILURE_OF_ERRNO[name ?? ""] ?? "general";
}

/** How much a failure says about the destination: an address that answered "refused" outweighs one without a route. */
const WEIGHT: Readonly<Partial<Record<DialFailure, number>>> = {
  refused: 5,
  timeout: 4,
  hostUnreachable: 3,
  netUnreachable: 2,
  overloaded: 1,
};

/** Of the failures of several addresses, the one to report. The earlier address wins a tie. */
export function mostTelling(errors: readonly DialError[]): DialError {
  const [first, ...rest] = errors;
  if (first === undefined) return new DialError("general", "no address was tried");
  return rest.reduce((best, error) => (weightOf(error) > weightOf(best) ? error : best), first);
}

function weightOf(error: DialError): number {
  return WEIGHT[error.failure] ?? 0;
}
