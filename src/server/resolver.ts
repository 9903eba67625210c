import type { DialFailure } from "../proto/index.ts";
import { parseIp } from "../runtime/address.ts";
import { messageOf, systemCode } from "../runtime/errors.ts";
import { RESOLVE_LIMITS } from "./limits.ts";
import { Turns } from "./turns.ts";

/**
 * The addresses of a name, 4 or 16 bytes each, best first, at least one. Rejects with ResolveError. What it returns is
 * still to be judged by the destination policy: a name may stand for any address, also one of this machine. `client` is
 * whose share of the look-ups it takes: one that asks for many names keeps nobody else waiting.
 */
export type Resolver = (name: string, client: string) => Promise<Uint8Array[]>;

/** Asks for the addresses of a name, as texts. Rejects with a system error whose `code` is one of c-ares. */
export type Lookup = (name: string) => Promise<string[]>;

/** Why a name has no addresses for us: it does not exist, nobody could say, or too many names are asked for already. */
export class ResolveError extends Error {
  override readonly name = "ResolveError";
  readonly failure: Extract<DialFailure, "nameNotFound" | "nameServerFailed" | "overloaded">;

  constructor(failure: ResolveError["failure"], message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.failure = failure;
  }
}

export interface ResolverOptions {
  readonly lookup: Lookup;
  readonly deadlineMs?: number;
  readonly lookupsAtOnce?: number;
  readonly waitingLookups?: number;
}

/** A resolver with a deadline, which includes the wait for a turn, and a bound on what it does at once, for each client and in all. */
export function createResolver({
  lookup,
  deadlineMs = RESOLVE_LIMITS.deadlineMs,
  lookupsAtOnce = RESOLVE_LIMITS.lookupsAtOnce,
  waitingLookups = RESOLVE_LIMITS.waitingLookups,
}: ResolverOptions): Resolver {
  const turns = new Turns(lookupsAtOnce, waitingLookups);
  return async (name, client) => {
    const turn = turns.take(client);
    if (turn === undefined) throw new ResolveError("overloaded", "too many names are being looked up");
    const expiry = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => expiry.reject(new ResolveError("nameServerFailed", `no answer for ${name} in ${deadlineMs} ms`)),
      deadlineMs,
    );
    try {
      const texts = await Promise.race([turn.ready.then(() => lookup(name)), expiry.promise]);
      return toAddresses(texts, name);
    } catch (error) {
      throw toResolveError(error, name);
    } finally {
      clearTimeout(timer);
      // Also at the deadline, while c-ares goes on by itself for up to half a minute: it holds no thread, and a client
      // that asks for dead names must not keep the turns of all others.
      turn.giveBack();
    }
  };
}

function toAddresses(texts: readonly string[], name: string): Uint8Array[] {
  // Texts with a zone id (fe80::1%eth0) are dropped here: link-local addresses are nothing a client can mean.
  const distinct = [...new Set(texts)].slice(0, RESOLVE_LIMITS.addressesPerName);
  const addresses = distinct.map(parseIp).filter((address) => address !== undefined);
  if (addresses.length === 0) throw new ResolveError("nameNotFound", `${name} has no addresses`);
  return addresses;
}

function toResolveError(error: unknown, name: string): ResolveError {
  if (error instanceof ResolveError) return error;
  const failure = isNotFound(error) ? "nameNotFound" : "nameServerFailed";
  return new ResolveError(failure, `looking up ${name}: ${messageOf(error)}`, error);
}

/** Whether a failed look-up says for certain: no such name, no address records, or a text that can be no name. */
export function isNotFound(error: unknown): boolean {
  const code = systemCode(error)?.replace(/^DNS_/, "");
  return code === "ENOTFOUND" || code === "ENODATA" || code === "EBADNAME";
}
