import { join } from "node:path";
import {
  assert,
  equalBytes,
  formatLink,
  type Identity,
  type Random,
  type ServerLink,
  type Successor,
  seatIdentity,
} from "../proto/index.ts";
import { removeLeftovers } from "../runtime/atomic-file.ts";
import { UsageError } from "../runtime/errors.ts";
import { createIdentity, IDENTITY_FILE, readIdentity } from "../runtime/identity-file.ts";
import { lockStateDir, type StateLock } from "../runtime/lock.ts";
import { ensureStateDir } from "../runtime/state-dir.ts";
import {
  isKeyOf,
  type KnownServer,
  MAX_FORMER_KEYS,
  type Membership,
  membershipOf,
  NO_SECRET,
  type RememberedServer,
  readServer,
  writeServer,
} from "./server-file.ts";

export { isKeyOf, type KnownServer } from "./server-file.ts";

const SERVER_FILE = "server.json";
/** No link has this hash. */
const NO_LINK = new Uint8Array(32);

export interface ClientStoreOptions {
  readonly dir: string;
  readonly random: Random;
}

/** All that a client keeps: its identity and the one server of its state directory. Every change is durable. */
export class ClientStore {
  readonly #options: ClientStoreOptions;
  readonly #lock: StateLock;
  #server: RememberedServer | undefined;
  #ownIdentity: Identity | undefined;
  #seat: { readonly secret: Uint8Array; readonly identity: Identity } | undefined;

