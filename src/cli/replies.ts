import type { Json } from "../runtime/control.ts";
import { JsonFields } from "../runtime/json.ts";

/** What handleAdmin (src/server/admin.ts) answers, read from the JSON of the control socket. */

export interface LinkReply {
  readonly link: string;
  /** Sentences for the operator. */
  readonly notes: readonly string[];
}

export interface ListedClient {
  readonly name: string;
  readonly kind: string;
  readonly key: string;
  readonly addedAt: string;
  readonly expiresAt: string | undefined;
  /** What it has open now; undefined if nothing. */
  readonly live: { readonly links: number; readonly streams: number } | undefined;
}

export interface ListedInvite {
  readonly name: string;
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly uses: number;
  readonly used: number;
}

export function readLinkReply(reply: Json): LinkReply {
  const fields = fieldsOf(reply);
  const notes = fields.json("notes");
  return { link: fields.string("link"), notes: Array.isArray(notes) ? notes.map(String) : [] };
}

export function readRevocation(reply: Json): { keys: number; invites: number } {
  const fields = fieldsOf(reply);
  return { keys: countIn(fields, "revoked"), invites: countIn(fields, "invites") };
}

export function readRotation(reply: Json): { key: string; sequence: number } {
  const fields = fieldsOf(reply);
  return { key: fields.string("key"), sequence: countIn(fields, "sequence") };
}

export function readClientList(reply: Json): { clients: ListedClient[]; invites: ListedInvite[] } {
  const fields = fieldsOf(reply);
  return {
    clients: fields.list("clients", (client) => ({
      name: client.string("name"),
      kind: client.string("kind"),
      key: client.string("key"),
      addedAt: client.string("addedAt"),
      expiresAt: client.has("expiresAt") ? client.string("expiresAt") : undefined,
      live: client.has("live") ? readLive(client.json("live")) : undefined,
    })),
    invites: fields.list("invites", (invite) => ({
      name: invite.string("name"),
      createdAt: invite.string("createdAt"),
      expiresAt: invite.string("expiresAt"),
      uses: countIn(invite, "uses"),
      used: countIn(invite, "used"),
    })),
  };
}

function readLive(json: Json): { links: number; streams: number } {
  const live = fieldsOf(json);
  return { links: countIn(live, "links"), streams: countIn(live, "streams") };
}

function countIn(fields: JsonFields, key: string): number {
  return fields.integer(key, 0, Number.MAX_SAFE_INTEGER);
}

function fieldsOf(reply: Json): JsonFields {
  return new JsonFields(reply, (problem) => new Error(`the server's reply: ${problem}`));
}
