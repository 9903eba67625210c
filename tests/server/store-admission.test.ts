import { describe, expect, test } from "bun:test";
import { seatIdentity } from "../../src/proto/index.ts";
import { useScratch } from "../runtime/state-support.ts";
import { DAY_MS, HOUR_MS, joinedAs, knownAs, newKey, refusedAs, useStores } from "./store-support.ts";

const openStore = useStores(useScratch());

describe("a stranger", () => {
  test("without an invite is unknown", () => {
    const { store } = openStore();
    expect(store.admit(newKey())).toEqual(refusedAs("unknownClient"));
  });

  test("with the secret of no invite is told so", () => {
    const { store } = openStore();
    store.invite({ name: "laptop" });
    expect(store.admit(newKey(), new Uint8Array(16))).toEqual(refusedAs("inviteUnknown"));
  });

  test("with an open invite joins under its name, and is on the list from then on", () => {
    const { store, reopen, clock } = openStore();
    const key = newKey();
    const { secret } = store.invite({ name: "laptop" });
    expect(store.knows(key)).toBe(false);
    expect(store.admit(key, secret)).toEqual(joinedAs("laptop"));
    expect(store.knows(key)).toBe(true);
    expect(store.clients()).toEqual([
      { name: "laptop", key, kind: "client", addedAtMs: clock.now, gate: { from: 0, to: 0 } },
    ]);
    expect(store.admit(key)).toEqual(knownAs("laptop"));
    clock.now += 1000 * DAY_MS;
    expect(reopen().admit(key)).toEqual(knownAs("laptop"));
  });

  test("may come with an invite until the very millisecond of its end", () => {
    const { store, clock } = openStore();
    const first = store.invite({ name: "early", expiresInMs: HOUR_MS });
    const second = store.invite({ name: "late", expiresInMs: HOUR_MS });
    clock.now += HOUR_MS - 1;
    expect(store.admit(newKey(), first.secret)).toEqual(joinedAs("early"));
    clock.now += 1;
    expect(store.admit(newKey(), second.secret)).toEqual(refusedAs("inviteExpired"));
  });

  test("with an invite that another has used is told so", () => {
    const { store, clock } = openStore();
    const { secret } = store.invite({ name: "laptop" });
    store.admit(newKey(), secret);
    expect(store.admit(newKey(), secret)).toEqual(refusedAs("inviteUsed"));
    clock.now += 2 * DAY_MS;
    expect(store.admit(newKey(), secret)).toEqual(refusedAs("inviteUsed"));
  });

  test("finds no invite that ended more than 30 days ago", () => {
    const { store, clock, reopen } = openStore();
    const { secret } = store.invite({ name: "laptop" });
    clock.now += 31 * DAY_MS - 1;
    store.invite({ name: "other" });
    expect(reopen().admit(newKey(), secret)).toEqual(refusedAs("inviteExpired"));
    clock.now += 1;
    const store2 = reopen();
    store2.invite({ name: "other" });
    expect(store2.admit(newKey(), secret)).toEqual(refusedAs("inviteUnknown"));
  });
});

describe("a join", () => {
  test("may be repeated by the same identity at any time, and uses the invite once", () => {
    const { store, clock, reopen } = openStore();
    const key = newKey();
    const { secret } = store.invite({ name: "laptop", uses: 2 });
    expect(store.admit(key, secret)).toEqual(joinedAs("laptop"));
    for (let round = 0; round < 5; round++) expect(store.admit(key, secret)).toEqual(knownAs("laptop"));
    expect(store.invites()).toMatchObject([{ uses: 2, used: 1 }]);
    expect(store.admit(newKey(), secret)).toEqual(joinedAs("laptop"));
    expect(store.admit(key, secret)).toEqual(knownAs("laptop"));
    clock.now += 100 * DAY_MS;
    store.invite({ name: "other" });
    expect(reopen().admit(key, secret)).toEqual(knownAs("laptop"));
  });

  test("counts different identities up to the invite's uses", () => {
    const { store } = openStore();
    const { secret } = store.invite({ name: "team", uses: 3 });
    const results = Array.from({ length: 5 }, () => store.admit(newKey(), secret));
    const joined = joinedAs("team");
    const used = refusedAs("inviteUsed");
    expect(results).toEqual([joined, joined, joined, used, used]);
    expect(store.clients()).toHaveLength(3);
    expect(store.invites()).toEqual([]);
  });

  test("keeps a copy of the key, which may be part of a packet", () => {
    const { store } = openStore();
    const packet = new Uint8Array(64);
    packet.set(newKey(), 8);
    const key = packet.subarray(8, 40);
    const copy = Uint8Array.from(key);
    store.admit(key, store.invite({ name: "laptop" }).secret);
    packet.fill(0);
    expect(store.admit(copy)).toEqual(knownAs("laptop"));
    expect(store.clients()[0]?.key).toEqual(copy);
  });

  test("of a known client with another invite changes nothing", () => {
    const { store } = openStore();
    const key = newKey();
    store.add("laptop", key);
    const { secret } = store.invite({ name: "phone" });
    expect(store.admit(key, secret)).toEqual(knownAs("laptop"));
    expect(store.invites()).toMatchObject([{ name: "phone", used: 0 }]);
  });
});

