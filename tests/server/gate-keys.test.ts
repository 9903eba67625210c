import { describe, expect, test } from "bun:test";
import { makeGateToken, seatIdentity } from "../../src/proto/index.ts";
import type { ServerStore } from "../../src/server/store.ts";
import { STORE_LIMITS } from "../../src/server/store-limits.ts";
import { seededRandom } from "../proto/support/random.ts";
import { useScratch } from "../runtime/state-support.ts";
import { DAY_MS, HOUR_MS, knownAs, newKey, refusedAs, useStores } from "./store-support.ts";

const openStore = useStores(useScratch());
const random = seededRandom("gate keys");

/** Revokes as many other names, one after the other. */
function revokeOthers(store: ServerStore, count: number): void {
  for (let round = 0; round < count; round++) {
    store.invite({ name: "somebody" });
    store.revoke("somebody");
  }
}

/** The link of a store, as its holder keeps it: what opens the gate. */
function gateKeyOf(store: ServerStore): Uint8Array {
  return store.gateKeys()[0];
}

/** Whether the gate still takes who holds `gateKey`, and by which generation. */
function opens(store: ServerStore, gateKey: Uint8Array): boolean {
  return store.gateGeneration(makeGateToken(gateKey, random)) !== undefined;
}

/** A client comes in with the gate key that it has, as through the gate. */
function comeIn(store: ServerStore, key: Uint8Array, gateKey: Uint8Array, join?: Uint8Array): unknown {
  const generation = store.gateGeneration(makeGateToken(gateKey, random));
  if (generation === undefined) return "shut out by the gate";
  return store.admit(key, join, generation);
}

const MANY = 20;

describe("a gate key stays valid while somebody who is welcome may have no newer one:", () => {
  test("a seat's link works after twenty revocations of others; a revoked seat's does not", () => {
    const { store, reopen } = openStore();
    const seats = ["ci", "nightly"].map((name) => {
      const { secret } = store.invite({ name, seat: true });
      return { key: seatIdentity(secret, store.identity.publicKey).publicKey, gateKey: gateKeyOf(store) };
    });
    const [ci, nightly] = seats;
    if (ci === undefined || nightly === undefined) throw new Error("two seats");
    revokeOthers(store, MANY);
    for (const under of [store, reopen()]) {
      expect(comeIn(under, ci.key, ci.gateKey)).toEqual(knownAs("ci"));
      expect(comeIn(under, nightly.key, nightly.gateKey)).toEqual(knownAs("nightly"));
    }
    const again = reopen();
    again.revoke("nightly");
    expect(comeIn(again, nightly.key, nightly.gateKey)).toEqual(refusedAs("revoked"));
    revokeOthers(again, MANY);
    expect(comeIn(again, ci.key, ci.gateKey)).toEqual(knownAs("ci"));
    again.revoke("ci");
    revokeOthers(again, MANY);
    // Nobody needs the key that both were made with.
    expect(comeIn(again, ci.key, ci.gateKey)).toBe("shut out by the gate");
    expect(again.gateKeys()).toHaveLength(STORE_LIMITS.oldGateKeys + 1);
  });

  test("a seat that has been sent newer keys may come with its link's or the last it was sent", () => {
    const { store } = openStore();
    const { secret } = store.invite({ name: "ci", seat: true });
    const { publicKey: key } = seatIdentity(secret, store.identity.publicKey);
    const inLink = gateKeyOf(store);
    revokeOthers(store, 3);
    expect(comeIn(store, key, inLink)).toEqual(knownAs("ci"));
    const sent = gateKeyOf(store);
    revokeOthers(store, MANY);
    expect([opens(store, inLink), opens(store, sent)]).toEqual([true, true]);
    expect(comeIn(store, key, sent)).toEqual(knownAs("ci"));
    expect([opens(store, inLink), opens(store, gateKeyOf(store))]).toEqual([true, true]);
  });

  test("an invite's link works until it has expired or is used up", () => {
    const { store, clock } = openStore();
    const open = store.invite({ name: "laptop", expiresInMs: DAY_MS });
    const late = store.invite({ name: "late", expiresInMs: HOUR_MS });
    const gateKey = gateKeyOf(store);
    revokeOthers(store, MANY);
    const laptop = newKey();
    expect(comeIn(store, laptop, gateKey, open.secret)).toMatchObject({ name: "laptop", joined: true });
    clock.now += 2 * HOUR_MS;
    // It joined with the old key and was sent the new one: it may still have either.
    revokeOthers(store, MANY);
    expect(opens(store, gateKey)).toBe(true);
    expect(comeIn(store, laptop, gateKeyOf(store))).toEqual(knownAs("laptop"));
    revokeOthers(store, MANY);
    expect(opens(store, gateKey)).toBe(false);
    expect(comeIn(store, newKey(), gateKey, late.secret)).toBe("shut out by the gate");
  });

  test("a client that sleeps gets in with whatever it was sent last, or came with", () => {
    const { store, reopen } = openStore();
    const key = newKey();
    store.add("laptop", key);
    const inLink = gateKeyOf(store);
    expect(comeIn(store, key, inLink)).toEqual(knownAs("laptop"));
    const sent = [inLink];
    for (let round = 0; round < 3; round++) {
      revokeOthers(store, 1);
      store.gateKeySent([key]);
      sent.push(gateKeyOf(store));
    }
    revokeOthers(store, MANY);
    const again = reopen();
    revokeOthers(again, MANY);
    expect(sent.map((gateKey) => opens(again, gateKey))).toEqual([true, true, true, true]);
    expect(comeIn(again, key, sent[3] ?? inLink)).toEqual(knownAs("laptop"));
    // Now it is known what it has. That is written with the next change, and holds from the one after.
    revokeOthers(again, MANY);
    expect(sent.map((gateKey) => opens(again, gateKey))).toEqual([false, false, false, true]);
  });

  test("a client added by hand gets in with its link, however late", () => {
    const { store } = openStore();
    const key = newKey();
    store.add("router", key);
    const gateKey = gateKeyOf(store);
    revokeOthers(store, MANY);
    expect(comeIn(store, key, gateKey)).toEqual(knownAs("router"));
  });
});

