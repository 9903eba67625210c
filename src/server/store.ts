import { existsSync } from "node:fs";
import { join } from "node:path";
import {
  checkGateToken,
  type Identity,
  inviteHash,
  isAcceptablePublicKey,
  parseServerUrl,
  type Random,
  seatIdentity,
} from "../proto/index.ts";
import { removeLeftovers } from "../runtime/atomic-file.ts";
import { UsageError } from "../runtime/errors.ts";
import { IDENTITY_FILE } from "../runtime/identity-file.ts";
import { type LockUse, lockStateDir, type StateLock } from "../runtime/lock.ts";
import { ensureStateDir } from "../runtime/state-dir.ts";
import { type Admission, admission } from "./admission.ts";
import { type GateState, newGate, readGate, renewedGate, writeGate } from "./gate-file.ts";
import { type InviteTerms, termsOf } from "./invite-terms.ts";
import { lostFile } from "./lost-file.ts";
import { checkName } from "./names.ts";
import { type ClientRecord, type GateSpan, type InviteRecord, isExpired, isOpen, Roster } from "./roster.ts";
import {
  gateKeysInUse,
  type Revocation,
  withClient,
  withGateKeySent,
  withInvite,
  withoutName,
} from "./roster-changes.ts";
import { readRoster, writeRoster } from "./roster-file.ts";
import { ServerKeys } from "./server-keys.ts";

export type { Admission } from "./admission.ts";
export type { ClientRecord, InviteRecord } from "./roster.ts";

const GATE_FILE = "gate.json";
const ROSTER_FILE = "clients.json";
const SECRET_BYTES = 16;

/** The current key first, which new links carry. */
export type GateKeys = readonly [current: Uint8Array, ...previous: Uint8Array[]];

export interface ServerStoreOptions {
  readonly dir: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly random: Random;
  /** `edit` if the directory is given back within moments. */
  readonly use?: LockUse;
}

/** The secret of a new link; it is kept nowhere else. */
export interface NewInvite {
  readonly secret: Uint8Array;
  readonly kind: "invite" | "seat";
  readonly expiresAtMs?: number;
}

/**
 * All that a server keeps: its identity, the gate's keys, who may come in. Every change is on the disk before it shows
 * here, and before the method returns; if the disk does not take it the method throws and nothing has changed in this process.
 */
export class ServerStore {
  readonly keys: ServerKeys;
  readonly #options: ServerStoreOptions;
  readonly #lock: StateLock;
  #gate: GateState;
  /** The keys of #gate alone. */
  #gateKeys: GateKeys;
  /** Newer than its file only in what is known of the gate keys that clients have. */
  #roster: Roster;
  #savedRoster: Roster;

