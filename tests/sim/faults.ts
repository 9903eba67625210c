import type { Timer } from "./clock.ts";
import type { Dice } from "./dice.ts";
import { check } from "./failure.ts";
import type { Fault } from "./plan.ts";
import type { Wire } from "./wire.ts";
import type { World } from "./world.ts";

const LONGEST_STALL_MS = 40_000;
const LONGEST_DRAIN_MS = 20_000;
const LONG_BETWEEN_MS = 10_000;
/** The client gives a tunnel up 45 s after the resume window; it may be frozen when the last link goes. */
const GIVEN_UP_MS = 45_000 + LONGEST_STALL_MS;

/** Breaks things, as the plan says, until `stop`. */
export class Faults {
  readonly #world: World;
  readonly #dice: Dice;
  #stopped = false;
  /** The next fault. */
  #next: Timer | undefined;
  #outage = false;
  /** The server cannot be reached, because it or the path is gone for long. */
  #gone = false;
  /** Slots that cannot be dialled, whatever the others can, and the newest wire of each slot. */
  readonly #slotsOut = new Set<number>();
  readonly #newest = new Map<number, Wire>();
  /** What is to happen to the next wire. */
  #nextDial: "lateDial" | "lostAccept" | "oldBundle" | undefined;
  #serverDown = false;
  #draining = false;
  /** A clock was moved, or a machine slept. */
  clockMoved = false;

  constructor(world: World, dice: Dice) {
    this.#world = world;
    this.#dice = dice;
  }

  start(): void {
    // The first link is the only one that a tunnel can lose before it was ever accepted.
    for (const fault of this.#world.plan.faults) {
      if ((fault === "lateDial" || fault === "lostAccept") && this.#dice.chance(0.5)) this.#nextDial = fault;
    }
    this.#schedule();
    const { goneMs, activeMs } = this.#world.plan;
    if (goneMs > 0) this.#world.clock.after(activeMs * this.#dice.unit(), () => this.#beGone(goneMs));
  }

  // The whole server, or the path to it. The client must not wait for longer than the server would keep its streams.
  #beGone(ms: number): void {
    const { network, clock, client, plan, applications, trace } = this.#world;
    trace.add(clock.now, () => `fault: gone for ${ms} ms`);
    const wasUp = client.up;
    if (!this.#serverDown && this.#dice.chance(0.5)) {
      this.#world.killServer();
      this.#serverDown = true;
    }
    for (const wire of network.wires) wire.cut("both");
    this.#gone = true;
    clock.after(ms, () => {
      if (wasUp && ms > plan.resumeWindowMs + GIVEN_UP_MS) {
        const waiting = applications.startedAtClient;
        check(waiting.length === 0, () => `they wait for a server that is gone: ${waiting.join(", ")}`);
      }
      this.#gone = false;
      this.#startServer();
    });
  }

