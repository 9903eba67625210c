import { describe, expect, test } from "bun:test";
import { DetachedLedger } from "../../src/server/detached-ledger.ts";
import { detachedBudgetInAll, SERVER_LIMITS } from "../../src/server/server-limits.ts";
import { below, seededRandom } from "../proto/support/random.ts";

const BUDGET = { perClient: 100, inAll: 250 };

describe("the budget of detached tunnels", () => {
  test("lets an identity's own oldest go, and nobody else's", () => {
    const ledger = new DetachedLedger(BUDGET);
    expect(ledger.enter("b1", "ben", 90)).toEqual([]);
    expect(ledger.enter("a1", "ada", 40)).toEqual([]);
    expect(ledger.enter("a2", "ada", 40)).toEqual([]);
    expect(ledger.enter("a3", "ada", 40)).toEqual(["a1"]);
    expect(ledger.enter("a4", "ada", 100)).toEqual(["a2", "a3"]);
    expect([ledger.bytesOf("ada"), ledger.bytesOf("ben"), ledger.bytes]).toEqual([100, 90, 190]);
    expect(ledger.oldestOf("ben")).toBe("b1");
  });

  test("takes a tunnel out that is attached again, and ranks it anew when it comes back", () => {
    const ledger = new DetachedLedger(BUDGET);
    ledger.enter("a1", "ada", 40);
    ledger.enter("a2", "ada", 40);
    ledger.leave("a1");
    ledger.leave("a1");
    expect(ledger.bytes).toBe(40);
    ledger.enter("a1", "ada", 40);
    expect(ledger.enter("a3", "ada", 40)).toEqual(["a2"]);
    for (const tunnel of ["a1", "a3"]) ledger.leave(tunnel);
    expect([ledger.size, ledger.bytes, ledger.oldestOf("ada")]).toEqual([0, 0, undefined]);
  });

  test("gives up a tunnel that is too large by itself", () => {
    const ledger = new DetachedLedger(BUDGET);
    expect(ledger.enter("a1", "ada", 101)).toEqual(["a1"]);
    expect(ledger.bytes).toBe(0);
  });

  test("of the whole process is paid for by who holds most", () => {
    const ledger = new DetachedLedger(BUDGET);
    ledger.enter("a1", "ada", 50);
    ledger.enter("a2", "ada", 50);
    ledger.enter("b1", "ben", 70);
    ledger.enter("c1", "cho", 60);
    expect(ledger.enter("d1", "dee", 30)).toEqual(["a1"]);
    expect(ledger.bytes).toBe(210);
  });

  test("is never exceeded, and its sums are those of its tunnels", () => {
    const random = seededRandom("ledger");
    const ledger = new DetachedLedger(BUDGET);
    const held = new Map<string, { owner: string; bytes: number }>();
    for (let step = 0; step < 5_000; step++) {
      const owner = `o${below(random, 5)}`;
      const tunnel = `${owner}/${below(random, 8)}`;
      if (below(random, 3) === 0) {
        ledger.leave(tunnel);
        held.delete(tunnel);
        continue;
      }
      const bytes = below(random, 60);
      held.delete(tunnel);
      held.set(tunnel, { owner, bytes });
      for (const gone of ledger.enter(tunnel, owner, bytes)) held.delete(gone);
      const sum = (who?: string): number =>
        [...held.values()].reduce(
          (all, one) => all + (who === undefined || one.owner === who ? one.bytes : 0),
          0,
        );
      expect(ledger.bytes).toBe(sum());
      expect(ledger.bytesOf(owner)).toBe(sum(owner));
      expect(ledger.bytes).toBeLessThanOrEqual(BUDGET.inAll);
      expect(ledger.bytesOf(owner)).toBeLessThanOrEqual(BUDGET.perClient);
      expect(ledger.size).toBe(held.size);
    }
  });

  test("of a small machine still holds what one client may", () => {
    expect(detachedBudgetInAll(64 * 2 ** 20)).toBe(SERVER_LIMITS.detachedBytesPerClient);
    expect(detachedBudgetInAll(8 * 2 ** 30)).toBe(4 * 2 ** 30);
  });
});
