import { describe, expect, test } from "bun:test";
import { type Refusal, seatIdentity } from "../../src/proto/index.ts";
import type { Admission } from "../../src/server/store.ts";
import { usageErrorOf, useScratch } from "../runtime/state-support.ts";
import { DAY_MS, HOUR_MS, newKey, useStores } from "./store-support.ts";

const openStore = useStores(useScratch());

function joinedAs(name: string): Admission {
  return { kind: "admitted", name, joined: true };
}

function knownAs(name: string): Admission {
  return { kind: "admitted", name, joined: false };
}

function refusedAs(refusal: Refusal): Admission {
  return { kind: "refused", refusal };
}

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
    expect(store.clients()).toEqual([{ name: "laptop", key, kind: "client", addedAtMs: clock.now }]);
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

describe("revoke", () => {
  test("takes all clients and seats of a name and its open invites, and nothing of others", () => {
    const { store, clock, reopen } = openStore();
    const [one, two, other] = [newKey(), newKey(), newKey()];
    const team = store.invite({ name: "team", uses: 3 });
    store.admit(one, team.secret);
    store.add("team", two);
    const seat = store.invite({ name: "team", seat: true });
    const expired = store.invite({ name: "team", expiresInMs: 1 });
    store.add("other", other);
    const open = store.invite({ name: "other" });
    clock.now += 1;

    const { keys, invites } = store.revoke("team");
    const seatKey = seatIdentity(seat.secret, store.identity.publicKey).publicKey;
    expect(keys).toEqual([one, two, seatKey]);
    expect(invites).toBe(1);
    for (const key of keys) expect(store.admit(key)).toEqual(refusedAs("revoked"));
    expect(reopen().admit(other)).toEqual(knownAs("other"));
    expect(store.admit(newKey(), expired.secret)).toEqual(refusedAs("inviteExpired"));
    expect(store.admit(newKey(), open.secret)).toEqual(joinedAs("other"));
  });

  test("of a name with nothing but an invite deletes that", () => {
    const { store } = openStore();
    const { secret } = store.invite({ name: "laptop" });
    expect(store.revoke("laptop")).toEqual({ keys: [], invites: 1 });
    expect(store.admit(newKey(), secret)).toEqual(refusedAs("inviteUnknown"));
  });

  test("of an unknown name is the operator's mistake, and changes nothing", () => {
    const { store } = openStore();
    const keys = store.gateKeys();
    const error = usageErrorOf(() => store.revoke("laptop"));
    expect(error.message).toBe('no client and no open invite is called "laptop"');
    expect(error.hint).toContain("rvpn clients");
    expect(store.gateKeys()).toBe(keys);
  });

  test("a second time says since when", () => {
    const { store } = openStore();
    store.add("laptop", newKey());
    store.revoke("laptop");
    expect(usageErrorOf(() => store.revoke("laptop")).message).toBe(
      '"laptop" was revoked before, 2025-01-31T12:00:00.000Z',
    );
  });
});

describe("add", () => {
  test("of the same key under the same name changes nothing", () => {
    const { store, clock } = openStore();
    const key = newKey();
    store.add("laptop", key);
    clock.now += 1000;
    store.add("laptop", key);
    expect(store.clients()).toMatchObject([{ addedAtMs: clock.now - 1000 }]);
  });

  test("of a known key under another name is refused", () => {
    const { store } = openStore();
    const key = newKey();
    store.add("laptop", key);
    const error = usageErrorOf(() => store.add("phone", key));
    expect(error.message).toBe('this key is on the list as "laptop" already');
    expect(error.hint).toContain("rvpn revoke laptop");
  });

  test("of a key that nobody can have is refused", () => {
    const { store } = openStore();
    for (const key of [new Uint8Array(32), newKey().subarray(1), new Uint8Array(32).fill(0xff)]) {
      expect(usageErrorOf(() => store.add("laptop", key)).message).toContain("public key");
    }
  });
});

describe("names and terms", () => {
  test.each(["", " ", "lap top", "läptop", "a/b", "a\n", "a".repeat(65), "../x", "a:b", "é"])(
    "%p is no name",
    (name) => {
      const { store } = openStore();
      for (const action of [() => store.invite({ name }), () => store.add(name, newKey())]) {
        expect(usageErrorOf(action).message).toContain("cannot be a client's name");
      }
    },
  );

  test.each(["a", "A-b_c.9", "a".repeat(64)])("%p is one", (name) => {
    const { store } = openStore();
    store.invite({ name });
    store.add(name, newKey());
  });

  test.each([
    [{ uses: 0 }, "cannot be for 0 clients"],
    [{ uses: 1.5 }, "cannot be for 1.5 clients"],
    [{ uses: 10_001 }, "cannot be for 10001 clients"],
    [{ uses: 2, seat: true }, "a seat is good for any number"],
    [{ expiresInMs: 0 }, "cannot expire in 0 s"],
    [{ expiresInMs: -1000 }, "cannot expire in -1 s"],
    [{ expiresInMs: Number.NaN }, "cannot expire in NaN s"],
    [{ expiresInMs: 3651 * DAY_MS }, "cannot expire in"],
    [{ expiresInMs: 3651 * DAY_MS, seat: true }, "cannot expire in"],
  ])("%j is refused: %s", (terms, problem) => {
    const { store } = openStore();
    expect(usageErrorOf(() => store.invite({ name: "laptop", ...terms })).message).toContain(problem);
    expect([store.invites(), store.clients()]).toEqual([[], []]);
  });

  test("an invite lasts 24 hours and lets one in, unless said otherwise", () => {
    const { store, clock } = openStore();
    const { expiresAtMs } = store.invite({ name: "laptop" });
    expect(expiresAtMs).toBe(clock.now + DAY_MS);
    expect(store.invites()).toMatchObject([
      { name: "laptop", uses: 1, used: 0, expiresAtMs: clock.now + DAY_MS },
    ]);
    clock.now += DAY_MS;
    expect(store.invites()).toEqual([]);
  });

  test("a name may be invited again: a second device of the same person", () => {
    const { store } = openStore();
    const first = newKey();
    store.admit(first, store.invite({ name: "ada" }).secret);
    const second = newKey();
    expect(store.admit(second, store.invite({ name: "ada" }).secret)).toEqual(joinedAs("ada"));
    expect(store.clients().map(({ name }) => name)).toEqual(["ada", "ada"]);
    expect(store.revoke("ada").keys).toEqual([first, second]);
  });
});
