import { afterAll } from "bun:test";
import { generateIdentity, type Identity, type Refusal } from "../../src/proto/index.ts";
import { type Admission, ServerStore } from "../../src/server/store.ts";
import { seededRandom } from "../proto/support/random.ts";

export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;
export const START_MS = Date.UTC(2025, 0, 31, 12);

/** A store with a clock that stands still until it is moved. */
export interface StoreUnderTest {
  readonly dir: string;
  readonly clock: { now: number };
  readonly store: ServerStore;
  /** What the files say: the store that the next start of the server would have. */
  reopen(): ServerStore;
}

/** Call once per test file. */
export function useStores(scratch: () => string): (dir?: string) => StoreUnderTest {
  const open = new Set<ServerStore>();
  afterAll(() => {
    for (const store of open) store.close();
  });
  return (dir = scratch()) => {
    const clock = { now: START_MS };
    let store = openStore(dir, clock);
    open.add(store);
    const reopen = (): ServerStore => {
      store.close();
      store = openStore(dir, clock);
      open.add(store);
      return store;
    };
    return { dir, clock, store, reopen };
  };
}

let opened = 0;

function openStore(dir: string, clock: { readonly now: number }): ServerStore {
  opened += 1;
  return ServerStore.open({ dir, now: () => clock.now, random: seededRandom(`store ${opened}`) });
}

const random = seededRandom("clients");

/** Somebody who is not on any list. */
export function newIdentity(): Identity {
  return generateIdentity(random);
}

export function newKey(): Uint8Array {
  return newIdentity().publicKey;
}

export function joinedAs(name: string): Admission {
  return { kind: "admitted", name, joined: true };
}

export function knownAs(name: string): Admission {
  return { kind: "admitted", name, joined: false };
}

export function refusedAs(refusal: Refusal): Admission {
  return { kind: "refused", refusal };
}