  #schedule(): void {
    if (this.#world.plan.faults.length === 0) return;
    const { faultEveryMs } = this.#world.plan;
    // Minutes without a link have little that could break.
    const everyMs = this.#gone ? Math.max(faultEveryMs, LONG_BETWEEN_MS) : faultEveryMs;
    const delay = -Math.log(1 - this.#dice.unit()) * everyMs;
    this.#next = this.#world.clock.after(delay, () => {
      this.#strike();
      this.#schedule();
    });
  }

  /** Everything works from now on; what was cut stays cut. */
  stop(): void {
    const { network, clientNode, serverNode } = this.#world;
    this.#stopped = true;
    // It may be minutes away, and would count as a timer that is left.
    this.#next?.cancel();
    this.#outage = false;
    this.#slotsOut.clear();
    this.#gone = false;
    this.#endDrain();
    if (this.#serverDown) this.#startServer();
    for (const wire of network.wires) wire.release();
    clientNode.thaw();
    serverNode.thaw();
  }

  refusesDial(slot: number): boolean {
    if (this.#gone || this.#serverDown || this.#slotsOut.has(slot)) return true;
    return !this.#stopped && (this.#outage || this.#dice.chance(this.#world.plan.dialFailureShare));
  }

  /** A new wire, of which the bundle arrives after two delays, Hello after three and Accept after four. */
  dialled(slot: number, wire: Wire): void {
    this.#newest.set(slot, wire);
    const fault = this.#nextDial;
    this.#nextDial = undefined;
    if (this.#stopped || fault === undefined) return;
    const { clock, plan } = this.#world;
    const { delayMs } = plan.path;
    if (fault === "oldBundle") return this.#showOldBundle(wire);
    if (fault === "lateDial") clock.after(delayMs * this.#dice.between(0, 3), () => this.#makeLate(wire));
    else clock.after(delayMs * this.#dice.between(3, 4.5), () => this.#loseAccept(wire));
  }

  // Whoever ends TLS answers with what a server process has said that is gone.
  #showOldBundle(wire: Wire): void {
    const { oldBundle } = this.#world;
    if (oldBundle !== undefined) wire.replaceNext("down", oldBundle);
  }

  // The client gives up and dials again; what it has said comes when the next link is made, or any time.
  #makeLate(wire: Wire): void {
    const { clock } = this.#world;
    wire.stall("up");
    clock.after(this.#dice.spread(1, 2_000), () => wire.orphan());
    clock.after(this.#dice.spread(1, 4_900), () => wire.release());
  }

  // The server has a tunnel that the client has never heard of, perhaps for so long that it gives it up.
  #loseAccept(wire: Wire): void {
    const { clock, plan } = this.#world;
    wire.cut(this.#dice.pick(["both", "client"]));
    if (plan.resumeWindowMs > LONGEST_STALL_MS || this.#dice.chance(0.5)) return;
    this.#outage = true;
    clock.after(plan.resumeWindowMs * this.#dice.between(0.9, 1.5), () => {
      this.#outage = false;
    });
  }

  #strike(): void {
    const [first, ...rest] = this.#world.plan.faults;
    if (first === undefined) return;
    const fault = this.#dice.pick([first, ...rest]);
    this.#world.trace.add(this.#world.clock.now, () => `fault: ${fault}`);
    this.#apply(fault);
  }

  #apply(fault: Fault): void {
    const { client, clientNode } = this.#world;
    switch (fault) {
      case "cut":
        return this.#wire()?.cut(this.#dice.pick(["both", "both", "client", "server", "nobody"]));
      case "shut":
        return this.#wire()?.shut();
      case "stall": {
        const wire = this.#wire();
        return wire === undefined ? undefined : this.#stall(wire);
      }
      case "damage":
        return this.#wire()?.damage(
          this.#dice.pick(["up", "down"]),
          this.#dice.pick(["flip", "repeat", "truncate", "swallow"]),
        );
      case "restart":
        return this.#restart();
      case "freeze":
        return this.#freeze();
      case "jump":
        return this.#jump();
      case "network":
        return clientNode.run(() => client.disturbed(false));
      case "outage":
        return this.#startOutage();
      case "slotOutage":
        return this.#startSlotOutage();
      case "lateDial":
      case "lostAccept":
      case "oldBundle":
        this.#nextDial = fault;
        return;
      case "goAway":
        return this.#drain();
      case "second":
        return clientNode.run(() => client.second(this.#dice.int(this.#world.plan.slots)));
      case "replay":
        return this.#replay();
    }
  }

  #wire(): Wire | undefined {
    const { wires } = this.#world.network;
    return wires[this.#dice.int(wires.length)];
  }

  #duration(): number {
    return this.#dice.spread(1, LONGEST_STALL_MS);
  }

  #stall(wire: Wire): void {
    wire.stall(this.#dice.pick(["up", "down", "both"]));
    this.#world.clock.after(this.#duration(), () => wire.release());
  }

  #restart(): void {
    if (this.#serverDown) return;
    const { network, clock } = this.#world;
    const told = this.#dice.chance(0.5) ? "both" : "nobody";
    this.#world.killServer();
    for (const wire of network.wires) wire.cut(told);
    this.#serverDown = true;
    clock.after(this.#dice.chance(0.5) ? 0 : this.#dice.spread(1, 5_000), () => this.#startServer());
  }

  // The server says that it goes away, carries on with what it has, and goes.
  #drain(): void {
    if (this.#serverDown || this.#draining) return;
    const { server, serverNode, clock } = this.#world;
    this.#draining = true;
    serverNode.run(() => server.goAway());
    clock.after(this.#dice.spread(1, LONGEST_DRAIN_MS), () => this.#endDrain());
  }

  #endDrain(): void {
    if (!this.#draining) return;
    this.#draining = false;
    this.#restart();
  }

  #startServer(): void {
    if (!this.#serverDown) return;
    this.#serverDown = false;
    this.#world.restartServer();
  }

  #freeze(): void {
    const node = this.#dice.pick([this.#world.clientNode, this.#world.serverNode]);
    this.clockMoved = true;
    node.freeze();
    this.#world.clock.after(this.#duration(), () => node.thaw());
  }

  #jump(): void {
    const { client, server, clientNode, serverNode } = this.#world;
    const ms = this.#dice.spread(100, 600_000);
    this.clockMoved = true;
    if (this.#dice.chance(0.5)) {
      clientNode.jump(ms);
      clientNode.run(() => client.disturbed(true));
    } else {
      serverNode.jump(ms);
      serverNode.run(() => {
        for (const { tunnel } of server.drivers) tunnel.woke(serverNode.now);
      });
    }
  }

  #startOutage(): void {
    this.#outage = true;
    this.#world.clock.after(this.#duration(), () => {
      this.#outage = false;
    });
  }

  // One slot's path is gone, or silent, while the others carry on.
  #startSlotOutage(): void {
    const slot = this.#dice.int(this.#world.plan.slots);
    const wire = this.#newest.get(slot);
    if (this.#dice.chance(0.5)) wire?.cut(this.#dice.pick(["both", "client", "server", "nobody"]));
    else wire?.stall(this.#dice.pick(["up", "down", "both"]));
    this.#slotsOut.add(slot);
    this.#world.clock.after(this.#duration(), () => {
      this.#slotsOut.delete(slot);
      wire?.release();
    });
  }

  /** Somebody has recorded a client's first message and says it again: nothing may come of it. */
  #replay(): void {
    const { recordedDial } = this.#world.network;
    if (recordedDial === undefined || this.#serverDown) return;
    const wire = this.#world.network.strangerWire();
    wire.client.onMessage = () => {
      wire.client.send(recordedDial);
      wire.client.onMessage = () => {};
    };
  }
}
