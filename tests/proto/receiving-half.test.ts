import { describe, expect, test } from "bun:test";
import { LIMITS } from "../../src/proto/limits.ts";
import { ReceivingHalf } from "../../src/proto/receiving-half.ts";
import { protocolErrorOf } from "./support/errors.ts";

const WINDOW = LIMITS.initialWindowBytes;
const EXEMPT = LIMITS.exemptBytes;

/** A half whose head has arrived. */
function half(): ReceivingHalf {
  const receiving = new ReceivingHalf();
  receiving.head();
  return receiving;
}

/** `length` bytes of which the one of unit u is u modulo 256. */
function units(first: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => first + index);
}

function take(receiving: ReceivingHalf, first: number, length: number, fin = false): number[] {
  return [...receiving.data(first, units(first, length), fin).bytes];
}

describe("units", () => {
  test("the head comes once and first", () => {
    const receiving = new ReceivingHalf();
    expect(protocolErrorOf(() => take(receiving, 1, 1))).toBe("unitGap");
    expect([receiving.head(), receiving.head(), receiving.next]).toEqual([true, false, 1]);
  });

  test("bytes arrive in order", () => {
    const receiving = half();
    expect([take(receiving, 1, 3), take(receiving, 4, 2), receiving.next]).toEqual([[1, 2, 3], [4, 5], 6]);
  });

  test("what had arrived before is trimmed, whole or in part", () => {
    const receiving = half();
    take(receiving, 1, 10);
    expect([take(receiving, 1, 10), take(receiving, 4, 3), take(receiving, 9, 4)]).toEqual([
      [],
      [],
      [11, 12],
    ]);
    expect(receiving.next).toBe(13);
  });

  test("a gap is the peer's fault and changes nothing", () => {
    const receiving = half();
    take(receiving, 1, 3);
    expect(protocolErrorOf(() => take(receiving, 5, 1))).toBe("unitGap");
    expect(take(receiving, 4, 1)).toEqual([4]);
  });
});

describe("FIN", () => {
  test("may come with bytes or alone, and is told once", () => {
    const receiving = half();
    expect(receiving.data(1, units(1, 2), true)).toEqual({ bytes: units(1, 2), fin: true });
    expect(receiving.ended).toBe(true);
    expect(receiving.data(1, units(1, 2), true)).toEqual({ bytes: units(3, 0), fin: false });
    const alone = half();
    take(alone, 1, 2);
    expect(alone.data(3, units(3, 0), true).fin).toBe(true);
    expect([alone.ended, alone.next]).toEqual([true, 4]);
  });

  test("of a stream without bytes is unit 1", () => {
    const receiving = half();
    expect(receiving.data(1, units(1, 0), true).fin).toBe(true);
    receiving.consume(0);
    expect(receiving.complete).toBe(true);
  });

  test("arrives with bytes of which some had arrived", () => {
    const receiving = half();
    take(receiving, 1, 4);
    expect(receiving.data(3, units(3, 4), true)).toEqual({ bytes: units(5, 2), fin: true });
  });

  test.each([
    ["a byte behind it", 4, 1, false],
    ["bytes across it", 2, 5, false],
    ["another end behind it", 4, 0, true],
    ["another end before it", 2, 0, true],
  ])("%s is the peer's fault", (_, first, length, fin) => {
    const receiving = half();
    take(receiving, 1, 2, true);
    expect(protocolErrorOf(() => take(receiving, first, length, fin))).toBe(
      first > receiving.next ? "unitGap" : "dataAfterFin",
    );
  });

  // The peer contradicts itself: it has sent bytes behind what it now calls the end.
  test("below bytes that have arrived is the peer's fault", () => {
    const receiving = half();
    take(receiving, 1, 10);
    expect(protocolErrorOf(() => take(receiving, 5, 0, true))).toBe("dataAfterFin");
  });

  test("with bytes not all taken does not complete the direction", () => {
    const receiving = half();
    take(receiving, 1, 5, true);
    receiving.consume(4);
    expect(receiving.complete).toBe(false);
    receiving.consume(1);
    expect(receiving.complete).toBe(true);
  });

  test("completes the direction only once the peer's pool is relieved but for the exemption", () => {
    const receiving = half();
    receiving.data(1, new Uint8Array(EXEMPT + 1), true);
    receiving.consume(EXEMPT + 1);
    expect([receiving.complete, receiving.updateDue()]).toEqual([false, "later"]);
    receiving.update(0, 10, WINDOW);
    expect(receiving.complete).toBe(true);
  });
});

