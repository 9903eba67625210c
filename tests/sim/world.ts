import {
  generateIdentity,
  type Identity,
  LIMITS,
  type Link,
  type ProtocolError,
  tunnelMemoryBound,
} from "../../src/proto/index.ts";
import { Clock } from "./clock.ts";
import { Dice } from "./dice.ts";
import type { SimDriver } from "./driver.ts";
import { Endpoint } from "./endpoint.ts";
import { check, fail, Trace } from "./failure.ts";
import { Faults } from "./faults.ts";
import { SimKeeper } from "./keeper.ts";
import { Node } from "./node.ts";
import { makePlan, type Plan } from "./plan.ts";
import { makeRequest, type Request } from "./request.ts";
import { SimServer } from "./server.ts";
import { Wire, type WireEnd } from "./wire.ts";

export interface WorldOptions {
  readonly seed: number;
  readonly trace?: boolean;
  /** Deliberately broken: see SimServerOptions. */
  readonly fenceByArrival?: boolean;
  readonly forgetsDropped?: boolean;
}

/** The network, the server, one client and their applications, all from one seed. */
export class World {
  readonly clock = new Clock();
  readonly trace: Trace;
  readonly plan: Plan;
  readonly dice: Dice;
  readonly clientNode: Node;
  readonly serverNode: Node;
  readonly client: SimKeeper;
  readonly faults: Faults;
  readonly wires = new Set<Wire>();
  readonly requests = new Map<number, Request>();
  readonly clientEnds = new Map<number, Endpoint>();
  readonly serverEnds = new Map<number, Endpoint>();
  server: SimServer;
  /** What the client's first link said first. */
  recordedDial: Uint8Array | undefined;
  wireBytes = 0;
  /** Applications that are not done. */
  openEnds = 0;
  /** Faults have stopped: applications hurry. */
  healed = false;
  readonly #options: WorldOptions;
  readonly #identities: { readonly client: Identity; readonly server: Identity };
  /** Counts the times that a server lost tunnels; which of them the client has heard of; which each wire was under. */
  #losses = 0;
  #knownLosses = 0;
  readonly #gens = new Map<number, number>();
  readonly #lossesAt = new WeakMap<Wire, number>();

  constructor(options: WorldOptions) {
    this.#options = options;
    this.dice = new Dice(options.seed);
    this.trace = new Trace(options.trace ?? false);
    this.plan = makePlan(this.dice.fork());
    this.trace.add(0, () => JSON.stringify(this.plan));
    this.clientNode = new Node(this.clock, () => this.client.driver.flush());
    this.serverNode = new Node(this.clock, () => this.#flushServer());
    const { random } = this.dice.fork();
    this.#identities = { client: generateIdentity(random), server: generateIdentity(random) };
    this.server = this.#startServer();
    this.client = this.#startClient();
    this.faults = new Faults(this, this.dice.fork());
  }

  #startClient(): SimKeeper {
    const { slots, poolBytes, sendPoolBytes } = this.plan;
    const keeper = new SimKeeper({
      node: this.clientNode,
      dice: this.dice.fork(),
      trace: this.trace,
      identity: this.#identities.client,
      serverKey: this.#identities.server.publicKey,
      slots,
      poolBytes,
      sendPoolBytes,
      connect: () => this.#connect(),
      onBlame: (error) => this.#blame("client", error),
      onAccepted: ({ wire }) => {
        this.#knownLosses = this.#lossesAt.get(wire) ?? 0;
      },
    });
    keeper.driver.onFlushed = () => this.#checkDriver("client", keeper.driver, this.clientEnds);
    return keeper;
  }

