import { describe, expect, test } from "bun:test";
import { type LinkClaim, TunnelNames } from "../../src/server/tunnel-names.ts";
import { below, seededRandom } from "../proto/support/random.ts";

const LIMITS = { remembered: 3, rememberMs: 1_000, slots: 4 };

function hello(gen: number, { slot = 0 }: Partial<LinkClaim> = {}): LinkClaim {
  return { slot, gen };
}

/** Takes a link as a server does; gives what its client is told. */
function take(names: TunnelNames<string>, key: string, claim: LinkClaim, now = 0): string {
  const standing = names.standing(key, claim, now);
  if (standing.kind === "stale" || standing.kind === "tooMany") return standing.kind;
  if (standing.kind === "new") names.enter(key, `tunnel ${key}`);
  names.linked(key, claim);
  return standing.kind === "new" ? standing.result : "resumed";
}

describe("a tunnel's name", () => {
  test("is created once, and resumed by higher gens of each slot", () => {
    const names = new TunnelNames<string>(LIMITS);
    expect(take(names, "a", hello(5))).toBe("created");
    expect(take(names, "a", hello(5))).toBe("stale");
    expect(take(names, "a", hello(4))).toBe("stale");
    expect(take(names, "a", hello(1, { slot: 1 }))).toBe("resumed");
    expect(take(names, "a", hello(6))).toBe("resumed");
    expect(names.get("a")).toBe("tunnel a");
    expect(take(names, "b", hello(0))).toBe("created");
  });

  test("looking at a link changes nothing: one that is refused elsewhere leaves no trace", () => {
    const names = new TunnelNames<string>(LIMITS);
    names.standing("a", hello(9), 0);
    expect([names.size, names.remembered]).toEqual([0, 0]);
    expect(take(names, "a", hello(1))).toBe("created");
  });

  test("that was given up cannot be brought back by a late dial, only by a new one, which hears of it", () => {
    const names = new TunnelNames<string>(LIMITS);
    take(names, "a", hello(3));
    take(names, "a", hello(1, { slot: 1 }));
    names.drop("a", 10);
    expect(names.get("a")).toBeUndefined();
    for (const gen of [0, 1, 3]) expect(take(names, "a", hello(gen), 20)).toBe("stale");
    expect(take(names, "a", hello(4), 20)).toBe("dropped");
    // The tunnel made in its place has taken the gens over: nothing of before comes in through it either.
    expect(take(names, "a", hello(3), 20)).toBe("stale");
    expect(take(names, "a", hello(1, { slot: 1 }), 20)).toBe("stale");
    expect(take(names, "a", hello(2, { slot: 1 }), 20)).toBe("resumed");
    names.drop("a", 30);
    expect(take(names, "a", hello(4), 40)).toBe("stale");
    expect(take(names, "a", hello(5), 40)).toBe("dropped");
  });

  test("has no more slots than it may, also across its end", () => {
    const names = new TunnelNames<string>(LIMITS);
    for (let slot = 0; slot < LIMITS.slots; slot++) take(names, "a", hello(1, { slot }));
    expect(take(names, "a", hello(2, { slot: LIMITS.slots }))).toBe("tooMany");
    names.drop("a", 0);
    expect(take(names, "a", hello(2, { slot: LIMITS.slots }))).toBe("tooMany");
    expect(take(names, "a", hello(2, { slot: 0 }))).toBe("dropped");
  });
});

describe("names of given-up tunnels", () => {
  test("are forgotten in time", () => {
    const names = new TunnelNames<string>(LIMITS);
    take(names, "a", hello(1));
    names.drop("a", 0);
    expect(take(names, "a", hello(1), LIMITS.rememberMs - 1)).toBe("stale");
    expect(take(names, "a", hello(1), LIMITS.rememberMs)).toBe("created");
  });

  test("that had to make room leave doubt behind: whoever comes hears `dropped` until their time is over", () => {
    const names = new TunnelNames<string>(LIMITS);
    for (const [at, key] of ["a", "b", "c", "d"].entries()) {
      take(names, key, hello(1), at);
      names.drop(key, at);
    }
    expect(names.remembered).toBe(3);
    const later = LIMITS.rememberMs - 1;
    // Also where this Hello lists no stream: the client may have sent something on another slot, which comes next.
    expect(names.standing("a", hello(2), later)).toEqual({ kind: "new", result: "dropped" });
    expect(names.standing("a", hello(2, { slot: 1 }), later)).toEqual({ kind: "new", result: "dropped" });
    const over = LIMITS.rememberMs;
    expect(names.standing("a", hello(2), over)).toEqual({ kind: "new", result: "created" });
  });

  test("never grow beyond their number, whatever happens", () => {
    const random = seededRandom("names");
    const names = new TunnelNames<string>({ ...LIMITS, remembered: 10 });
    for (let step = 0; step < 5_000; step++) {
      const key = `${below(random, 40)}`;
      if (below(random, 2) === 0) names.drop(key, step);
      else take(names, key, hello(step), step);
      if (names.remembered > 10) throw new Error(`${names.remembered} after step ${step}`);
    }
    expect(names.remembered).toBeGreaterThan(0);
    expect(take(names, "quiet", hello(1), 1e9)).toBe("created");
    expect(names.remembered).toBe(0);
  });
});
