import {
  type Identity,
  type Link,
  ProtocolError,
  Tunnel,
  type TunnelEvent,
  tunnelKey,
} from "../../src/proto/index.ts";
import type { Timer } from "./clock.ts";
import type { Dice } from "./dice.ts";
import { SimDriver } from "./driver.ts";
import type { Trace } from "./failure.ts";
import { SimServerHandshake } from "./handshakes.ts";
import type { Node } from "./node.ts";
import type { WireEnd } from "./wire.ts";

const HANDSHAKE_DEADLINE_MS = 5_000;
const NO_UNITS = { body: false, units: [], appLimited: true } as const;

export interface SimServerOptions {
  readonly node: Node;
  readonly dice: Dice;
  readonly trace: Trace;
  readonly identity: Identity;
  readonly resumeWindowMs: number;
  readonly poolBytes: number;
  readonly sendPoolBytes: number;
  /** A stream was opened; the application answers on the driver. */
  readonly onConnect: (driver: SimDriver, event: Extract<TunnelEvent, { kind: "connect" }>) => void;
  readonly onBlame: (error: ProtocolError) => void;
  readonly onFlushed: (driver: SimDriver) => void;
  /** A link came over `carrier` into a tunnel. */
  readonly onTaken: (link: Link, carrier: WireEnd) => void;
  /** A tunnel was given up with all its streams. */
  readonly onDropped: (driver: SimDriver) => void;
  /** Deliberately broken: the link that arrives last wins, whatever its gen. */
  readonly fenceByArrival: boolean;
  /** Deliberately broken: a tunnel that was given up counts as one that never was. */
  readonly forgetsDropped: boolean;
}

interface Host {
  readonly driver: SimDriver;
  readonly gens: Map<number, number>;
  readonly links: Set<Link>;
  expiry?: Timer;
}

/** One server process: proves clients, fences links by gen, keeps tunnels for the resume window. */
export class SimServer {
  readonly #options: SimServerOptions;
  readonly #boot: Uint8Array;
  readonly #tunnels = new Map<string, Host>();
  /** Given-up tunnels with the gens of their slots: a late dial must not bring one back. */
  readonly #dropped = new Map<string, Map<number, number>>();
  readonly #deadlines = new Set<Timer>();
  #over = false;

  constructor(options: SimServerOptions) {
    this.#options = options;
    this.#boot = options.dice.random(16);
  }

  get drivers(): SimDriver[] {
    return [...this.#tunnels.values()].map(({ driver }) => driver);
  }

  /** A wire stands: the bundle goes out with the upgrade. */
  connected(carrier: WireEnd): void {
    if (this.#over) return carrier.close();
    const { dice, identity, node } = this.#options;
    const handshake = new SimServerHandshake(dice, identity, this.#boot);
    const deadline = node.after(HANDSHAKE_DEADLINE_MS, () => carrier.close());
    this.#deadlines.add(deadline);
    const done = () => {
      deadline.cancel();
      this.#deadlines.delete(deadline);
    };
    carrier.onClose = done;
    carrier.onMessage = (message) => {
      carrier.onMessage = () => {};
      if (this.#prove(handshake, carrier, message)) done();
    };
    carrier.send(handshake.bundle);
  }

  #prove(handshake: SimServerHandshake, carrier: WireEnd, message: Uint8Array): boolean {
    try {
      this.#take(handshake.finish(message, this.#options.node.now), carrier);
      return true;
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      if (!carrier.wire.tampered) this.#options.onBlame(error);
      return false;
    }
  }

  #take({ clientKey, link, hello, rest }: ReturnType<SimServerHandshake["finish"]>, carrier: WireEnd): void {
    const key = tunnelKey(clientKey, hello.tunnel);
    const known = this.#tunnels.get(key);
    const gens = known?.gens ?? this.#dropped.get(key) ?? new Map<number, number>();
    if (!this.#isNewer(gens, link)) return this.#refuse(link, carrier);
    const result = known !== undefined ? "resumed" : this.#dropped.delete(key) ? "dropped" : "created";
    const host = known ?? this.#create(key, gens);
    host.expiry?.cancel();
    gens.set(link.slot, link.gen);
    host.links.add(link);
    for (const older of [...host.links]) {
      if (older.slot === link.slot && older !== link) host.driver.lose(older, "replaced");
    }
    host.driver.attach(link, carrier);
    this.#options.onTaken(link, carrier);
    try {
      host.driver.tunnel.accept(link, hello, result, rest, this.#options.node.now);
    } catch (error) {
      host.driver.lose(link, "its Hello was not acceptable");
      throw error;
    }
  }

  #isNewer(gens: ReadonlyMap<number, number>, link: Link): boolean {
    return this.#options.fenceByArrival || link.gen > (gens.get(link.slot) ?? -1);
  }

  #refuse(link: Link, carrier: WireEnd): void {
    carrier.send(
      link.seal([{ type: "refuse", refusal: "staleLink" }], NO_UNITS, this.#options.node.now).lead,
    );
    carrier.close();
  }

  #create(key: string, gens: Map<number, number>): Host {
    const { node, trace, dice, onBlame, onFlushed, onConnect, poolBytes, sendPoolBytes } = this.#options;
    const driver: SimDriver = new SimDriver({
      name: "server",
      node,
      trace,
      tunnel: new Tunnel({ role: "server", random: dice.random, padding: "padme", poolBytes, sendPoolBytes }),
      onBlame,
      onFlushed,
      onEvent: (event) => {
        if (event.kind === "connect") onConnect(driver, event);
      },
      onLinkLost: (link) => this.#linkLost(key, link),
    });
    const host: Host = { driver, gens, links: new Set() };
    this.#tunnels.set(key, host);
    return host;
  }

  #linkLost(key: string, link: Link): void {
    const host = this.#tunnels.get(key);
    if (host === undefined || this.#over) return;
    host.links.delete(link);
    if (host.links.size > 0) return;
    host.expiry?.cancel();
    host.expiry = this.#options.node.after(this.#options.resumeWindowMs, () => this.#drop(key));
  }

  #drop(key: string): void {
    const host = this.#tunnels.get(key);
    if (host === undefined) return;
    this.#options.trace.add(this.#options.node.clock.now, () => "server: tunnel dropped");
    this.#tunnels.delete(key);
    if (!this.#options.forgetsDropped) this.#dropped.set(key, host.gens);
    this.#options.onDropped(host.driver);
    host.driver.stop();
  }

  /** The process is killed: all of it is gone at once. What becomes of its wires is the world's business. */
  kill(): void {
    this.#over = true;
    for (const deadline of this.#deadlines) deadline.cancel();
    for (const { driver, expiry } of this.#tunnels.values()) {
      expiry?.cancel();
      driver.vanish();
    }
    this.#tunnels.clear();
  }

  goAway(): void {
    for (const { driver } of this.#tunnels.values()) driver.tunnel.goAway();
  }
}