  #startServer(): SimServer {
    const { resumeWindowMs, poolBytes, sendPoolBytes } = this.plan;
    return new SimServer({
      node: this.serverNode,
      dice: this.dice.fork(),
      trace: this.trace,
      identity: this.#identities.server,
      resumeWindowMs,
      poolBytes,
      sendPoolBytes,
      fenceByArrival: this.#options.fenceByArrival ?? false,
      forgetsDropped: this.#options.forgetsDropped ?? false,
      onConnect: (driver, { stream, destination }) => this.#run(driver, stream, destination.port),
      onBlame: (error) => this.#blame("server", error),
      onTaken: (link, { wire }) => this.#taken(link, wire),
      onDropped: (driver) => this.#lost(driver),
    });
  }

  start(): void {
    const { plan, clock, clientNode } = this;
    this.faults.start();
    clientNode.run(() => this.client.start());
    const when = this.dice.fork();
    for (let id = 1; id <= plan.requests; id++) {
      const time = when.chance(0.3) ? 0 : when.between(0, plan.activeMs);
      clock.at(time, () => clientNode.run(() => this.open(id)));
    }
  }

  /** The end of all faults. */
  heal(): void {
    this.healed = true;
    this.trace.add(this.clock.now, () => "healed");
    this.faults.stop();
    this.clientNode.run(() => {
      for (const end of this.clientEnds.values()) end.hurry();
    });
    this.serverNode.run(() => {
      for (const end of this.serverEnds.values()) end.hurry();
    });
  }

  /** The server's process ends without a word. */
  killServer(): void {
    this.server.kill();
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

  #connect(): WireEnd | undefined {
    if (this.faults.refusesDial()) return undefined;
    const wire = new Wire(this.clock, this.dice, this.plan.path, this.clientNode, this.serverNode);
    this.#forgetDeadWires();
    this.wires.add(wire);
    this.clock.after(this.plan.path.delayMs, () => {
      this.serverNode.run(() => this.server.connected(wire.server));
    });
    this.faults.dialled(wire);
    const { client } = wire;
    const send = client.send.bind(client);
    client.send = (bytes) => {
      this.recordedDial ??= Uint8Array.from(bytes);
      return send(bytes);
    };
    return client;
  }

  /** A wire of somebody who is not our client. */
  strangerWire(): Wire {
    const wire = new Wire(
      this.clock,
      this.dice,
      this.plan.path,
      new Node(this.clock, () => {}),
      this.serverNode,
    );
    wire.tampered = true;
    this.clock.after(this.plan.path.delayMs, () => {
      this.serverNode.run(() => this.server.connected(wire.server));
    });
    return wire;
  }

  #forgetDeadWires(): void {
    for (const wire of this.wires) {
      if (wire.alive) continue;
      this.wireBytes += wire.bytes;
      this.wires.delete(wire);
    }
  }

  #blame(side: string, error: ProtocolError): void {
    // A peer that slept for long steps too late; that ends the link as it should.
    if (error.reason === "overdueStep" && this.faults.clockMoved) return;
    fail(`the ${side} says of an honest peer: ${error.reason}: ${error.message}`);
  }

  /** An application opens stream number `id`. Its number is the port that it asks for. */
  open(id: number): void {
    const { driver } = this.client;
    const request = makeRequest(id, this.dice.fork(), this.plan.mix);
    const host = { kind: "name", name: "example.com" } as const;
    const stream = driver.tunnel.open({ host, port: id }, driver.now);
    check(stream !== undefined, () => "the client opens no more streams");
    this.trace.add(this.clock.now, () => `client: open ${stream} ${JSON.stringify(request)}`);
    request.mayBeLost = this.#knownLosses !== this.#losses;
    this.requests.set(id, request);
    const end = this.#endpoint("client", request, driver, stream);
    this.clientEnds.set(id, end);
    driver.listen(stream, end);
  }

  #endpoint(side: "client" | "server", request: Request, driver: SimDriver, stream: number): Endpoint {
    const peers = side === "client" ? this.serverEnds : this.clientEnds;
    this.openEnds += 1;
    const end = new Endpoint({
      side,
      request,
      plan: request[side],
      driver,
      node: side === "client" ? this.clientNode : this.serverNode,
      stream,
      peer: () => peers.get(request.id),
      onEnd: () => {
        this.openEnds -= 1;
        this.trace.add(this.clock.now, () => `ended: ${end}`);
      },
    });
    if (this.healed) end.hurry();
    return end;
  }

  #run(driver: SimDriver, stream: number, id: number): void {
    const request = this.requests.get(id);
    check(request !== undefined, () => `the server is asked for ${id}, which nobody wants`);
    request.runs += 1;
    check(request.runs === 1, () => `request ${id} runs twice`);
    const end = this.#endpoint("server", request, driver, stream);
    this.serverEnds.set(id, end);
    driver.listen(stream, end);
    this.serverNode.after(request.dialMs, () => {
      if (end.state !== "open") return;
      driver.tunnel.respond(stream, request.dialResult, driver.now);
      if (request.dialResult === "connected") end.connected();
      else end.end("refused");
    });
  }

  #taken({ slot, gen }: Link, wire: Wire): void {
    const newest = this.#gens.get(slot) ?? -1;
    check(gen > newest, () => `a late dial, ${slot}/${gen}, has taken the place of ${slot}/${newest}`);
    this.#gens.set(slot, gen);
    this.#lossesAt.set(wire, this.#losses);
  }

  // The server has lost this tunnel, or with undefined every tunnel.
  #lost(driver: SimDriver | undefined): void {
    this.#losses += 1;
    for (const end of this.serverEnds.values())
      if (driver === undefined || end.belongsTo(driver)) end.vanish();
    for (const request of this.requests.values()) request.mayBeLost = true;
  }

  #checkDriver(side: string, { tunnel }: SimDriver, ends: ReadonlyMap<number, Endpoint>): void {
    tunnel.check();
    const { streams, heldBytes } = tunnel.stats();
    let unread = 0;
    let holding = 0;
    for (const end of ends.values()) {
      unread += end.unread;
      if (end.unread > 0) holding += 1;
    }
    const { poolBytes } = this.plan;
    const total = heldBytes + unread;
    check(
      unread <= poolBytes + holding * LIMITS.exemptBytes,
      () => `the ${side} holds ${unread} unread bytes of ${holding} streams, its pool is ${poolBytes}`,
    );
    check(
      total <= tunnelMemoryBound(Math.max(streams, holding), poolBytes),
      () => `the ${side} holds ${total} bytes`,
    );
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

  get bytesToMove(): number {
    let sum = 0;
    for (const { client, server } of this.requests.values()) sum += client.bytes + server.bytes;
    return sum;
  }

  get unfinished(): Endpoint[] {
    return [...this.clientEnds.values(), ...this.serverEnds.values()].filter(({ state }) => state === "open");
  }
}
