import type { Frame, Link } from "../../src/proto/index.ts";
import { check, fail } from "./failure.ts";
import { describeFrames, tapLinks } from "./link-tap.ts";
import { World, type WorldOptions } from "./world.ts";

/** Virtual time for everything to come to its end once faults have stopped: dead links, backoff, and then some. */
const RECOVERY_MS = 150_000;
/** How often over a path's bandwidth may be used for what is to move: resent, acknowledged, in small packets. */
const RECOVERY_FACTOR = 8;
/** And for the last acknowledgements and tombstones. */
const SETTLE_MS = 40_000;
/** How long a tunnel without streams is watched, and how often it may wake for its pings. */
const QUIET_MS = 60_000;
const QUIET_WAKES = 60;
/** Links of one slot that may come up once faults have stopped, renewals for age apart: twice what any seed needs. */
const MAX_UPS_PER_SLOT = 4;
/** No honest seed comes near; a loop of messages would run for ever. */
const MAX_EVENTS = 3_000_000;

/** What one seed came to. */
export interface SeedOutcome {
  readonly seed: number;
  readonly events: number;
  readonly failure?: string;
}

/** Runs one seed to its end and says what was wrong, if anything. */
export function runSeed(options: WorldOptions): SeedOutcome {
  const simulation = new Simulation(options);
  const { seed } = options;
  try {
    simulation.run();
    return { seed, events: simulation.events };
  } catch (error) {
    return { seed, events: simulation.events, failure: textOf(error) };
  }
}

export function describeFailure(seed: number, failure: string): string {
  const [first] = failure.split("\n    at ");
  return `seed ${seed} failed: ${first}\n  replay: bun run sim --seed ${seed}`;
}

/** Runs a seed with its trace, frame by frame. */
export function explain(options: WorldOptions): { readonly failed: boolean; readonly text: string } {
  const simulation = new Simulation({ ...options, trace: true });
  const { trace, clock } = simulation.world;
  const note = (verb: string) => (frames: readonly Frame[], link: Link) => {
    trace.add(clock.now, () => `  ${link.slot}/${link.gen} ${verb} ${describeFrames(frames)}`);
    return frames;
  };
  const untap = tapLinks({ seal: note("seals"), open: note("opens") });
  try {
    simulation.run();
    return { failed: false, text: `${trace.text()}\nseed ${options.seed} is clean` };
  } catch (error) {
    const failure = textOf(error);
    return {
      failed: true,
      text: `${trace.text()}\n${failure}\n${describeFailure(options.seed, failure)}`,
    };
  } finally {
    untap();
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** One world from its first dial to the last timer. */
export class Simulation {
  readonly world: World;
  events = 0;

  constructor(options: WorldOptions) {
    this.world = new World(options);
  }

  run(): void {
    const { applications } = this.world;
    const left = new WeakSet<Link>();
    const untap = tapLinks({
      seal: (frames, link) => {
        for (const frame of frames) {
          if (frame.type !== "proxyConnect") continue;
          applications.sealed(frame.destination.port);
          check(!left.has(link), () => `request ${frame.destination.port} starts where the server goes away`);
        }
        return frames;
      },
      open: (frames, link) => {
        const leaves = frames.some(({ type }) => type === "goAway");
        if (leaves) left.add(link);
        if (leaves || frames.some(({ type }) => type === "accept")) applications.serverLeaves = leaves;
        return frames;
      },
    });
    try {
      this.#run();
    } finally {
      untap();
    }
  }

  #run(): void {
    const { world } = this;
    world.start();
    this.#until(world.plan.activeMs + world.plan.goneMs, () => false);
    world.heal();
    const upsBefore = world.client.unaskedUps;
    this.#recover();
    this.#settle();
    this.#quiet();
    this.#checkCalm(world.client.unaskedUps - upsBefore);
    this.#end();
  }

  #recover(): void {
    const { world } = this;
    const { path, resumeWindowMs } = world.plan;
    const transferMs = (RECOVERY_FACTOR * world.applications.bytesToMove) / path.bytesPerMs;
    // By its clock the server may have begun later to count the time of a tunnel that its client has given up.
    const expiryMs = world.client.gaveUp > 0 ? resumeWindowMs : 0;
    this.#until(
      world.clock.now + RECOVERY_MS + transferMs + expiryMs,
      () => world.applications.openEnds === 0 && world.client.ready,
    );
    const left = world.applications.unfinished.map((end) => `\n  ${end}`).join("");
    check(
      left === "",
      () => `not finished ${RECOVERY_MS / 1000} s and a transfer after the last fault:${left}`,
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

  // A link that dies of nothing but its path is replaced by one that dies of the same.
  #checkCalm(ups: number): void {
    const { slots, path } = this.world.plan;
    check(
      ups <= MAX_UPS_PER_SLOT * slots,
      () => `${ups} links came up for ${slots} slots on a whole path of ${path.bytesPerMs} bytes/ms`,
    );
  }

  // Without a client the server forgets everything, and nothing is left that would ever happen.
  #end(): void {
    const { world } = this;
    world.clientNode.run(() => world.client.stop());
    const bound = world.clock.now + 2 * world.plan.resumeWindowMs + SETTLE_MS;
    this.#until(bound, () => world.clock.waiting === 1);
    check(world.clock.waiting === 0, () => `${world.clock.waiting} timers are left`);
    check(world.server.drivers.length === 0, () => "the server keeps a tunnel that nobody comes back for");
  }

  #until(time: number, done: () => boolean): void {
    const { clock } = this.world;
    let reached = false;
    const limit = clock.at(time, () => {
      reached = true;
    });
    while (!reached && !done() && clock.step()) {
      this.events += 1;
      if (this.events > MAX_EVENTS) fail("no end of events");
    }
    limit.cancel();
  }
}
