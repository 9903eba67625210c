import {
  type Identity,
  LIMITS,
  type Link,
  ProtocolError,
  type Refusal,
  Tunnel,
  type TunnelEvent,
  tunnelKey,
} from "../../src/proto/index.ts";
import { DetachedLedger } from "../../src/server/detached-ledger.ts";
import { SERVER_LIMITS } from "../../src/server/server-limits.ts";
import { TunnelNames } from "../../src/server/tunnel-names.ts";
import type { Timer } from "./clock.ts";
import type { Dice } from "./dice.ts";
import { SimDriver } from "./driver.ts";
import type { Trace } from "./failure.ts";
import { SimServerHandshake } from "./handshakes.ts";
import type { Node } from "./node.ts";
import type { WireEnd } from "./wire.ts";

const HANDSHAKE_DEADLINE_MS = 5_000;
/** One client makes a handful of tunnels in a seed: none of these is reached. */
const NAMES = {
  remembered: SERVER_LIMITS.droppedRemembered,
  rememberMs: SERVER_LIMITS.droppedRememberedMs,
  slots: SERVER_LIMITS.linksPerTunnel,
} as const;
const OWNER = "the client";
const NO_UNITS = { body: false, units: [], appLimited: true } as const;

export interface SimServerOptions {
  readonly node: Node;
  readonly dice: Dice;
  readonly trace: Trace;
  readonly identity: Identity;
  readonly resumeWindowMs: number;
  readonly poolBytes: number;
  readonly sendPoolBytes: number;
  /** What a tunnel may hold while its client is away. */
  readonly detachedBytes: number;
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
  readonly links: Set<Link>;
  expiry?: Timer;
}

/** One server process: proves clients, fences links by gen, keeps tunnels for the resume window. */
export class SimServer {
  readonly #options: SimServerOptions;
  readonly #boot: Uint8Array;
  readonly #gateKey: Uint8Array;
  readonly #tunnels: TunnelNames<Host>;
  readonly #deadlines = new Set<Timer>();
  readonly #detached: DetachedLedger;
  #over = false;
  #draining = false;

  constructor(options: SimServerOptions) {
    this.#options = options;
    this.#boot = options.dice.random(16);
    this.#gateKey = options.dice.random(32);
    const { detachedBytes } = options;
    this.#detached = new DetachedLedger({ perClient: detachedBytes, inAll: detachedBytes });
    this.#tunnels = new TunnelNames(options.forgetsDropped ? { ...NAMES, rememberMs: 0 } : NAMES);
  }

  get drivers(): SimDriver[] {
    return this.#over ? [] : [...this.#tunnels.values()].map(({ driver }) => driver);
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
    const gen = this.#options.fenceByArrival ? Number.MAX_SAFE_INTEGER : link.gen;
    const standing = this.#tunnels.standing(key, { ...hello, gen }, this.#options.node.now);
    if (standing.kind === "stale" || standing.kind === "tooMany") {
      return this.#refuse(link, carrier, "staleLink");
    }
    if (standing.kind === "new" && this.#draining) return this.#refuse(link, carrier, "draining");
    const result = standing.kind === "new" ? standing.result : "resumed";
    const host = standing.kind === "known" ? standing.tunnel : this.#create(key);
    host.expiry?.cancel();
    this.#detached.leave(key);
    this.#tunnels.linked(key, link);
    host.links.add(link);
    for (const older of [...host.links]) {
      if (older.slot === link.slot && older !== link) host.driver.lose(older, "replaced");
    }
    host.driver.attach(link, carrier);
    this.#options.onTaken(link, carrier);
    try {
      host.driver.tunnel.accept(link, hello, result, rest, this.#options.node.now);
      host.driver.tunnel.sendGateKey(this.#gateKey);
    } catch (error) {
      host.driver.lose(link, "its Hello was not acceptable");
      throw error;
    }
  }

  #refuse(link: Link, carrier: WireEnd, refusal: Refusal): void {
    carrier.send(link.seal([{ type: "refuse", refusal }], NO_UNITS, this.#options.node.now).lead);
    carrier.close();
  }

  #create(key: string): Host {
    const { node, trace, dice, onBlame, onFlushed, onConnect } = this.#options;
    const { poolBytes, sendPoolBytes, resumeWindowMs } = this.#options;
    const { random } = dice;
    const driver: SimDriver = new SimDriver({
      name: "server",
      node,
      trace,
      tunnel: new Tunnel({
        role: "server",
        random,
        padding: "padme",
        poolBytes,
        sendPoolBytes,
        resumeWindowMs,
      }),
      onBlame,
      onFlushed,
      onEvent: (event) => {
        if (event.kind === "connect") onConnect(driver, event);
      },
      onLinkLost: (link) => this.#linkLost(key, link),
    });
    const host: Host = { driver, links: new Set() };
    this.#tunnels.enter(key, host);
    return host;
  }

  #linkLost(key: string, link: Link): void {
    const host = this.#tunnels.get(key);
    if (host === undefined || this.#over) return;
    host.links.delete(link);
    if (host.links.size > 0) return;
    host.expiry?.cancel();
    const { heldBytes, ourPoolUsed, streams } = host.driver.tunnel.stats();
    const { resumeWindowMs, node } = this.#options;
    const windowMs = streams > 0 ? resumeWindowMs : Math.min(SERVER_LIMITS.emptyTunnelMs, resumeWindowMs);
    host.expiry = node.after(windowMs, () => this.#drop(key));
    const kept = heldBytes + ourPoolUsed + streams * LIMITS.exemptBytes;
    for (const over of this.#detached.enter(key, OWNER, kept)) this.#drop(over);
  }

  #drop(key: string): void {
    const host = this.#tunnels.get(key);
    if (host === undefined) return;
    this.#options.trace.add(this.#options.node.clock.now, () => "server: tunnel dropped");
    host.expiry?.cancel();
    this.#detached.leave(key);
    this.#tunnels.drop(key, this.#options.node.now);
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
  }

  /** Drains: no new tunnels, and no new streams if clients do as they are told. The process ends soon. */
  goAway(): void {
    this.#draining = true;
    for (const { driver } of this.#tunnels.values()) driver.tunnel.goAway();
  }
}
