import { describe, expect, test } from "bun:test";
import { seatIdentity } from "../../src/proto/index.ts";
import { usageErrorOf, useScratch } from "../runtime/state-support.ts";
import { DAY_MS, joinedAs, knownAs, newKey, refusedAs, useStores } from "./store-support.ts";

const openStore = useStores(useScratch());

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
