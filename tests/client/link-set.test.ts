import { describe, expect, test } from "bun:test";
import { LinkSet } from "../../src/client/link-set.ts";
import type { DialOutcome, DialProblem, FreshLink } from "../../src/client/link-shell.ts";
import { Link } from "../../src/proto/link.ts";
import { seededRandom } from "../proto/support/random.ts";
import { ratchetPair } from "../proto/support/ratchets.ts";
import { Clock } from "../sim/clock.ts";

const MINUTE = 60_000;
const OLD = new Uint8Array(16).fill(1);
const NEW = new Uint8Array(16).fill(2);

interface Dial {
  readonly slot: number;
  readonly gen: number;
  readonly at: number;
  readonly outcome: DialOutcome<FreshLink>;
  state: "open" | "given up" | "done";
}

/** A LinkSet whose dials end as the test says, in virtual time. */
class Bench {
  readonly clock = new Clock();
  readonly dials: Dial[] = [];
  readonly offers: { readonly link: Link; readonly secret: string }[] = [];
  readonly lost: { readonly link: Link; readonly reason: string }[] = [];
  readonly problems: { readonly problem: DialProblem; readonly reason: string }[] = [];
  restarts = 0;
  gaveUp = 0;
  holdsBytes = false;
  /** Why slots went down, as the log says it. */
  readonly downs: string[] = [];
  discarded = 0;
  wrongServer = false;
  readonly set: LinkSet<FreshLink>;
  readonly #random = seededRandom("links");
  readonly #live = new Set<Link>();

  constructor(links = 1) {
    this.set = new LinkSet(
      {
        random: this.#random,
        now: () => this.clock.now,
        after: (ms, run) => this.clock.after(ms, run),
        dial: (slot, gen, outcome) => {
          const dial: Dial = { slot, gen, at: this.clock.now, outcome, state: "open" };
          this.dials.push(dial);
          return () => {
            dial.state = "given up";
          };
        },
        offer: ({ link }, secret) => {
          this.offers.push({ link, secret: secret.toHex() });
          this.#live.add(link);
        },
        discard: () => {
          this.discarded += 1;
        },
        lose: (link, reason) => this.lose(link, reason),
        onRestarted: () => {
          this.restarts += 1;
        },
        onGivenUp: () => {
          this.gaveUp += 1;
        },
        onUp: () => {},
        onDialFailed: (_slot, problem, reason) => {
          this.problems.push({ problem, reason });
        },
        onDown: (_slot, reason) => {
          this.downs.push(reason);
        },
        holdsBytes: () => this.holdsBytes,
        onWrongServer: () => {
          this.wrongServer = true;
          this.set.stop();
        },
      },
      links,
    );
    this.set.start();
    this.run(0);
  }

  /** Lets time pass. */
  run(ms: number): void {
    let over = false;
    this.clock.after(ms, () => {
      over = true;
    });
    while (!over) this.clock.step();
  }

