import { describe, expect, test } from "bun:test";
import { admission } from "../../src/server/admission.ts";
import { Roster, type StoredInvite } from "../../src/server/roster.ts";
import { withClient, withInvite, withoutName } from "../../src/server/roster-changes.ts";
import { SERVER_LIMITS } from "../../src/server/server-limits.ts";
import { STORE_LIMITS } from "../../src/server/store-limits.ts";
import { usageErrorOf } from "../runtime/state-support.ts";
import { DAY_MS, HOUR_MS, START_MS as now } from "./store-support.ts";

const GATE = { from: 0, to: 0 };

/** 32 bytes that no other number gives. Rosters take any; the store has checked that they are keys. */
function keyOf(number: number): Uint8Array {
  const key = new Uint8Array(32);
  new DataView(key.buffer).setUint32(0, number);
  return key;
}

function manyClients(count: number): Roster {
  const clients = Array.from({ length: count }, (_, number) => ({
    name: `client-${number}`,
    key: keyOf(number),
    kind: "client" as const,
    addedAtMs: now,
    gate: GATE,
  }));
  return Roster.empty.with({ clients });
}

function inviteOf(number: number, createdAtMs = now): StoredInvite {
  return {
    name: "laptop",
    hash: keyOf(number),
    createdAtMs,
    expiresAtMs: createdAtMs + DAY_MS,
    uses: 1,
    used: 0,
    gate: 0,
  };
}

describe("a full list", () => {
  const full = manyClients(STORE_LIMITS.maxClients);
  const record = {
    name: "one-more",
    key: keyOf(1_000_000),
    kind: "client",
    addedAtMs: now,
    gate: GATE,
  } as const;

  test("takes nobody by hand", () => {
    const error = usageErrorOf(() => withClient(full, record));
    expect(error.message).toBe("the server has 10000 clients, and takes no more");
  });

  test("takes nobody by invite, but says that this may change", () => {
    const roster = withInvite(full, inviteOf(7), now);
    const stranger = { key: record.key, inviteHash: keyOf(7), gate: GATE };
    expect(admission(roster, stranger, now)).toEqual({ admission: { kind: "refused", refusal: "tooMany" } });
    const { roster: smaller } = withoutName(roster, "client-5", now);
    expect(admission(smaller, stranger, now).admission).toMatchObject({ kind: "admitted", joined: true });
  });

  test("still admits who is on it, and replaces who has expired", () => {
    expect(admission(full, { key: keyOf(3), inviteHash: undefined, gate: GATE }, now).admission.kind).toBe(
      "admitted",
    );
    const [first, ...others] = full.clients;
    if (first === undefined) throw new Error("the list is full");
    const expired = full.with({ clients: [{ ...first, expiresAtMs: now }, ...others] });
    const roster = withInvite(expired, inviteOf(7), now);
    expect(
      admission(roster, { key: first.key, inviteHash: keyOf(7), gate: GATE }, now).admission,
    ).toMatchObject({
      joined: true,
    });
  });
});

test("invites are limited in number, and make room 30 days after their end", () => {
  let roster = Roster.empty.with({
    invites: Array.from({ length: STORE_LIMITS.maxInvites }, (_, number) => inviteOf(number)),
  });
  expect(usageErrorOf(() => withInvite(roster, inviteOf(5000), now)).message).toContain("2000 invites");
  const later = now + 31 * DAY_MS;
  expect(usageErrorOf(() => withInvite(roster, inviteOf(5000), later - 1)).message).toContain("2000 invites");
  roster = withInvite(roster, inviteOf(5000, later), later);
  expect(roster.invites).toHaveLength(1);
});

test("of revoked keys the newest are remembered; a forgotten one is refused as unknown", () => {
  const revoked = Array.from({ length: STORE_LIMITS.maxRevoked }, (_, number) => ({
    name: "old",
    key: keyOf(number),
    revokedAtMs: now - HOUR_MS,
  }));
  const client = {
    name: "laptop",
    key: keyOf(1_000_000),
    kind: "client",
    addedAtMs: now,
    gate: GATE,
  } as const;
  const { roster } = withoutName(Roster.empty.with({ revoked, clients: [client] }), "laptop", now);
  expect(roster.revoked).toHaveLength(STORE_LIMITS.maxRevoked);
  const refusalOf = (number: number): unknown =>
    admission(roster, { key: keyOf(number), inviteHash: undefined, gate: GATE }, now).admission;
  expect(refusalOf(0)).toEqual({ kind: "refused", refusal: "unknownClient" });
  expect(refusalOf(1)).toEqual({ kind: "refused", refusal: "revoked" });
  expect(refusalOf(1_000_000)).toEqual({ kind: "refused", refusal: "revoked" });
});

test("a list of the greatest size fits into one reply", () => {
  const record = {
    name: "n".repeat(STORE_LIMITS.maxNameLength),
    key: `rvpn-pk-${"k".repeat(48)}`,
    kind: "client",
    addedAt: "2025-01-31T12:00:00.000Z",
    expiresAt: "2025-01-31T12:00:00.000Z",
  };
  const invite = {
    name: record.name,
    createdAt: record.addedAt,
    expiresAt: record.expiresAt,
    uses: STORE_LIMITS.maxUses,
    used: STORE_LIMITS.maxUses,
  };
  const counts = { tunnels: 1_024, detached: 1_024, links: 2_048, streams: 16_384, heldBytes: 10 ** 11 };
  const clients = [
    ...Array(SERVER_LIMITS.tunnels).fill({ ...record, live: counts }),
    ...Array(STORE_LIMITS.maxClients - SERVER_LIMITS.tunnels).fill(record),
  ];
  const invites = Array(STORE_LIMITS.maxInvites).fill(invite);
  expect(JSON.stringify({ ok: true, result: { clients, invites } }).length).toBeLessThan(4 * 1024 * 1024);
});
