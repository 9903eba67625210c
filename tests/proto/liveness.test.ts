import { describe, expect, test } from "bun:test";
import { LIMITS } from "../../src/proto/limits.ts";
import { Liveness } from "../../src/proto/liveness.ts";

const IDLE = LIMITS.pingIdleMs;
const LONG = LIMITS.pingDeadlineMs;
const SHORT = LIMITS.urgentPingDeadlineMs;
/** Jitter 0.5 is no jitter at all. */
const liveness = () => new Liveness(0, 0.5);

describe("an idle link", () => {
  test("is pinged once after 20 s of silence", () => {
    const link = liveness();
    expect([link.takePing(IDLE - 1), link.takePing(IDLE), link.takePing(IDLE + 1)]).toEqual([
      false,
      true,
      false,
    ]);
  });

  test.each([
    [0, 16_000],
    [0.25, 18_000],
    [0.999_999, 24_000],
  ])("jitter %d makes that %d ms", (jitter, idleMs) => {
    const link = new Liveness(0, jitter);
    expect(link.nextWake(false)).toBeCloseTo(idleMs, 0);
    expect([link.takePing(idleMs - 1), link.takePing(idleMs + 1)]).toEqual([false, true]);
  });

  test("has 9 s to answer, and is dead then, without having been suspect", () => {
    const link = liveness();
    link.takePing(IDLE);
    expect([link.health(IDLE + LONG - 1), link.health(IDLE + LONG)]).toEqual(["alive", "dead"]);
  });

  test("lives on by any message, and is pinged again 20 s later", () => {
    const link = liveness();
    link.takePing(IDLE);
    link.heard(IDLE + 100);
    expect(link.health(IDLE + LONG)).toBe("alive");
    expect(link.nextWake(false)).toBe(2 * IDLE + 100);
    expect([link.takePing(2 * IDLE + 99), link.takePing(2 * IDLE + 100)]).toEqual([false, true]);
  });
});

describe("a flow of bytes that stops", () => {
  const STOPPED = LIMITS.stoppedFlowMs;
  const flowing = () => {
    const link = liveness();
    link.heard(100);
    link.heardBytes();
    return link;
  };

  test("is asked about once, 2 s later; the link is suspect after 3 s more, and dead 9 s after the last byte", () => {
    const link = flowing();
    expect(link.nextWake(false)).toBe(100 + STOPPED);
    expect([link.takePing(99 + STOPPED), link.takePing(100 + STOPPED)]).toEqual([false, true]);
    const at = [STOPPED + SHORT - 1, STOPPED + SHORT, LONG - 1, LONG].map((ms) => link.health(100 + ms));
    expect(at).toEqual(["alive", "suspect", "suspect", "dead"]);
  });

  test("and was just at its end costs one ping", () => {
    const link = flowing();
    link.takePing(100 + STOPPED);
    link.heard(200 + STOPPED);
    expect(link.nextWake(false)).toBe(200 + STOPPED + IDLE);
  });

  test("does not blame the peer for a sleep of ours", () => {
    const link = flowing();
    expect(link.takePing(60_000)).toBe(true);
    expect([link.health(60_000), link.health(60_000 + SHORT)]).toEqual(["alive", "suspect"]);
  });
});

describe("where somebody waits", () => {
  test("silence makes a link suspect after 3 s and dead after 9 s", () => {
    const link = liveness();
    link.expectSoon(500);
    const at = [SHORT - 1, SHORT, LONG - 1, LONG].map((ms) => link.health(500 + ms));
    expect(at).toEqual(["alive", "suspect", "suspect", "dead"]);
  });

  test("waiting again does not put the end off", () => {
    const link = liveness();
    for (let now = 0; now < LONG; now += 100) link.expectSoon(now);
    expect(link.health(LONG)).toBe("dead");
  });

  test("one message is enough to live", () => {
    const link = liveness();
    link.expectSoon(0);
    link.heard(SHORT + 1);
    expect(link.health(LONG * 2)).toBe("alive");
  });

  test("the short deadline overtakes the long one", () => {
    const link = liveness();
    link.takePing(IDLE);
    link.expectSoon(IDLE + 1_000);
    expect(link.health(IDLE + 1_000 + SHORT)).toBe("suspect");
    expect(link.health(IDLE + LONG)).toBe("dead");
  });
});

describe("check", () => {
  test("asks a quiet link at once", () => {
    const link = liveness();
    link.check(LIMITS.quietLinkMs);
    expect([link.takePing(LIMITS.quietLinkMs), link.takePing(LIMITS.quietLinkMs)]).toEqual([true, false]);
    expect(link.health(LIMITS.quietLinkMs + SHORT)).toBe("suspect");
  });

  test("believes a link that has just shown life", () => {
    const link = liveness();
    link.check(LIMITS.quietLinkMs - 1);
    expect([link.takePing(LIMITS.quietLinkMs), link.health(SHORT * 2)]).toEqual([false, "alive"]);
  });

  test("does not ask a second time while an answer is due, but shortens the deadline", () => {
    const link = liveness();
    link.takePing(IDLE);
    link.check(IDLE + 100);
    expect(link.takePing(IDLE + 100)).toBe(false);
    expect(link.health(IDLE + 100 + SHORT)).toBe("suspect");
  });

  test("after a sleep of hours finds the link dead within 9 s", () => {
    const link = liveness();
    const woken = 5 * 3_600_000;
    link.check(woken);
    expect(link.takePing(woken)).toBe(true);
    expect([link.health(woken), link.health(woken + SHORT), link.health(woken + LONG)]).toEqual([
      "alive",
      "suspect",
      "dead",
    ]);
  });
});

test("nextWake names the moment at which something changes, and never one that has passed unseen", () => {
  const link = liveness();
  expect(link.nextWake(false)).toBe(IDLE);
  link.expectSoon(1_000);
  expect(link.nextWake(false)).toBe(1_000 + SHORT);
  expect(link.nextWake(true)).toBe(1_000 + LONG);
  link.heard(5_000);
  expect(link.nextWake(false)).toBe(5_000 + IDLE);
});