  /** As the driver does: whoever has a link is told once that it is gone. */
  lose(link: Link, reason: string): void {
    if (!this.#live.delete(link)) return;
    this.lost.push({ link, reason });
    this.set.lost(link, reason);
  }

  /** The newest dial of `slot` that is under way. */
  dial(slot = 0): Dial {
    const dial = this.dials.findLast((each) => each.slot === slot && each.state === "open");
    if (dial === undefined) throw new Error(`slot ${slot} does not dial`);
    return dial;
  }

  isDialling(slot = 0): boolean {
    return this.dials.some((each) => each.slot === slot && each.state === "open");
  }

  answer(dial: Dial, boot = OLD): Link {
    const { client } = ratchetPair(this.#random);
    const { slot, gen } = dial;
    const link = new Link({ slot, gen, ratchet: client, padding: "none", jitter: 0.5, now: this.clock.now });
    dial.state = "done";
    dial.outcome.dialled({ link, boot });
    return link;
  }

  fail(slot = 0, wrongServer = false): void {
    const dial = this.dial(slot);
    dial.state = "done";
    dial.outcome.failed({ reason: "refused", wrongServer });
  }

  /** Takes the slot's link from its dial to Accept. */
  bringUp(slot = 0, boot = OLD, resumeWindowMs?: number): Link {
    const link = this.answer(this.dial(slot), boot);
    this.set.accepted(slot, resumeWindowMs);
    this.run(0);
    return link;
  }

  /** How long until `slot` dials again. */
  untilDial(slot = 0): number {
    const begun = this.clock.now;
    while (!this.isDialling(slot)) if (!this.clock.step()) return Number.POSITIVE_INFINITY;
    return this.clock.now - begun;
  }
}

describe("several links", () => {
  test("the others are dialled once the first has made the tunnel, all under one secret", () => {
    const bench = new Bench(3);
    bench.run(5 * MINUTE);
    expect(bench.dials.map(({ slot }) => slot)).toEqual([0]);
    bench.bringUp(0);
    expect(bench.dials.map(({ slot }) => slot)).toEqual([0, 1, 2]);
    bench.bringUp(2);
    bench.bringUp(1);
    expect(new Set(bench.offers.map(({ secret }) => secret)).size).toBe(1);
    expect(bench.dials.map(({ gen }) => gen)).toEqual([0, 1, 2]);
    expect(bench.set.slots.map(({ state }) => state)).toEqual(["up", "up", "up"]);
  });

  test("one that is lost comes back by itself, within a second each time while another is up", () => {
    const bench = new Bench(2);
    bench.bringUp(0);
    const link = bench.bringUp(1);
    bench.lose(link, "cut");
    expect(bench.set.state).toBe("up");
    expect(bench.untilDial(1)).toBe(0);
    for (let count = 0; count < 20; count++) {
      bench.fail(1);
      expect(bench.untilDial(1)).toBeLessThanOrEqual(1_000);
    }
  });

  test("one that the server does not want is asked for less and less often", () => {
    const bench = new Bench(2);
    bench.bringUp(0);
    const waits: number[] = [];
    for (let count = 0; count < 20; count++) {
      bench.answer(bench.dial(1));
      bench.set.refused(1, "tooMany");
      waits.push(bench.untilDial(1));
    }
    expect(Math.max(...waits)).toBeWithin(5_000, 30_001);
    expect(bench.set.slots[1]?.lastReason).toBe("the server has reached a limit for this client");
    bench.bringUp(1);
    expect(bench.set.slots[1]?.refused).toBe(false);
  });

  test("one that the server does not want is told as refused, not as a server out of reach", () => {
    const bench = new Bench();
    bench.answer(bench.dial());
    bench.set.refused(0, "draining");
    expect(bench.problems).toEqual([{ problem: "refused", reason: "the server is shutting down" }]);
    bench.untilDial();
    bench.fail();
    bench.untilDial();
    bench.lose(bench.answer(bench.dial()), "cut");
    expect(bench.problems.slice(1).map(({ problem }) => problem)).toEqual(["notReached", "notReached"]);
  });
});

describe("a lost link", () => {
  test("is dialled again at once, then less and less often, and soon where a request waits", () => {
    const bench = new Bench();
    bench.lose(bench.bringUp(), "cut");
    expect(bench.untilDial()).toBe(0);
    const waits = Array.from({ length: 20 }, () => {
      bench.fail();
      return bench.untilDial();
    });
    expect(Math.max(...waits)).toBeWithin(10_000, 30_001);
    bench.fail();
    const done = bench.set.wait();
    expect(bench.untilDial()).toBeLessThanOrEqual(1_000);
    done();
    done();
    expect(bench.set.waiting).toBe(0);
  });

  test("is dialled as soon where no request waits and a stream has bytes that the server has not", () => {
    const bench = new Bench();
    bench.holdsBytes = true;
    bench.lose(bench.bringUp(), "lost");
    const delays = Array.from({ length: 12 }, () => {
      const delay = bench.untilDial();
      bench.fail();
      return delay;
    });
    expect(Math.max(...delays)).toBeLessThanOrEqual(1_000);
  });

  test("is not dialled at once for ever where every link dies of being accepted", () => {
    const bench = new Bench();
    const waits: number[] = [];
    for (let count = 0; count < 20; count++) {
      bench.lose(bench.bringUp(), "cut");
      waits.push(bench.untilDial());
    }
    expect(waits.slice(0, 5)).toEqual([0, 0, 0, 0, 0]);
    // Streams may wait all the same: what is meant for a server that is away does not fit one that is there.
    expect(Math.max(...waits)).toBeLessThanOrEqual(1_000);
    expect(waits.slice(8).reduce((sum, wait) => sum + wait)).toBeGreaterThan(2_000);
    const link = bench.bringUp();
    bench.run(300);
    bench.lose(link, "cut");
    bench.untilDial();
    bench.lose(bench.bringUp(), "cut");
    expect(bench.untilDial()).toBe(0);
  });

  test("an offer that is never accepted is given up after 10 s", () => {
    const bench = new Bench();
    const link = bench.answer(bench.dial());
    bench.run(10_000);
    expect(bench.lost).toEqual([{ link, reason: "no Accept in time" }]);
    expect(bench.untilDial()).toBeLessThanOrEqual(250);
  });
});

describe("a link to be replaced", () => {
  test("lives until its successor is accepted, however many dials that takes", () => {
    const bench = new Bench();
    const old = bench.bringUp();
    bench.set.replace(0);
    expect(bench.untilDial()).toBe(0);
    bench.fail();
    expect(bench.untilDial()).toBeLessThanOrEqual(250);
    bench.lose(bench.answer(bench.dial()), "cut");
    expect(bench.untilDial()).toBeLessThanOrEqual(500);
    bench.answer(bench.dial());
    expect(bench.set.state).toBe("up");
    expect(bench.lost.map(({ link }) => link)).not.toContain(old);
    bench.set.accepted(0);
    expect(bench.lost.at(-1)).toEqual({ link: old, reason: "replaced by a newer link" });
    bench.run(10 * MINUTE);
    expect([bench.dials.length, bench.set.slots[0]?.ups]).toEqual([4, 2]);
  });

  test("that the server closes before its Accept is here was replaced, not lost", () => {
    const bench = new Bench();
    const old = bench.bringUp();
    bench.set.replace(0);
    bench.untilDial();
    bench.answer(bench.dial());
    bench.lose(old, "the connection closed (1000)");
    bench.set.accepted(0);
    expect(bench.downs).toEqual([]);
    expect(bench.set.slots[0]).toMatchObject({ state: "up", ups: 2, lastReason: undefined });
  });

  test("and is lost all the same where the successor comes to nothing", () => {
    const bench = new Bench();
    const old = bench.bringUp();
    bench.set.replace(0);
    bench.untilDial();
    const next = bench.answer(bench.dial());
    bench.lose(old, "the connection closed (1000)");
    bench.lose(next, "the connection closed (1006)");
    expect(bench.downs).toEqual(["the connection closed (1000)"]);
    expect(bench.set.slots[0]?.lastReason).toBe("the connection closed (1006)");
  });

  test("is not dialled twice at once, whatever asks for it", () => {
    const bench = new Bench();
    bench.bringUp();
    for (let count = 0; count < 5; count++) bench.set.replace(0);
    bench.run(1_000);
    bench.set.replace(0);
    bench.run(1_000);
    expect(bench.dials).toHaveLength(2);
  });

  test("that dies while the replacement waits for its next try hands it over", () => {
    const bench = new Bench();
    const old = bench.bringUp();
    bench.set.replace(0);
    for (let count = 0; count < 12; count++) {
      bench.untilDial();
      bench.fail();
    }
    bench.set.wait();
    bench.lose(old, "no sign of life");
    expect(bench.untilDial()).toBeLessThanOrEqual(1_000);
  });
});

describe("a server that goes away", () => {
  test("is asked for another link at once, then less and less often while it says so on each", () => {
    const bench = new Bench();
    bench.bringUp();
    const begun = bench.clock.now;
    let dials = 0;
    while (bench.clock.now - begun < 30_000) {
      bench.set.leave(0);
      expect([bench.set.state, bench.set.takesStreams]).toEqual(["up", false]);
      const waited = bench.untilDial();
      if (dials === 0) expect(waited).toBe(0);
      bench.bringUp();
      dials += 1;
    }
    expect(dials).toBeWithin(4, 16);
  });

  // The server closes the older link as it takes the newer one, which may be heard before Accept.
  test("is asked less and less often though each link dies before its successor is accepted", () => {
    const bench = new Bench();
    bench.holdsBytes = true;
    let link = bench.bringUp();
    const begun = bench.clock.now;
    let dials = 0;
    while (bench.clock.now - begun < 30_000 && dials < 100) {
      bench.set.leave(0);
      bench.untilDial();
      const next = bench.answer(bench.dial());
      bench.lose(link, "closed");
      bench.set.accepted(0);
      link = next;
      dials += 1;
    }
    expect(dials).toBeWithin(4, 16);
  });

  test("is asked as rarely by each of several slots", () => {
    const bench = new Bench(2);
    for (const slot of [0, 1]) bench.bringUp(slot);
    for (let times = 0; times < 10; times++) {
      bench.set.leave(1);
      bench.untilDial(1);
      bench.bringUp(1);
    }
    const waits = Array.from({ length: 10 }, () => {
      bench.set.leave(1);
      const waited = bench.untilDial(1);
      bench.bringUp(1);
      return waited;
    });
    expect(Math.max(...waits)).toBeGreaterThan(2_000);
  });

  test("is followed at once when it is gone, however far away the next dial was", () => {
    const bench = new Bench();
    let link = bench.bringUp();
    for (let times = 0; times < 10; times++) {
      bench.set.leave(0);
      bench.untilDial();
      link = bench.bringUp();
    }
    bench.set.leave(0);
    bench.lose(link, "lost");
    expect(bench.untilDial()).toBe(0);
    bench.bringUp(0, NEW);
    expect(bench.set.takesStreams).toBe(true);
  });
});

describe("a server that goes away once more", () => {
  /** After a minute the client has been told so on ten links, each as soon as it was up. */
  function drained(): Bench {
    const bench = new Bench();
    bench.bringUp();
    for (let times = 0; times < 10; times++) {
      bench.set.leave(0);
      bench.untilDial();
      bench.bringUp();
    }
    return bench;
  }

  test("is asked for another link within a second once a request waits", () => {
    const far: number[] = [];
    for (let round = 0; round < 5; round++) {
      const bench = drained();
      bench.set.leave(0);
      bench.set.wait();
      far.push(bench.untilDial());
      // And so it goes on, but not in a busy loop.
      bench.bringUp();
      bench.set.leave(0);
      far.push(bench.untilDial());
    }
    expect(Math.max(...far)).toBeWithin(1, 1_001);
  });

  test("hours later, as servers are renewed, is asked at once each time", () => {
    const bench = drained();
    for (let hour = 0; hour < 10; hour++) {
      bench.run(60 * MINUTE);
      bench.set.leave(0);
      bench.set.leave(0);
      expect(bench.untilDial()).toBe(0);
      bench.bringUp();
    }
  });

  test("on the link on which it has said so before, is asked no sooner", () => {
    const bench = drained();
    bench.set.leave(0);
    bench.run(4_000);
    bench.set.leave(0);
    bench.untilDial();
    bench.bringUp();
    bench.set.leave(0);
    expect(bench.untilDial()).toBeGreaterThan(0);
  });
});

describe("a server that has restarted", () => {
  test("is one decision for all slots", () => {
    const bench = new Bench(3);
    for (const slot of [0, 1, 2]) bench.bringUp(slot);
    for (const { link } of [...bench.offers]) bench.lose(link, "cut");
    bench.run(0);
    for (const slot of [2, 0, 1]) bench.bringUp(slot, NEW);
    expect(bench.restarts).toBe(1);
    const secrets = bench.offers.map(({ secret }) => secret);
    expect([new Set(secrets.slice(0, 3)).size, new Set(secrets.slice(3)).size]).toEqual([1, 1]);
    expect(secrets[0]).not.toBe(secrets[3]);
  });

  test("offers that the old process had are given up, and do not wait for their deadline", () => {
    const bench = new Bench(2);
    bench.lose(bench.bringUp(0), "cut");
    const toOld = bench.answer(bench.dial(1));
    bench.run(0);
    bench.bringUp(0, NEW);
    expect(bench.lost.at(-1)).toEqual({ link: toOld, reason: "the server has restarted" });
    expect(bench.untilDial(1)).toBeLessThanOrEqual(1_000);
  });

  test("an older dial that had reached the old process does not undo it", () => {
    const bench = new Bench(2);
    bench.lose(bench.bringUp(0), "cut");
    const slow = bench.dial(1);
    bench.run(0);
    bench.bringUp(0, NEW);
    bench.answer(slow, OLD);
    expect([bench.restarts, bench.discarded, bench.set.slots[1]?.state]).toEqual([1, 1, "down"]);
    bench.untilDial(1);
    bench.bringUp(1, NEW);
    expect(bench.restarts).toBe(1);
  });

  test("is not believed before it has accepted, and is asked under one secret of its own until then", () => {
    const bench = new Bench();
    const old = bench.bringUp();
    bench.set.replace(0);
    for (const boot of [NEW, NEW, OLD]) {
      bench.untilDial();
      bench.lose(bench.answer(bench.dial(), boot), "cut");
    }
    expect([bench.restarts, bench.set.state]).toEqual([0, "up"]);
    expect(bench.lost.map(({ link }) => link)).not.toContain(old);
    const [first, asked, again, last] = bench.offers.map(({ secret }) => secret);
    expect([asked === first, again === asked, last === first]).toEqual([false, true, true]);
    bench.untilDial();
    bench.bringUp(0, NEW);
    expect([bench.restarts, bench.offers.at(-1)?.secret]).toEqual([1, asked]);
  });

  test("goes on with the other slots' offers that the new process has, and only with these", () => {
    const bench = new Bench(3);
    for (const slot of [0, 1, 2]) bench.bringUp(slot);
    for (const { link } of [...bench.offers]) bench.lose(link, "cut");
    bench.run(0);
    const toOld = bench.answer(bench.dial(1), OLD);
    const toNew = bench.answer(bench.dial(2), NEW);
    bench.bringUp(0, NEW);
    const given = bench.lost.slice(3).map(({ link }) => link);
    expect([given.includes(toOld), given.includes(toNew)]).toEqual([true, false]);
  });
});

describe("a server that is gone for longer than it keeps tunnels", () => {
  const WINDOW = 5 * MINUTE;

  test("is waited for so long and 45 s; then the tunnel is given up, once, and the next has another secret", () => {
    const bench = new Bench();
    const link = bench.bringUp(0, OLD, WINDOW);
    bench.lose(link, "lost");
    bench.run(WINDOW + 44_000);
    expect(bench.gaveUp).toBe(0);
    bench.run(2_000);
    expect(bench.gaveUp).toBe(1);
    bench.run(60 * MINUTE);
    expect(bench.gaveUp).toBe(1);
    bench.bringUp(0, OLD, WINDOW);
    expect(new Set(bench.offers.map(({ secret }) => secret)).size).toBe(2);
    expect(bench.restarts).toBe(0);
  });

  test("gets no offer of the old tunnel that is still waiting for Accept", () => {
    const bench = new Bench();
    bench.lose(bench.bringUp(0, OLD, WINDOW), "lost");
    bench.run(WINDOW + 44_000);
    const link = bench.answer(bench.dial());
    bench.run(2_000);
    expect(bench.lost.at(-1)).toEqual({ link, reason: "the server was away for too long" });
  });

  test("is not given up while any link is up, nor when one comes back in time", () => {
    const bench = new Bench(2);
    const first = bench.bringUp(0, OLD, WINDOW);
    bench.bringUp(1, OLD, WINDOW);
    bench.lose(first, "lost");
    bench.run(2 * WINDOW);
    expect(bench.gaveUp).toBe(0);
    for (const { link } of bench.offers) bench.lose(link, "lost");
    bench.run(WINDOW);
    bench.bringUp(0, OLD, WINDOW);
    bench.run(2 * WINDOW);
    expect(bench.gaveUp).toBe(0);
    expect(new Set(bench.offers.map(({ secret }) => secret)).size).toBe(1);
  });

  test("is waited for without end where it has not said how long it keeps a tunnel", () => {
    const bench = new Bench();
    bench.lose(bench.bringUp(), "lost");
    bench.run(24 * 60 * MINUTE);
    expect(bench.gaveUp).toBe(0);
  });

  test.each(["before", "after"])("is no timer that is left when a link goes %s the client stops", (when) => {
    const bench = new Bench();
    const link = bench.bringUp(0, OLD, WINDOW);
    if (when === "before") bench.lose(link, "lost");
    bench.set.stop();
    bench.lose(link, "closed");
    expect(bench.clock.waiting).toBe(0);
  });
});

describe("another identity than the server's", () => {
  /** Fails dials with it for `ms`; `between` comes in the middle. */
  function meet(bench: Bench, ms: number, between = () => {}): void {
    const end = bench.clock.now + ms;
    let half = false;
    while (bench.clock.now < end && !bench.wrongServer) {
      bench.untilDial();
      bench.fail(0, true);
      if (!half && bench.clock.now > end - ms / 2) {
        half = true;
        between();
      }
    }
  }

  test("ends a client that has never met its server", () => {
    const bench = new Bench();
    bench.fail(0, true);
    expect(bench.wrongServer).toBe(true);
    expect(bench.problems.map(({ problem }) => problem)).toEqual(["otherServer"]);
  });

  test("ends one that has, after five minutes of nothing else", () => {
    const bench = new Bench();
    bench.lose(bench.bringUp(), "cut");
    const from = bench.clock.now;
    meet(bench, 4.4 * MINUTE);
    expect(bench.wrongServer).toBe(false);
    meet(bench, 2 * MINUTE);
    expect(bench.wrongServer).toBe(true);
    expect(bench.clock.now - from).toBeWithin(5 * MINUTE, 6.1 * MINUTE);
    expect(bench.isDialling()).toBe(false);
  });

  test("begins anew with anything else in between", () => {
    const bench = new Bench();
    bench.lose(bench.bringUp(), "cut");
    meet(bench, 8 * MINUTE, () => {
      bench.untilDial();
      bench.fail();
    });
    expect(bench.wrongServer).toBe(false);
  });

  test("is not believed for two dials with a night between them, nor while a link is up", () => {
    const bench = new Bench(2);
    const link = bench.bringUp(0);
    for (let count = 0; count < 400; count++) {
      bench.untilDial(1);
      bench.fail(1, true);
    }
    expect(bench.wrongServer).toBe(false);
    bench.lose(link, "cut");
    bench.untilDial(0);
    bench.fail(0, true);
    bench.clock.now += 600 * MINUTE;
    bench.untilDial(0);
    bench.fail(0, true);
    expect(bench.wrongServer).toBe(false);
  });
});

describe("after a sleep or in another network", () => {
  test("a slot that is down dials at once, and gives up the dial that was under way", () => {
    const bench = new Bench();
    const hung = bench.dial();
    bench.set.startAfresh();
    expect(hung.state).toBe("given up");
    expect(bench.untilDial()).toBe(0);
    bench.fail();
    for (let count = 0; count < 12; count++) {
      bench.untilDial();
      bench.fail();
    }
    bench.set.startAfresh();
    expect(bench.untilDial()).toBe(0);
  });

  test("what the given-up dial brings is closed", () => {
    const bench = new Bench();
    const hung = bench.dial();
    bench.set.startAfresh();
    bench.answer(hung);
    expect([bench.discarded, bench.offers.length]).toEqual([1, 0]);
  });

  test("a link that is up stays", () => {
    const bench = new Bench();
    bench.bringUp();
    bench.set.startAfresh();
    bench.run(MINUTE);
    expect([bench.dials.length, bench.set.state]).toEqual([1, "up"]);
  });
});

test("after 20 reconnects of three links no timer is left that was not there before", () => {
  const bench = new Bench(3);
  for (const slot of [0, 1, 2]) bench.bringUp(slot);
  expect(bench.clock.waiting).toBe(0);
  for (let round = 0; round < 20; round++) {
    bench.run(1_000);
    for (const { link } of bench.offers.slice(-3)) bench.lose(link, "cut");
    bench.run(0);
    for (const slot of [1, 2, 0]) bench.bringUp(slot, round % 5 === 0 ? NEW : OLD);
    while (bench.set.slots.some(({ up }) => !up)) {
      for (const { slot, up } of bench.set.slots) {
        if (up) continue;
        bench.untilDial(slot);
        bench.bringUp(slot, round % 5 === 0 ? NEW : OLD);
      }
    }
    expect(bench.clock.waiting).toBe(0);
  }
  bench.lose(bench.offers.at(-1)?.link ?? bench.bringUp(), "cut");
  bench.set.stop();
  expect(bench.clock.waiting).toBe(0);
  expect(bench.isDialling()).toBe(false);
});