describe("credit", () => {
  test("of 256 KiB is there from the start, and a byte more is the peer's fault", () => {
    const receiving = half();
    expect(receiving.data(1, new Uint8Array(WINDOW), false).bytes.length).toBe(WINDOW);
    expect(protocolErrorOf(() => receiving.data(WINDOW + 1, new Uint8Array(1), false))).toBe("streamCredit");
    expect(protocolErrorOf(() => receiving.data(WINDOW + 1, new Uint8Array(0), true))).toBe("none");
  });

  test("is overrun by what has arrived before as well: the end counts, not the news", () => {
    const receiving = half();
    receiving.data(1, new Uint8Array(WINDOW), false);
    expect(protocolErrorOf(() => receiving.data(WINDOW, new Uint8Array(2), false))).toBe("streamCredit");
  });

  test("is due soon after a quarter of the window, later when all of 8 KiB or more is taken, else not", () => {
    const receiving = half();
    receiving.data(1, new Uint8Array(WINDOW), false);
    receiving.consume(WINDOW / 4 - 1);
    expect(receiving.updateDue()).toBe("no");
    receiving.consume(1);
    expect(receiving.updateDue()).toBe("soon");
    receiving.update(0, 10, WINDOW);
    expect(receiving.updateDue()).toBe("no");
    const small = half();
    small.data(1, new Uint8Array(EXEMPT - 1), false);
    small.consume(EXEMPT - 1);
    expect(small.updateDue()).toBe("no");
    small.data(EXEMPT, new Uint8Array(1), false);
    small.consume(1);
    expect(small.updateDue()).toBe("later");
  });

  test("is not urgent behind the end", () => {
    const receiving = half();
    receiving.data(1, new Uint8Array(WINDOW), true);
    receiving.consume(WINDOW / 2);
    expect(receiving.updateDue()).toBe("no");
    receiving.consume(WINDOW / 2);
    expect(receiving.updateDue()).toBe("later");
  });

  test("moves with what the application has taken", () => {
    const receiving = half();
    receiving.data(1, new Uint8Array(1_000), false);
    receiving.consume(600);
    expect(receiving.update(0, 10, WINDOW)).toEqual({ consumed: 600, limit: 600 + WINDOW });
    expect(receiving.limit).toBe(600 + WINDOW);
  });

  test("the application cannot take more than arrived", () => {
    const receiving = half();
    receiving.data(1, new Uint8Array(10), false);
    expect(() => receiving.consume(11)).toThrow(RangeError);
  });
});

describe("the window", () => {
  /** Drains a window, then `count` windows, each within `ms`, and says what credit was left at the end. */
  function drain(count: number, ms: number, rttMs: number, maxWindow: number): number {
    const receiving = half();
    let now = 0;
    let next = 1;
    let window = WINDOW;
    for (let round = 0; round <= count; round++) {
      receiving.data(next, new Uint8Array(window), false);
      receiving.consume(window);
      next += window;
      now += ms;
      const { consumed, limit } = receiving.update(now, rttMs, maxWindow);
      window = limit - consumed;
    }
    return window;
  }

  test("doubles when it is drained within four round trips, up to the most that is allowed", () => {
    expect(drain(3, 79, 20, LIMITS.maxWindowBytes)).toBe(WINDOW * 8);
    expect(drain(12, 79, 20, LIMITS.maxWindowBytes)).toBe(LIMITS.maxWindowBytes);
    expect(drain(12, 79, 20, 3 * WINDOW)).toBe(3 * WINDOW);
  });

  test("grows fourfold when it was all that held the stream up", () => {
    expect(drain(2, 29, 20, LIMITS.maxWindowBytes)).toBe(WINDOW * 16);
    expect(drain(12, 29, 20, LIMITS.maxWindowBytes)).toBe(LIMITS.maxWindowBytes);
  });

  test("grows in the first round trip already", () => {
    const receiving = half();
    let next = 1;
    for (let quarter = 0; quarter < 4; quarter++) {
      receiving.data(next, new Uint8Array(WINDOW / 4), false);
      receiving.consume(WINDOW / 4);
      next += WINDOW / 4;
      receiving.update(100 + quarter, 20, LIMITS.maxWindowBytes);
    }
    expect(receiving.limit - receiving.consumed).toBe(WINDOW * 4);
  });

  test("takes no first window for quick that has waited", () => {
    expect(drain(0, 1, 20, LIMITS.maxWindowBytes)).toBe(WINDOW);
  });

  test("stays where a drain takes longer than four round trips, the queue of the sender's link counted", () => {
    const loopMs = 20 + LIMITS.queueDelayMs;
    expect(drain(12, 4 * loopMs - 1, 20, LIMITS.maxWindowBytes)).toBe(LIMITS.maxWindowBytes);
    expect(drain(12, 4 * loopMs + 1, 20, LIMITS.maxWindowBytes)).toBe(WINDOW);
  });

  test("never shrinks where the pool is full", () => {
    expect(drain(12, 1, 20, 0)).toBe(WINDOW);
  });
});

describe("resumption", () => {
  test("a resume entry states as much credit as an update would, and the peer is held to it", () => {
    const receiving = half();
    receiving.data(1, new Uint8Array(1_000), false);
    receiving.consume(1_000);
    expect(receiving.state()).toEqual({ next: 1_001, consumed: 1_000, limit: 1_000 + WINDOW });
    expect(protocolErrorOf(() => receiving.data(1_001, new Uint8Array(WINDOW), false))).toBe("none");
  });

  test("what was told on a link that the peer had fenced off is told again", () => {
    const receiving = half();
    receiving.data(1, new Uint8Array(100_000), false);
    receiving.consume(50_000);
    const stated = receiving.state().consumed;
    receiving.consume(40_000);
    receiving.update(0, 10, WINDOW);
    expect(receiving.updateDue()).toBe("no");
    receiving.restated(stated);
    receiving.consume(10_000);
    expect(receiving.updateDue()).toBe("later");
    receiving.update(0, 10, WINDOW);
    expect(receiving.updateDue()).toBe("no");
  });
});