  /**
   * Opens the state in `dir`, or makes it at the first start, and locks the directory until `close` or the end of the
   * process. Throws UsageError if another process has it, others can read it or a file in it is damaged.
   */
  static open(options: ServerStoreOptions): ServerStore {
    ensureStateDir(options.dir);
    const lock = lockStateDir(options.dir, options.use);
    try {
      removeLeftovers(options.dir);
      return new ServerStore(options, lock);
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /** Whether a server has ever been started with `dir`. */
  static exists(dir: string): boolean {
    return existsSync(join(dir, IDENTITY_FILE));
  }

  private constructor(options: ServerStoreOptions, lock: StateLock) {
    const { dir, random } = options;
    this.#options = options;
    this.#lock = lock;
    // Made in this order, so that a first start that was cut short goes on, and a file that got lost is told from it.
    const roster = readRoster(join(dir, ROSTER_FILE));
    const gate = readGate(join(dir, GATE_FILE));
    if (gate === undefined && roster !== undefined) throw lostFile(dir, GATE_FILE, ROSTER_FILE);
    const keys = ServerKeys.read(dir, random);
    if (keys === undefined && gate !== undefined) throw lostFile(dir, IDENTITY_FILE, GATE_FILE);
    this.keys = keys ?? ServerKeys.create(dir, random);
    this.#gate = gate ?? this.#saveGate(newGate(random));
    this.#gateKeys = keysOf(this.#gate);
    this.#roster = roster ?? this.#saveRoster(Roster.empty);
    this.#savedRoster = this.#roster;
  }

  get identity(): Identity {
    return this.keys.identity;
  }

  /** What the gate accepts: the current key first, which links carry, then the previous ones. */
  gateKeys(): GateKeys {
    return this.#gateKeys;
  }

  /** The generation of the gate key that `token` was made with; undefined if the gate does not know it. */
  gateGeneration(token: string): number | undefined {
    return this.#gate.keys.find(({ key }) => checkGateToken(token, [key]) !== undefined)?.generation;
  }

  get #currentGeneration(): number {
    return this.#gate.keys[0].generation;
  }

  /** The public URL that links are made with, once it was named. */
  get url(): string | undefined {
    return this.#gate.url;
  }

  /** Throws TextFormatError if it is no server's URL. */
  rememberUrl(text: string): void {
    const url = parseServerUrl(text);
    if (url !== this.url) this.#gate = this.#saveGate({ ...this.#gate, url });
  }

  /**
   * Decides about a client that has proven `key`; the rules are in admission.ts. Never throws for the disk's sake, as a
   * stranger's handshake led here: a join that cannot be written is refused as `internal`, and may be tried again.
   * `gateGeneration` is that of the gate key which it came in with; it is sent the current one.
   */
  admit(key: Uint8Array, joinSecret?: Uint8Array, gateGeneration = this.#currentGeneration): Admission {
    const hash = joinSecret === undefined ? undefined : inviteHash(joinSecret);
    const gate = { from: gateGeneration, to: this.#currentGeneration };
    const result = admission(this.#roster, { key, inviteHash: hash, gate }, this.#options.now());
    try {
      if (result.roster !== undefined) this.#change(result.roster);
      else if (result.admission.kind === "admitted") this.#noteGate(key, gate);
      return result.admission;
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      return { kind: "refused", refusal: "internal", cause: error };
    }
  }

  #noteGate(key: Uint8Array, gate: GateSpan): void {
    const known = this.#roster.client(key);
    const from = known?.kind === "seat" ? known.gate.from : gate.from;
    if (known === undefined || (known.gate.from === from && known.gate.to === gate.to)) return;
    this.#roster = withGateKeySent(this.#roster, new Set([key.toHex()]), gate);
  }

  /**
   * Clients with a link were sent the current gate key. What is known of their keys reaches the disk with the next
   * change: should it be lost, a key is kept that nobody needs, or was sent within the last moments.
   */
  gateKeySent(clientKeys: Iterable<Uint8Array>): void {
    const keys = new Set([...clientKeys].map((key) => key.toHex()));
    this.#roster = withGateKeySent(this.#roster, keys, { to: this.#currentGeneration });
  }

  /** Whether a key is on the list and has not expired. */
  knows(key: Uint8Array): boolean {
    const client = this.#roster.client(key);
    return client !== undefined && !isExpired(client, this.#options.now());
  }

  /**
   * Makes the secret of a new link: an invite, good for 24 hours and one client, or a seat, good without end, unless
   * the terms say otherwise. A name already on the list gets one more client: a second device of the same person.
   */
  invite(terms: InviteTerms): NewInvite {
    const now = this.#options.now();
    const { name, kind, uses, expiresAtMs } = termsOf(terms, now);
    const secret = this.#options.random(SECRET_BYTES);
    if (kind === "seat") {
      const { publicKey: key } = seatIdentity(secret, this.identity.publicKey);
      const expiry = expiresAtMs === undefined ? {} : { expiresAtMs };
      const gate = this.#newSpan();
      this.#change(withClient(this.#roster, { name, key, kind, addedAtMs: now, ...expiry, gate }));
      return { secret, kind, ...expiry };
    }
    const hash = inviteHash(secret);
    const gate = this.#currentGeneration;
    const invite = { name, hash, createdAtMs: now, expiresAtMs, uses, used: 0, gate };
    this.#change(withInvite(this.#roster, invite, now));
    return { secret, kind, expiresAtMs };
  }

  /** Enters a key by hand, also one that was revoked. Again under the same name: changes nothing. */
  add(name: string, key: Uint8Array): void {
    checkName(name);
    if (!isAcceptablePublicKey(key)) {
      throw new UsageError("this public key is one that no client can have", "copy it from rvpn pubkey");
    }
    const client = this.#roster.client(key);
    if (client !== undefined && client.name !== name) {
      throw new UsageError(
        `this key is on the list as "${client.name}" already`,
        `remove it first: rvpn revoke ${client.name}`,
      );
    }
    if (this.knows(key)) return;
    const record = {
      name,
      key,
      kind: "client",
      addedAtMs: this.#options.now(),
      gate: this.#newSpan(),
    } as const;
    this.#change(withClient(this.#roster, record));
  }

  /** Of somebody whose link is made now. */
  #newSpan(): GateSpan {
    return { from: this.#currentGeneration, to: this.#currentGeneration };
  }

  clients(): readonly ClientRecord[] {
    return this.#roster.clients;
  }

  /** The invites that still let somebody in. */
  invites(): readonly InviteRecord[] {
    const now = this.#options.now();
    return this.#roster.invites.filter((invite) => isOpen(invite, now));
  }

  /**
   * Throws out every client and seat of a name, deletes its open invites and renews the gate key, unless too many old
   * ones are in use (gate-file.ts). UsageError if there is nobody of that name.
   */
  revoke(name: string): Revocation {
    const now = this.#options.now();
    const { roster, revocation } = withoutName(this.#roster, name, now);
    // Also what the file says: after a crash that is all that is known.
    const inUse = gateKeysInUse(roster, now).union(gateKeysInUse(this.#savedRoster, now));
    // The gate first: should the power fail between the two files, the name is still there to be revoked again.
    const gate = renewedGate(this.#gate, inUse, this.#options.random);
    if (gate !== this.#gate) this.#changeGate(gate);
    this.#change(roster);
    return revocation;
  }

  /** Gives the directory back to other processes. The store is not to be used any more. */
  close(): void {
    try {
      if (this.#roster !== this.#savedRoster) this.#change(this.#roster);
    } catch (error) {
      // Nothing but a hint was lost, see `gateKeySent`.
      if (!(error instanceof UsageError)) throw error;
    }
    // A second call must not write what another process has changed since.
    this.#savedRoster = this.#roster;
    this.#lock.release();
  }

  #changeGate(gate: GateState): void {
    this.#gate = this.#saveGate(gate);
    this.#gateKeys = keysOf(gate);
  }

  #change(roster: Roster): void {
    this.#roster = this.#saveRoster(roster);
    this.#savedRoster = roster;
  }

  #saveGate(gate: GateState): GateState {
    writeGate(join(this.#options.dir, GATE_FILE), gate);
    return gate;
  }

  #saveRoster(roster: Roster): Roster {
    writeRoster(join(this.#options.dir, ROSTER_FILE), roster);
    return roster;
  }
}

function keysOf({ keys: [current, ...previous] }: GateState): GateKeys {
  return [current.key, ...previous.map(({ key }) => key)];
}
