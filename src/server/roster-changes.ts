import { UsageError } from "../runtime/errors.ts";
import { type ClientRecord, isExpired, isOpen, type Roster, type StoredInvite } from "./roster.ts";
import { STORE_LIMITS } from "./store-limits.ts";

/** What the operator's commands make of a roster. Names and keys have been checked. */

/** The roster with one more client, or the same client anew; its key is no longer revoked. */
export function withClient(roster: Roster, record: ClientRecord): Roster {
  const previous = roster.client(record.key);
  if (previous === undefined) checkRoom(roster);
  // A copy of the key, which may be a view of a packet.
  const added = { ...record, key: Uint8Array.from(record.key) };
  const clients = [...roster.clients.filter((client) => client !== previous), added];
  if (!roster.isRevoked(record.key)) return roster.with({ clients });
  const key = record.key.toHex();
  return roster.with({ clients, revoked: roster.revoked.filter((each) => each.key.toHex() !== key) });
}

function checkRoom(roster: Roster): void {
  if (roster.clients.length < STORE_LIMITS.maxClients) return;
  throw new UsageError(
    `the server has ${STORE_LIMITS.maxClients} clients, and takes no more`,
    "see who is there with rvpn clients, and remove some with rvpn revoke NAME",
  );
}

export function withInvite(roster: Roster, invite: StoredInvite, now: number): Roster {
  const { invites } = withoutDeadInvites(roster, now);
  if (invites.length >= STORE_LIMITS.maxInvites) {
    throw new UsageError(
      `the server remembers ${STORE_LIMITS.maxInvites} invites, and takes no more`,
      "wait until some have expired, use --uses for many clients, or remove some with rvpn revoke NAME",
    );
  }
  return roster.with({ invites: [...invites, invite] });
}

/** Without the invites whose end is so long ago that nobody will come with them. */
export function withoutDeadInvites(roster: Roster, now: number): Roster {
  const isRemembered = (invite: StoredInvite): boolean =>
    now < invite.expiresAtMs + STORE_LIMITS.deadInviteMs;
  return roster.with({ invites: roster.invites.filter(isRemembered) });
}

/** What a revocation took away. */
export interface Revocation {
  readonly keys: readonly Uint8Array[];
  /** How many invites that were still open. */
  readonly invites: number;
}

/** Without all clients and seats of a name and without its open invites. UsageError if there are none of either. */
export function withoutName(
  roster: Roster,
  name: string,
  now: number,
): { readonly roster: Roster; readonly revocation: Revocation } {
  const gone = roster.clients.filter((client) => client.name === name);
  const deleted = roster.invites.filter((invite) => invite.name === name && isOpen(invite, now));
  if (gone.length === 0 && deleted.length === 0) throw unknownName(roster, name);
  const revokedNow = gone.map(({ key }) => ({ name, key, revokedAtMs: now }));
  return {
    roster: withoutDeadInvites(roster, now).with({
      clients: roster.clients.filter((client) => client.name !== name),
      invites: roster.invites.filter((invite) => !deleted.includes(invite)),
      revoked: [...roster.revoked, ...revokedNow].slice(-STORE_LIMITS.maxRevoked),
    }),
    revocation: { keys: gone.map(({ key }) => key), invites: deleted.length },
  };
}

function unknownName(roster: Roster, name: string): UsageError {
  const before = roster.revoked.findLast((each) => each.name === name);
  return new UsageError(
    before === undefined
      ? `no client and no open invite is called "${name}"`
      : `"${name}" was revoked before, ${new Date(before.revokedAtMs).toISOString()}`,
    "rvpn clients lists all names",
  );
}

/** Generations of the gate's key that somebody who is welcome may have and no newer one. */
export function gateKeysInUse({ clients, invites }: Roster, now: number): Set<number> {
  const inUse = new Set<number>();
  for (const client of clients) {
    if (isExpired(client, now)) continue;
    const { from, to } = client.gate;
    inUse.add(to);
    // A seat's link is for ever; its other users have what they were sent last.
    if (client.kind === "seat") inUse.add(from);
    else for (let generation = from; generation < to; generation++) inUse.add(generation);
  }
  for (const invite of invites) if (isOpen(invite, now)) inUse.add(invite.gate);
  return inUse;
}

/** The clients with these keys (in hex) came in with gate key `from`, if given, and were sent `to`. */
export function withGateKeySent(
  roster: Roster,
  keys: ReadonlySet<string>,
  { from, to }: { readonly from?: number; readonly to: number },
): Roster {
  const moved = (client: ClientRecord): ClientRecord => {
    if (!keys.has(client.key.toHex())) return client;
    const start = client.kind === "seat" ? client.gate.from : (from ?? client.gate.from);
    return { ...client, gate: { from: Math.min(start, to), to } };
  };
  return roster.with({ clients: roster.clients.map(moved) });
}
