import { decodeBase64url, encodeBase64url, formatPublicKey, parsePublicKey } from "../proto/index.ts";
import type { JsonFields, JsonObject } from "../runtime/json.ts";
import { readStateFile, writeStateFile } from "../runtime/state-file.ts";
import { isName } from "./names.ts";
import { type ClientRecord, type GateSpan, type RevokedKey, Roster, type StoredInvite } from "./roster.ts";
import { STORE_LIMITS } from "./store-limits.ts";

/** `clients.json`. Nothing in it lets anybody in: public keys, and hashes of invites. */

const HASH_BYTES = 32;

export function readRoster(path: string): Roster | undefined {
  return readStateFile(path, (fields) => {
    const roster = new Roster({
      clients: fields.list("clients", readClient),
      invites: fields.list("invites", readInvite),
      revoked: fields.list("revoked", readRevoked),
    });
    checkKeys(fields, roster);
    return roster;
  });
}

export function writeRoster(path: string, { clients, invites, revoked }: Roster): void {
  writeStateFile(path, {
    clients: clients.map(writeClient),
    invites: invites.map(writeInvite),
    revoked: revoked.map(writeRevoked),
  });
}

/** A key that stands twice would be revoked once and stay. */
function checkKeys(fields: JsonFields, { clients, revoked }: Roster): void {
  const seen = new Set<string>();
  for (const [list, records] of Object.entries({ clients, revoked })) {
    for (const [index, { key }] of records.entries()) {
      const text = key.toHex();
      if (seen.has(text)) fields.fail(`${list}[${index}].key`, "is in this file a second time");
      seen.add(text);
    }
  }
}

function readClient(fields: JsonFields): ClientRecord {
  const record = {
    name: readName(fields),
    key: readKey(fields),
    kind: fields.oneOf("kind", ["client", "seat"]),
    addedAtMs: readTime(fields, "addedAt"),
    gate: readSpan(fields),
  };
  return fields.has("expiresAt") ? { ...record, expiresAtMs: readTime(fields, "expiresAt") } : record;
}

function readSpan(fields: JsonFields): GateSpan {
  const from = readGeneration(fields, "gateFrom");
  return { from, to: fields.integer("gateTo", from, Number.MAX_SAFE_INTEGER) };
}

function readGeneration(fields: JsonFields, key: string): number {
  return fields.integer(key, 0, Number.MAX_SAFE_INTEGER);
}

function writeClient({ name, key, kind, addedAtMs, expiresAtMs, gate }: ClientRecord): JsonObject {
  return {
    name,
    key: formatPublicKey(key),
    kind,
    addedAt: formatTime(addedAtMs),
    expiresAt: expiresAtMs === undefined ? undefined : formatTime(expiresAtMs),
    gateFrom: gate.from,
    gateTo: gate.to,
  };
}

function readInvite(fields: JsonFields): StoredInvite {
  const uses = fields.integer("uses", 1, STORE_LIMITS.maxUses);
  return {
    name: readName(fields),
    hash: fields.parsed("hash", `base64url of ${HASH_BYTES} bytes`, parseHash),
    createdAtMs: readTime(fields, "createdAt"),
    expiresAtMs: readTime(fields, "expiresAt"),
    uses,
    used: fields.integer("used", 0, uses),
    gate: readGeneration(fields, "gate"),
  };
}

function writeInvite({ name, hash, createdAtMs, expiresAtMs, uses, used, gate }: StoredInvite): JsonObject {
  return {
    name,
    hash: encodeBase64url(hash),
    createdAt: formatTime(createdAtMs),
    expiresAt: formatTime(expiresAtMs),
    uses,
    used,
    gate,
  };
}

function readRevoked(fields: JsonFields): RevokedKey {
  return { name: readName(fields), key: readKey(fields), revokedAtMs: readTime(fields, "revokedAt") };
}

function writeRevoked({ name, key, revokedAtMs }: RevokedKey): JsonObject {
  return { name, key: formatPublicKey(key), revokedAt: formatTime(revokedAtMs) };
}

function readName(fields: JsonFields): string {
  return fields.parsed("name", "a client's name", (text) => (isName(text) ? text : undefined));
}

function readKey(fields: JsonFields): Uint8Array {
  return fields.parsed("key", "a public key", parsePublicKey);
}

function parseHash(text: string): Uint8Array | undefined {
  const bytes = decodeBase64url(text);
  return bytes?.length === HASH_BYTES ? bytes : undefined;
}

/** ISO 8601 in UTC, so that people can read the file; exact to the millisecond. */
function formatTime(ms: number): string {
  return new Date(ms).toISOString();
}

function readTime(fields: JsonFields, key: string): number {
  return fields.parsed(key, "a time like 2025-01-31T12:00:00.000Z", (text) => {
    const ms = Date.parse(text);
    return !Number.isNaN(ms) && formatTime(ms) === text ? ms : undefined;
  });
}