describe("the number of gate keys", () => {
  test("has a bound; at it nobody is shut out, and a revocation revokes all the same", () => {
    const { store, reopen } = openStore();
    const seats = [];
    for (let number = 0; number < STORE_LIMITS.maxGateKeys + 5; number++) {
      const { secret } = store.invite({ name: `seat-${number}`, seat: true });
      const { publicKey: key } = seatIdentity(secret, store.identity.publicKey);
      seats.push({ key, gateKey: gateKeyOf(store), name: `seat-${number}` });
      revokeOthers(store, 1);
    }
    expect(store.gateKeys()).toHaveLength(STORE_LIMITS.maxGateKeys);
    const before = gateKeyOf(store);
    store.revoke("seat-3");
    expect(gateKeyOf(store)).toBe(before);
    const again = reopen();
    for (const { key, gateKey, name } of seats) {
      const expected = name === "seat-3" ? refusedAs("revoked") : knownAs(name);
      expect(comeIn(again, key, gateKey)).toEqual(expected);
    }
    // As soon as there is room the key is renewed again.
    for (const number of [1, 2, 4]) again.revoke(`seat-${number}`);
    revokeOthers(again, 1);
    expect(gateKeyOf(again)).not.toEqual(before);
    expect(again.gateKeys().length).toBeLessThanOrEqual(STORE_LIMITS.maxGateKeys);
  });

  test("does not grow with revocations alone", () => {
    const { store } = openStore();
    store.add("router", newKey());
    revokeOthers(store, 100);
    // The newest, the eight before it, and the router's.
    expect(store.gateKeys()).toHaveLength(STORE_LIMITS.oldGateKeys + 2);
  });
});
