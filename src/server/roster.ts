/** Generations of the gate's key (gate-file.ts). */
export interface GateSpan {
  /** Of a seat: the key in its link. Of a client: the one that it last came in with. */
  readonly from: number;
  /** The newest that it was sent on a link since. It has one of those in between, unless it is a seat's. */
  readonly to: number;
}

/** Somebody who may use the server. A name may stand for several: the devices of one person, the seats of one CI. */
export interface ClientRecord {
  readonly name: string;
  /** 32 bytes; no two records have the same. */
  readonly key: Uint8Array;
  /** A seat's identity is derived from its link, which may be in many places at once. */
  readonly kind: "client" | "seat";
  readonly addedAtMs: number;
  /** From here on the client is refused as expired. Without it there is no end. */
  readonly expiresAtMs?: number;
  readonly gate: GateSpan;
}

/** An invite as the operator sees it. */
export interface InviteRecord {
  readonly name: string;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  /** How many different identities may join with it, and how many have. */
  readonly uses: number;
  readonly used: number;
}

export interface StoredInvite extends InviteRecord {
  /** `inviteHash` of the secret, which only the link has: whoever reads our files joins nowhere. */
  readonly hash: Uint8Array;
  /** Generation of the gate's key in its link. */
  readonly gate: number;
}

export interface RevokedKey {
  readonly name: string;
  readonly key: Uint8Array;
  readonly revokedAtMs: number;
}

export interface RosterLists {
  readonly clients: readonly ClientRecord[];
  readonly invites: readonly StoredInvite[];
  readonly revoked: readonly RevokedKey[];
}

/**
 * Who is on the list, who is invited, who was thrown out: a value that never changes. A change is a new roster, which
 * takes the place of the old one once it is on the disk.
 */
export class Roster implements RosterLists {
  static readonly empty: Roster = new Roster({ clients: [], invites: [], revoked: [] });

  readonly clients: readonly ClientRecord[];
  readonly invites: readonly StoredInvite[];
  readonly revoked: readonly RevokedKey[];
  readonly #clientByKey: ReadonlyMap<string, ClientRecord>;
  readonly #revokedKeys: ReadonlySet<string>;

  constructor({ clients, invites, revoked }: RosterLists) {
    this.clients = clients;
    this.invites = invites;
    this.revoked = revoked;
    this.#clientByKey = new Map(clients.map((client) => [client.key.toHex(), client]));
    this.#revokedKeys = new Set(revoked.map(({ key }) => key.toHex()));
  }

  with(changes: Partial<RosterLists>): Roster {
    return new Roster({ clients: this.clients, invites: this.invites, revoked: this.revoked, ...changes });
  }

  client(key: Uint8Array): ClientRecord | undefined {
    return this.#clientByKey.get(key.toHex());
  }

  isRevoked(key: Uint8Array): boolean {
    return this.#revokedKeys.has(key.toHex());
  }
}

export function isExpired(record: { readonly expiresAtMs?: number }, now: number): boolean {
  return record.expiresAtMs !== undefined && now >= record.expiresAtMs;
}

/** Whether an invite still lets somebody in. */
export function isOpen(invite: InviteRecord, now: number): boolean {
  return invite.used < invite.uses && !isExpired(invite, now);
}