describe("a seat", () => {
  test("is the identity that its secret stands for, on the list at once and without end", () => {
    const { store, clock } = openStore();
    const { secret, kind, expiresAtMs } = store.invite({ name: "ci", seat: true });
    expect([kind, expiresAtMs]).toEqual(["seat", undefined]);
    const { publicKey } = seatIdentity(secret, store.identity.publicKey);
    clock.now += 1000 * DAY_MS;
    expect(store.admit(publicKey)).toEqual(knownAs("ci"));
    expect(store.clients()).toMatchObject([{ name: "ci", kind: "seat" }]);
    expect(store.invites()).toEqual([]);
    // Its secret is no invite: nobody joins with it.
    expect(store.admit(newKey(), secret)).toEqual(refusedAs("inviteUnknown"));
  });

  test("with an end is refused as expired from then on, and can be invited again", () => {
    const { store, clock, reopen } = openStore();
    const { secret } = store.invite({ name: "job", seat: true, expiresInMs: HOUR_MS });
    const { publicKey } = seatIdentity(secret, store.identity.publicKey);
    clock.now += HOUR_MS - 1;
    expect([store.admit(publicKey), store.knows(publicKey)]).toEqual([knownAs("job"), true]);
    clock.now += 1;
    expect([store.admit(publicKey), store.knows(publicKey)]).toEqual([refusedAs("expired"), false]);
    expect(reopen().admit(publicKey)).toEqual(refusedAs("expired"));
    const again = reopen();
    expect(again.admit(publicKey, again.invite({ name: "back" }).secret)).toEqual(joinedAs("back"));
    expect(again.clients()).toMatchObject([{ name: "back", kind: "client" }]);
  });
});

describe("a revoked key", () => {
  test("is refused as revoked, with no invite, its old one or a wrong one", () => {
    const { store, reopen } = openStore();
    const key = newKey();
    const { secret } = store.invite({ name: "laptop", uses: 5 });
    store.admit(key, secret);
    expect(store.revoke("laptop")).toEqual({ keys: [key], invites: 1 });
    for (const each of [store, reopen()]) {
      expect(each.admit(key)).toEqual(refusedAs("revoked"));
      expect(each.admit(key, secret)).toEqual(refusedAs("revoked"));
      expect(each.admit(key, new Uint8Array(16))).toEqual(refusedAs("revoked"));
      expect(each.knows(key)).toBe(false);
      // Its invite had uses left, which are gone for everybody.
      expect(each.admit(newKey(), secret)).toEqual(refusedAs("inviteUnknown"));
    }
  });

  test("is refused as revoked with an invite that has expired", () => {
    const { store, clock } = openStore();
    const key = newKey();
    store.add("laptop", key);
    store.revoke("laptop");
    const { secret } = store.invite({ name: "laptop", expiresInMs: HOUR_MS });
    clock.now += HOUR_MS;
    expect(store.admit(key, secret)).toEqual(refusedAs("revoked"));
  });

  test("comes in again with a new invite: the operator invited it", () => {
    const { store, reopen } = openStore();
    const key = newKey();
    store.add("laptop", key);
    store.revoke("laptop");
    const { secret } = store.invite({ name: "laptop" });
    expect(store.admit(key, secret)).toEqual(joinedAs("laptop"));
    expect(store.admit(key)).toEqual(knownAs("laptop"));
    expect(reopen().admit(key)).toEqual(knownAs("laptop"));
  });

  test("comes in again when it is added by hand", () => {
    const { store, reopen } = openStore();
    const key = newKey();
    store.add("laptop", key);
    store.revoke("laptop");
    store.add("laptop", key);
    expect(reopen().admit(key)).toEqual(knownAs("laptop"));
  });
});