  /**
   * Opens the state in `dir`, or an empty one, and locks the directory until `close` or the end of the process. Throws
   * UsageError if another process has it, others can read it or a file in it is damaged.
   */
  static open(options: ClientStoreOptions): ClientStore {
    ensureStateDir(options.dir);
    const lock = lockStateDir(options.dir);
    try {
      removeLeftovers(options.dir);
      return new ClientStore(options, lock);
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  private constructor(options: ClientStoreOptions, lock: StateLock) {
    this.#options = options;
    this.#lock = lock;
    this.#server = readServer(this.#path(SERVER_FILE));
    this.#ownIdentity = readIdentity(options.dir);
    // A new key would not be on the server's list, and whoever looks for the reason would not find it.
    const joinedAsItself = [this.#server, this.#server?.before].some(
      (each) => each?.joined === true && each.kind !== "seat",
    );
    if (this.#ownIdentity === undefined && joinedAsItself) {
      throw new UsageError(
        `${this.#path(IDENTITY_FILE)} is missing, though ${SERVER_FILE} is there`,
        "put back a copy of it, or ask for a new invite and use it with another directory (--state)",
      );
    }
  }

  /** Of a seat: what its secret stands for. Else this client's own, made when it is first wanted. */
  get identity(): Identity {
    if (this.#server?.kind === "seat") return this.#seatIdentity(this.#server);
    this.#ownIdentity ??= createIdentity(this.#options.dir, this.#options.random);
    return this.#ownIdentity;
  }

  #seatIdentity({ secret, linkKey }: KnownServer): Identity {
    if (this.#seat?.secret !== secret) this.#seat = { secret, identity: seatIdentity(secret, linkKey) };
    return this.#seat.identity;
  }

  get server(): KnownServer | undefined {
    return this.#server;
  }

  /**
   * Remembers the server of a link. A new link of the known server updates the address and the gate key, and takes the
   * place of the old invite or seat. UsageError if another server is known, or the same by an identity that the link is
   * newer than: only the server's signed statements move a pin, never a link, which anybody can send.
   *
   * What the client was before is kept until the server accepts the new link, for it may refuse it (`goBack`).
   *
   * The very link that was taken before changes nothing: where it stays in a service's environment, it is given at
   * every start, and what it says may be older than what the server has told since.
   */
  adopt(link: ServerLink): KnownServer {
    const known = this.#server;
    const linkHash = new Uint8Array(new Bun.CryptoHasher("sha256").update(formatLink(link)).digest());
    const { url, gateKey, serverKey: linkKey } = link;
    if (known === undefined) {
      const nothingBefore = { sequence: 0, formerKeys: [], before: undefined };
      return this.#save({ ...link, ...nothingBefore, linkKey, joined: false, linkHash });
    }
    if (!isKeyOf(known, linkKey)) throw this.#otherServer(known, link);
    if (equalBytes(known.linkHash, linkHash)) return known;
    const { before } = known;
    if (before !== undefined && equalBytes(before.linkHash, linkHash)) return this.#goBackTo(before);
    // An address says where the server is, and not who this client is.
    if (link.kind === "address") {
      const moved = before && { ...before, url, gateKey };
      return this.#save({ ...known, url, gateKey, linkHash, before: moved });
    }
    // The pin stays where it is: a link from before a rotation does not take it back.
    const { serverKey, sequence, formerKeys } = known;
    const pin = { serverKey, sequence, formerKeys };
    const own = { linkKey, joined: false, linkHash, before: before ?? membershipOf(known) };
    return this.#save({ ...link, ...pin, ...own });
  }

  /**
   * To be called when the server has refused this client for good. If it has never accepted the present link, the client
   * is again what it was before that one, and true is returned.
   */
  goBack(): boolean {
    const before = this.#server?.before;
    if (before !== undefined) this.#goBackTo(before);
    return before !== undefined;
  }

  #goBackTo(before: Membership): KnownServer {
    return this.#save({ ...this.#known(), ...before, before: undefined });
  }

  /** Remembers a server as another directory does. Only for one that remembers none. */
  copy(server: KnownServer): void {
    assert(this.#server === undefined, "an empty directory takes a copy");
    this.#save({ ...server, linkHash: NO_LINK, before: undefined });
  }

  /** To be called after the first sealed Accept. An invite's secret, and what was before it, are forgotten then. */
  markJoined(): void {
    const known = this.#known();
    if (known.joined) return;
    const secret = known.kind === "seat" ? known.secret : NO_SECRET;
    this.#save({ ...known, joined: true, secret, before: undefined });
  }

  /**
   * Pins the identity to which the server has shown that it went on. To be called after a sealed Accept on a link that
   * was made with it. There is no way back: a successor that is not one of the present pin changes nothing, as when an
   * older link is accepted late; then false.
   */
  movePin({ key, sequence, former }: Successor): boolean {
    const known = this.#known();
    const present = former.findIndex((each) => equalBytes(each, known.serverKey));
    if (present < 0 || sequence <= known.sequence) return false;
    const formerKeys = [...known.formerKeys, ...former.slice(present)].slice(-MAX_FORMER_KEYS);
    this.#save({ ...known, serverKey: key, sequence, formerKeys });
    return true;
  }

  /** Takes the gate key that the server sent in a sealed frame. */
  replaceGateKey(gateKey: Uint8Array): void {
    const known = this.#known();
    assert(gateKey.length === known.gateKey.length, `a gate key has 32 bytes, not ${gateKey.length}`);
    // A copy, as it may be a view of a packet.
    if (!equalBytes(known.gateKey, gateKey)) this.#save({ ...known, gateKey: Uint8Array.from(gateKey) });
  }

  /** Gives the directory back to other processes. The store is not to be used any more. */
  close(): void {
    this.#lock.release();
  }

  #known(): RememberedServer {
    assert(this.#server !== undefined, "a server has accepted this client, so it is known");
    return this.#server;
  }

  #save(server: RememberedServer): KnownServer {
    writeServer(this.#path(SERVER_FILE), server);
    this.#server = server;
    return server;
  }

  #path(name: string): string {
    return join(this.#options.dir, name);
  }

  #otherServer(known: KnownServer, link: ServerLink): UsageError {
    if (link.url === known.url) {
      return new UsageError(
        `${this.#options.dir} knows the server at ${known.url} by another identity than the link's`,
        "if the server was rotated, start once without the link: the client follows by itself; else --state DIR",
      );
    }
    return new UsageError(
      `${this.#options.dir} belongs to the server at ${known.url}, and this link is of another one, at ${link.url}`,
      "give the link a directory of its own: --state DIR",
    );
  }
}
