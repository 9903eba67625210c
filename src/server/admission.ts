import { equalBytes, type Refusal } from "../proto/index.ts";
import { type ClientRecord, type GateSpan, isExpired, type Roster, type StoredInvite } from "./roster.ts";
import { withClient, withoutDeadInvites } from "./roster-changes.ts";
import { STORE_LIMITS } from "./store-limits.ts";

/** What the server decided about a client that has proven its key. `joined`: an invite put it on the list just now. */
export type Admission =
  | { readonly kind: "admitted"; readonly name: string; readonly joined: boolean }
  | {
      readonly kind: "refused";
      readonly refusal: Refusal;
      /** Of `internal`, for the log: why the join could not be written. */
      readonly cause?: Error;
    };

export interface Applicant {
  /** The key that it has proven to have. */
  readonly key: Uint8Array;
  /** Hash of the invite's secret that it showed, if it did. */
  readonly inviteHash: Uint8Array | undefined;
  /** The gate keys that it came with and is sent, for its record. */
  readonly gate: GateSpan;
}

/**
 * The rules of admission:
 *
 * 1. Who is on the list comes in, whatever invite it shows: its join may be a repetition after a lost Accept.
 * 2. An invite that is open lets in anybody else, also a key that was revoked or has expired: the operator invited it
 *    again. (Refusing would stop nobody, because a new key is made in a millisecond; what keeps a revoked client out
 *    is that `revoke` deletes its open invites.)
 * 3. All others are refused, for the reason that tells them most: revoked, expired, what is wrong with the invite.
 *
 * `roster` is there if the list has changed, and is to be made durable before the client hears of its admission.
 */
export function admission(
  roster: Roster,
  { key, inviteHash, gate }: Applicant,
  now: number,
): { readonly admission: Admission; readonly roster?: Roster } {
  const client = roster.client(key);
  if (client !== undefined && !isExpired(client, now)) {
    return { admission: { kind: "admitted", name: client.name, joined: false } };
  }
  const invite = openInvite(roster.invites, inviteHash, now);
  if (typeof invite === "string") {
    if (roster.isRevoked(key)) return refused("revoked");
    return refused(client === undefined ? invite : "expired");
  }
  if (client === undefined && roster.clients.length >= STORE_LIMITS.maxClients) return refused("tooMany");
  return {
    admission: { kind: "admitted", name: invite.name, joined: true },
    roster: join(roster, { name: invite.name, key, kind: "client", addedAtMs: now, gate }, invite, now),
  };
}

function refused(refusal: Refusal): { readonly admission: Admission } {
  return { admission: { kind: "refused", refusal } };
}

/** The invite that a client showed, if it lets somebody in; else why not. */
function openInvite(
  invites: readonly StoredInvite[],
  hash: Uint8Array | undefined,
  now: number,
): StoredInvite | Refusal {
  if (hash === undefined) return "unknownClient";
  const invite = findInvite(invites, hash);
  if (invite === undefined) return "inviteUnknown";
  if (invite.used >= invite.uses) return "inviteUsed";
  return isExpired(invite, now) ? "inviteExpired" : invite;
}

function join(roster: Roster, record: ClientRecord, invite: StoredInvite, now: number): Roster {
  const invites = roster.invites.map((each) => (each === invite ? { ...each, used: each.used + 1 } : each));
  return withClient(withoutDeadInvites(roster.with({ invites }), now), record);
}

/** Looks at every invite and at every byte, so that the time tells nothing about the hashes that are there. */
function findInvite(invites: readonly StoredInvite[], hash: Uint8Array): StoredInvite | undefined {
  let found: StoredInvite | undefined;
  for (const invite of invites) {
    if (equalBytes(invite.hash, hash)) found = invite;
  }
  return found;
}
