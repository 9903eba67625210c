import { generateIdentity, type Identity, type Link, type ProtocolError } from "../../src/proto/index.ts";
import { Applications } from "./applications.ts";
import { Clock } from "./clock.ts";
import { Dice } from "./dice.ts";
import type { SimDriver } from "./driver.ts";
import { check, fail, Trace } from "./failure.ts";
import { Faults } from "./faults.ts";
import { SimKeeper } from "./keeper.ts";
import { Network } from "./network.ts";
import { Node } from "./node.ts";
import { makePlan, type Plan } from "./plan.ts";
import { SimServer } from "./server.ts";
import type { Wire, WireEnd } from "./wire.ts";

export interface WorldOptions {
  readonly seed: number;
  readonly trace?: boolean;
  /** In place of what the seed says. */
  readonly plan?: Partial<Plan>;
  /** Deliberately broken: see SimServerOptions. */
  readonly fenceByArrival?: boolean;
  readonly forgetsDropped?: boolean;
}

/** The network, the server, one client and their applications, all from one seed. */
export class World {
  readonly clock = new Clock();
  readonly trace: Trace;
  readonly plan: Plan;
  readonly clientNode: Node;
  readonly serverNode: Node;
  readonly network: Network;
  readonly applications: Applications;
  readonly client: SimKeeper;
  readonly faults: Faults;
  server: SimServer;
  /** What a server process that is gone has said first on its last link. */
  oldBundle: Uint8Array | undefined;
  readonly #options: WorldOptions;
  readonly #dice: Dice;
  readonly #identities: { readonly client: Identity; readonly server: Identity };
  /** How often a server has lost tunnels: in all, as each slot has heard, and when each wire became a link. */
  #losses = 0;
  readonly #knownLosses = new Map<number, number>();
  readonly #lossesAt = new WeakMap<Wire, number>();
  /** The highest gen that a server process has taken for each slot. */
  readonly #gens = new Map<number, number>();

  constructor(options: WorldOptions) {
    this.#options = options;
    const dice = new Dice(options.seed);
    this.#dice = dice;
    this.trace = new Trace(options.trace ?? false);
    const plan = { ...makePlan(dice.fork()), ...options.plan };
    this.plan = plan;
    this.trace.add(0, () => JSON.stringify(plan));
    const { clock, trace } = this;
    const client = new Node(clock, () => this.client.driver.flush());
    const server = new Node(clock, () => this.#flushServer());
    this.clientNode = client;
    this.serverNode = server;
    const { random } = dice.fork();
    this.#identities = { client: generateIdentity(random), server: generateIdentity(random) };
    const onConnected = (end: WireEnd) => this.server.connected(end);
    this.network = new Network({ clock, dice: dice.fork(), path: plan.path, client, server, onConnected });
    const losing = () =>
      this.#losses > 0 &&
      [...Array(plan.slots).keys()].some((slot) => this.#knownLosses.get(slot) !== this.#losses);
    this.applications = new Applications({
      plan,
      dice: dice.fork(),
      trace,
      nodes: { client, server },
      losing,
    });
    this.server = this.#startServer();
    this.client = this.#startClient();
    this.faults = new Faults(this, dice.fork());
  }

  #startClient(): SimKeeper {
    const { slots, poolBytes, sendPoolBytes, linkAgeMs } = this.plan;
    return new SimKeeper({
      node: this.clientNode,
      dice: this.#dice.fork(),
      trace: this.trace,
      identity: this.#identities.client,
      serverKey: this.#identities.server.publicKey,
      slots,
      poolBytes,
      sendPoolBytes,
      linkAgeMs,
      connect: (slot) => this.#connect(slot),
      onBlame: (error) => this.#blame("client", error),
      onFlushed: (driver) => this.applications.audit("client", driver),
      onGivenUp: () => this.applications.givenUp(),
      onAccepted: (slot, { wire }) => this.#knownLosses.set(slot, this.#lossesAt.get(wire) ?? 0),
    });
  }

  #startServer(): SimServer {
    const { resumeWindowMs, detachedBytes, poolBytes, sendPoolBytes } = this.plan;
    return new SimServer({
      node: this.serverNode,
      dice: this.#dice.fork(),
      trace: this.trace,
      identity: this.#identities.server,
      resumeWindowMs,
      detachedBytes,
      poolBytes,
      sendPoolBytes,
      fenceByArrival: this.#options.fenceByArrival ?? false,
      forgetsDropped: this.#options.forgetsDropped ?? false,
      onConnect: (driver, { stream, destination }) => this.applications.run(destination.port, driver, stream),
      onBlame: (error) => this.#blame("server", error),
      onFlushed: (driver) => this.applications.audit("server", driver),
      onTaken: (link, { wire }) => this.#taken(link, wire),
      onDropped: (driver) => this.#lost(driver),
    });
  }

  start(): void {
    const { plan, clock, clientNode, client } = this;
    this.faults.start();
    clientNode.run(() => client.start());
    const when = this.#dice.fork();
    // A request that waits all the time: dials are never far away then.
    if (when.chance(0.5)) client.wait();
    for (let id = 1; id <= plan.requests; id++) {
      const time = when.chance(0.3) ? 0 : when.between(0, plan.activeMs);
      clock.at(time, () => clientNode.run(() => this.applications.open(id, client.driver)));
    }
  }

  /** The end of all faults. */
  heal(): void {
    this.trace.add(this.clock.now, () => "healed");
    this.faults.stop();
    this.applications.hurry();
  }

  /** The server's process ends without a word. */
  killServer(): void {
    this.server.kill();
    this.oldBundle = this.network.recordedBundle;
    this.serverNode.reboot();
    this.#lost(undefined);
    this.#gens.clear();
  }

  /** A new server process after the old one was killed. */
  restartServer(): void {
    this.server = this.#startServer();
  }

  #flushServer(): void {
    for (const driver of this.server.drivers) driver.flush();
  }

  #connect(slot: number): WireEnd | undefined {
    if (this.faults.refusesDial(slot)) return undefined;
    const wire = this.network.connect();
    this.faults.dialled(slot, wire);
    return wire.client;
  }

  #blame(side: string, error: ProtocolError): void {
    // A peer that slept for long steps too late; that ends the link as it should.
    if (error.reason === "overdueStep" && this.faults.clockMoved) return;
    fail(`the ${side} says of an honest peer: ${error.reason}: ${error.message}`);
  }

  #taken({ slot, gen }: Link, wire: Wire): void {
    const newest = this.#gens.get(slot) ?? -1;
    check(gen > newest, () => `a late dial, ${slot}/${gen}, has taken the place of ${slot}/${newest}`);
    this.#gens.set(slot, gen);
    this.#lossesAt.set(wire, this.#losses);
  }

  #lost(driver: SimDriver | undefined): void {
    this.#losses += 1;
    this.applications.lost(driver);
  }

  /** What the tunnels keep although no stream needs it, or "". */
  leftovers(): string {
    const drivers = [this.client.driver, ...this.server.drivers];
    const left = drivers.map(({ tunnel }) => {
      const { streams, heldBytes, ourPoolUsed, peerPoolUsed } = tunnel.stats();
      return streams + heldBytes + ourPoolUsed + peerPoolUsed === 0 ? "" : JSON.stringify(tunnel.stats());
    });
    return left.join("");
  }
}
