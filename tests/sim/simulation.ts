import type { Frame, Link } from "../../src/proto/index.ts";
import { check, fail, SimFailure } from "./failure.ts";
import { describeFrames, tapLinks } from "./link-tap.ts";
import { World, type WorldOptions } from "./world.ts";

/** What one seed came to. */
export interface SimResult {
  readonly seed: number;
  readonly events: number;
  readonly virtualMs: number;
  readonly bytes: number;
}

/** Virtual time for everything to come to its end once faults have stopped: dead links, backoff, and then some. */
const RECOVERY_MS = 150_000;
/** And for the last acknowledgements and tombstones. */
const SETTLE_MS = 40_000;
/** How long a tunnel without streams is watched, and how often it may wake for its pings. */
const QUIET_MS = 60_000;
const QUIET_WAKES = 60;
const MAX_EVENTS = 3_000_000;

/** Runs one seed to its end. @throws SimFailure */
export function simulate(options: WorldOptions): SimResult {
  return new Simulation(options).run();
}

/** The same with what is needed to understand it: runs a failing seed again with its trace. */
export function explain(options: WorldOptions): string {
  const simulation = new Simulation({ ...options, trace: true });
  const { trace, clock } = simulation.world;
  const say = (verb: string, link: Link, frames: readonly Frame[]) => {
    trace.add(clock.now, () => `  ${link.slot}/${link.gen} ${verb} ${describeFrames(frames)}`);
    return frames;
  };
  const untap = tapLinks({
    seal: (frames, link) => say("seals", link, frames),
    open: (frames, link) => say("opens", link, frames),
  });
  try {
    simulation.run();
    return "the second run did not fail: something is not deterministic";
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return `${simulation.world.trace.text()}\n${text}`;
  } finally {
    untap();
  }
}

class Simulation {
  readonly world: World;
  readonly #seed: number;
  #events = 0;

  constructor(options: WorldOptions) {
    this.#seed = options.seed;
    this.world = new World(options);
  }

  run(): SimResult {
    const { world } = this;
    world.start();
    this.#until(world.plan.activeMs, () => false);
    world.heal();
    this.#recover();
    this.#settle();
    this.#quiet();
    this.#end();
    return { seed: this.#seed, events: this.#events, virtualMs: world.clock.now, bytes: world.wireBytes };
  }

  #recover(): void {
    const { world } = this;
    const toMove = [...world.requests.values()].reduce(
      (sum, { client, server }) => sum + client.bytes + server.bytes,
      0,
    );
    const bound = world.clock.now + RECOVERY_MS + (8 * toMove) / world.plan.path.bytesPerMs;
    this.#until(bound, () => world.openEnds === 0 && world.client.ready);
    const left = world.unfinished.map((end) => `\n  ${end}`).join("");
    check(
      world.unfinished.length === 0,
      () => `not finished ${Math.round(RECOVERY_MS / 1000)} s after the last fault:${left}`,
    );
    check(world.client.ready, () => "the client has no link");
  }

  #settle(): void {
    const { world } = this;
    this.#until(world.clock.now + SETTLE_MS, () => world.leftovers() === "");
    const left = world.leftovers();
    check(left === "", () => `left behind by finished streams: ${left}`);
  }

  #quiet(): void {
    const { client, server, clock } = this.world;
    const drivers = [client.driver, ...server.drivers];
    const before = drivers.map(({ wakes }) => wakes);
    this.#until(clock.now + QUIET_MS, () => false);
    drivers.forEach(({ wakes }, at) => {
      const count = wakes - (before[at] ?? 0);
      check(count < QUIET_WAKES, () => `a quiet tunnel woke ${count} times in a minute`);
    });
  }

  // Without a client the server forgets everything, and nothing is left that would ever happen.
  #end(): void {
    const { world } = this;
    world.clientNode.run(() => world.client.stop());
    const bound = world.clock.now + 2 * world.plan.resumeWindowMs + SETTLE_MS;
    this.#until(bound, () => world.clock.waiting === 0);
    check(world.clock.waiting === 0, () => `${world.clock.waiting} timers are left`);
    check(world.server.drivers.length === 0, () => "the server has kept a tunnel that nobody comes back for");
  }

  #until(time: number, done: () => boolean): void {
    const { clock } = this.world;
    let reached = false;
    const limit = clock.at(time, () => {
      reached = true;
    });
    while (!reached && !done() && clock.step()) {
      this.#events += 1;
      if (this.#events > MAX_EVENTS) fail("no end of events");
    }
    limit.cancel();
  }
}

export { SimFailure };
