import { UsageError } from "../runtime/errors.ts";
import { checkName } from "./names.ts";
import { STORE_LIMITS } from "./store-limits.ts";

/** What an operator may say about a new link. */
export interface InviteTerms {
  readonly name: string;
  readonly expiresInMs?: number;
  readonly seat?: boolean;
  /** How many different identities may join with it. */
  readonly uses?: number;
}

export type CheckedTerms =
  | { readonly kind: "invite"; readonly name: string; readonly uses: number; readonly expiresAtMs: number }
  | {
      readonly kind: "seat";
      readonly name: string;
      readonly uses: 1;
      readonly expiresAtMs: number | undefined;
    };

/** The terms with their defaults; UsageError if they make no sense. */
export function termsOf({ name, expiresInMs, seat, uses }: InviteTerms, now: number): CheckedTerms {
  checkName(name);
  if (expiresInMs !== undefined) checkExpiry(expiresInMs);
  if (seat === true) {
    if (uses !== undefined) {
      throw new UsageError("a seat is good for any number of clients at once", "leave out --uses");
    }
    return {
      kind: "seat",
      name,
      uses: 1,
      expiresAtMs: expiresInMs === undefined ? undefined : now + expiresInMs,
    };
  }
  if (uses !== undefined) checkUses(uses);
  const expiresAtMs = now + (expiresInMs ?? STORE_LIMITS.defaultInviteMs);
  return { kind: "invite", name, uses: uses ?? 1, expiresAtMs };
}

function checkExpiry(expiresInMs: number): void {
  if (Number.isFinite(expiresInMs) && expiresInMs >= 1 && expiresInMs <= STORE_LIMITS.maxExpiryMs) return;
  throw new UsageError(
    `a link cannot expire in ${expiresInMs / 1000} s`,
    "give a duration of at most ten years: --expires 24h, --expires 30d",
  );
}

function checkUses(uses: number): void {
  if (Number.isSafeInteger(uses) && uses >= 1 && uses <= STORE_LIMITS.maxUses) return;
  throw new UsageError(
    `an invite cannot be for ${uses} clients`,
    `give a whole number from 1 to ${STORE_LIMITS.maxUses}: --uses 5`,
  );
}
