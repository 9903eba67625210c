import { formatLink, formatPublicKey, type LinkKind, parsePublicKey } from "../proto/index.ts";
import type { ControlRequest, Json, JsonObject } from "../runtime/control.ts";
import { UsageError } from "../runtime/errors.ts";
import { JsonFields } from "../runtime/json.ts";
import { linkUrl } from "./admin-url.ts";
import type { InviteTerms } from "./invite-terms.ts";
import type { TunnelCounts } from "./registry-stats.ts";
import type { ClientRecord, InviteRecord, ServerStore } from "./store.ts";

/** An address link carries no secret. */
const NO_SECRET = new Uint8Array(16);

/** What a running server adds to its files. */
export interface LiveServer {
  /** `running`, and counters of the process. */
  status(): JsonObject;
  /** What one client has open; undefined if nothing. */
  clientStats(key: Uint8Array): TunnelCounts | undefined;
}

/**
 * The operator's commands on a server's store, by a request's `op`. Used by a running server for its control socket
 * and by `callServer` without one, so that both do the same.
 *
 * - `invite` {name, expiresInMs?, seat?, uses?, url?} → {link, name, kind, expiresAt?, notes}
 * - `add` {name, key, url?} → {link, name, notes}: an address link
 * - `clients` → {clients: [{name, key, kind, addedAt, expiresAt?, live?}], invites: [{name, createdAt, expiresAt, uses,
 *   used}], server}: `live` {tunnels, detached, links, streams, heldBytes} of who has any, `server` {running: false} or
 *   the counters of the process
 * - `revoke` {name} → {revoked, invites}: how many keys and how many open invites
 * - `rotate` → {key, formerKey, sequence}: the new identity, the one before, how many rotations there have been
 *
 * Dates are ISO 8601 in UTC, keys `rvpn-pk-…`, `notes` sentences for the operator. `fallbackUrl` may be in every
 * request: where the server itself listens. Throws UsageError for whatever is wrong with a request.
 */
export function handleAdmin(store: ServerStore, request: ControlRequest, live?: LiveServer): Json {
  const fields = new JsonFields(request, (problem, cause) => badRequest(request.op, problem, cause));
  const op = fields.string("op");
  const fallback = fields.has("fallbackUrl") ? fields.string("fallbackUrl") : undefined;
  switch (op) {
    case "invite":
      return invite(store, fields, fallback);
    case "add":
      return add(store, fields, fallback);
    case "clients":
      fields.end();
      return {
        clients: store.clients().map((client) => describeClient(client, live)),
        invites: store.invites().map(describeInvite),
        server: live?.status() ?? { running: false },
      };
    case "revoke": {
      const name = fields.string("name");
      fields.end();
      const { keys, invites } = store.revoke(name);
      return { revoked: keys.length, invites };
    }
    case "rotate":
      fields.end();
      return rotate(store);
    default:
      throw new UsageError(
        `a server does not know "${op}"`,
        "it knows invite, add, clients, revoke and rotate; is the running server older than this command?",
      );
  }
}

function invite(store: ServerStore, fields: JsonFields, fallback: string | undefined): Json {
  const terms: InviteTerms = {
    name: fields.string("name"),
    ...(fields.has("expiresInMs") ? { expiresInMs: fields.number("expiresInMs") } : {}),
    ...(fields.has("seat") ? { seat: fields.boolean("seat") } : {}),
    ...(fields.has("uses") ? { uses: fields.number("uses") } : {}),
  };
  const { name } = terms;
  const sameName = store.clients().filter((client) => client.name === name).length;
  return withLink(store, fields, fallback, (notes) => {
    const { secret, kind, expiresAtMs } = store.invite(terms);
    if (sameName > 0)
      notes.push(`${name} has ${sameName} on the list already; revoke ${name} will end all of them`);
    const expiry = expiresAtMs === undefined ? {} : { expiresAt: formatTime(expiresAtMs) };
    return { kind, secret, reply: { name, kind, ...expiry } };
  });
}

function add(store: ServerStore, fields: JsonFields, fallback: string | undefined): Json {
  const name = fields.string("name");
  const key = fields.parsed("key", "a public key", parsePublicKey);
  return withLink(store, fields, fallback, () => {
    store.add(name, key);
    return { kind: "address", secret: NO_SECRET, reply: { name } };
  });
}

function rotate(store: ServerStore): Json {
  const { newKey, oldKey, sequence } = store.keys.rotate();
  return { key: formatPublicKey(newKey), formerKey: formatPublicKey(oldKey), sequence };
}

/** What a command made, for its link and for its reply. */
interface Made {
  readonly kind: LinkKind;
  readonly secret: Uint8Array;
  readonly reply: JsonObject;
}

/** Settles the URL first, as a command that fails for want of it must have done nothing. */
function withLink(
  store: ServerStore,
  fields: JsonFields,
  fallback: string | undefined,
  make: (notes: string[]) => Made,
): Json {
  const given = fields.has("url") ? fields.string("url") : undefined;
  fields.end();
  const { url, isNew, notes: urlNotes } = linkUrl({ given, remembered: store.url, fallback });
  const notes = [...urlNotes];
  const { kind, secret, reply } = make(notes);
  if (isNew) store.rememberUrl(url);
  const [gateKey] = store.gateKeys();
  const link = formatLink({ url, kind, serverKey: store.identity.publicKey, gateKey, secret });
  return { link, ...reply, notes };
}

function describeClient(
  { name, key, kind, addedAtMs, expiresAtMs }: ClientRecord,
  live: LiveServer | undefined,
): JsonObject {
  const expiry = expiresAtMs === undefined ? {} : { expiresAt: formatTime(expiresAtMs) };
  const open = describeOpen(live?.clientStats(key));
  return { name, key: formatPublicKey(key), kind, addedAt: formatTime(addedAtMs), ...expiry, ...open };
}

/** Short, because there may be thousands: bytes are those of both directions. */
function describeOpen(counts: TunnelCounts | undefined): JsonObject {
  if (counts === undefined) return {};
  const { tunnels, detached, links, streams, heldBytes, pooledBytes } = counts;
  return { live: { tunnels, detached, links, streams, heldBytes: heldBytes + pooledBytes } };
}

function describeInvite({ name, createdAtMs, expiresAtMs, uses, used }: InviteRecord): JsonObject {
  return { name, createdAt: formatTime(createdAtMs), expiresAt: formatTime(expiresAtMs), uses, used };
}

function formatTime(ms: number): string {
  return new Date(ms).toISOString();
}

function badRequest(op: string, problem: string, cause: unknown): UsageError {
  return new UsageError(`${op}: ${problem}`, `see rvpn ${op} --help`, { cause });
}
