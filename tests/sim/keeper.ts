import { Backoff } from "../../src/client/backoff.ts";
import {
  equalBytes,
  type Identity,
  type Link,
  ProtocolError,
  Tunnel,
  type TunnelEvent,
} from "../../src/proto/index.ts";
import type { Timer } from "./clock.ts";
import type { Dice } from "./dice.ts";
import { SimDriver } from "./driver.ts";
import type { Trace } from "./failure.ts";
import { answerBundle } from "./handshakes.ts";
import type { Node } from "./node.ts";
import type { WireEnd } from "./wire.ts";

const DIAL_DEADLINE_MS = 10_000;

export interface SimKeeperOptions {
  readonly node: Node;
  readonly dice: Dice;
  readonly trace: Trace;
  readonly identity: Identity;
  readonly serverKey: Uint8Array;
  readonly slots: number;
  readonly poolBytes: number;
  readonly sendPoolBytes: number;
  /** Connects to the server; undefined when that fails at once. */
  readonly connect: () => WireEnd | undefined;
  readonly onBlame: (error: ProtocolError) => void;
  readonly onFlushed: (driver: SimDriver) => void;
  /** The server took a link for `slot` that came over `carrier`. */
  readonly onAccepted: (slot: number, carrier: WireEnd) => void;
}

/** A link on its way: connecting until the bundle has come, then offered until Accept. */
interface Attempt {
  readonly carrier: WireEnd;
  readonly deadline: Timer;
  link?: Link;
}

/** The client's end of a tunnel and the keeper of its links, as `client/keeper.ts`, one state per slot. */
export class SimKeeper {
  readonly driver: SimDriver;
  readonly #options: SimKeeperOptions;
  readonly #slots: SlotKeeper[];
  #secret: Uint8Array;
  #boot: Uint8Array | undefined;
  #gen = 0;

  constructor(options: SimKeeperOptions) {
    this.#options = options;
    const { node, trace, dice, onBlame, onFlushed } = options;
    this.#secret = dice.random(32);
    this.driver = new SimDriver({
      name: "client",
      node,
      trace,
      tunnel: new Tunnel({
        role: "client",
        random: dice.random,
        padding: "padme",
        poolBytes: options.poolBytes,
        sendPoolBytes: options.sendPoolBytes,
      }),
      onBlame,
      onFlushed,
      onEvent: (event) => this.#onEvent(event),
      onLinkLost: (link) => this.#slots[link.slot]?.lost(link),
    });
    this.#slots = Array.from({ length: options.slots }, (_, slot) => new SlotKeeper(slot, this, options));
  }

  start(): void {
    for (const slot of this.#slots) slot.schedule();
  }

  stop(): void {
    for (const slot of this.#slots) slot.stop();
    this.driver.stop();
  }

  get ready(): boolean {
    return this.#slots.every((slot) => slot.up);
  }

  /** Replaces the link of a slot although nothing is wrong with it, as for its age. */
  second(slot: number): void {
    this.#slots[slot]?.another();
  }

  nextGen(): number {
    return this.#gen++;
  }

  /** Keys are agreed: offers the link to the server. Under a new boot id everything that was started is lost. */
  offer(link: Link, boot: Uint8Array): void {
    if (this.#boot !== undefined && !equalBytes(this.#boot, boot)) {
      this.#options.trace.add(this.#options.node.clock.now, () => "client: the server has restarted");
      this.driver.tunnel.breakStarted();
      this.#secret = this.#options.dice.random(32);
    }
    this.#boot = boot;
    this.driver.tunnel.offer(link, this.#secret);
  }

  #onEvent(event: TunnelEvent): void {
    if (event.kind === "accepted") this.#slots[event.slot]?.accepted();
    if (event.kind === "suspect" || event.kind === "goAway") this.#slots[event.slot]?.another();
  }
}

class SlotKeeper {
  readonly #slot: number;
  readonly #keeper: SimKeeper;
  readonly #options: SimKeeperOptions;
  readonly #backoff: Backoff;
  #current: { readonly link: Link; readonly carrier: WireEnd } | undefined;
  #attempt: Attempt | undefined;
  #retry: Timer | undefined;
  #stopped = false;

  constructor(slot: number, keeper: SimKeeper, options: SimKeeperOptions) {
    this.#slot = slot;
    this.#keeper = keeper;
    this.#options = options;
    this.#backoff = new Backoff(options.dice.random);
  }

  get up(): boolean {
    return this.#current !== undefined;
  }

  schedule(): void {
    if (this.#stopped || this.#attempt !== undefined) return;
    this.#retry?.cancel();
    this.#retry = this.#options.node.after(this.#backoff.next(true), () => this.#dial());
  }

  stop(): void {
    this.#stopped = true;
    this.#retry?.cancel();
    this.#giveUp();
  }

  /** A second link beside the first. */
  another(): void {
    if (this.#attempt === undefined && this.#retry === undefined) this.schedule();
  }

  #dial(): void {
    this.#retry = undefined;
    const carrier = this.#options.connect();
    if (carrier === undefined) return this.schedule();
    const deadline = this.#options.node.after(DIAL_DEADLINE_MS, () => this.#fail());
    const attempt: Attempt = { carrier, deadline };
    this.#attempt = attempt;
    carrier.onMessage = (bundle) => this.#answer(attempt, bundle);
    carrier.onClose = () => this.#fail();
  }

  #answer(attempt: Attempt, bundle: Uint8Array): void {
    const { dice, identity, serverKey, node } = this.#options;
    const { carrier } = attempt;
    try {
      const gen = this.#keeper.nextGen();
      const link = { slot: this.#slot, gen, now: node.now };
      const offered = answerBundle(dice, identity, serverKey, bundle, link);
      this.#keeper.offer(offered.link, offered.boot);
      attempt.link = offered.link;
      this.#keeper.driver.attach(offered.link, prefixed(carrier, offered.prefix));
    } catch (error) {
      if (!(error instanceof ProtocolError) || !carrier.wire.tampered) throw error;
      this.#fail();
    }
  }

  accepted(): void {
    const attempt = this.#attempt;
    if (attempt?.link === undefined) return;
    attempt.deadline.cancel();
    this.#attempt = undefined;
    const old = this.#current;
    this.#current = { link: attempt.link, carrier: attempt.carrier };
    if (old !== undefined) this.#keeper.driver.lose(old.link, "replaced");
    this.#backoff.reset();
    this.#options.onAccepted(this.#slot, attempt.carrier);
  }

  lost(link: Link): void {
    if (this.#current?.link === link) this.#current = undefined;
    if (this.#attempt?.link === link) this.#giveUp();
    if (this.#current === undefined) this.schedule();
  }

  #fail(): void {
    const link = this.#attempt?.link;
    if (link !== undefined) return this.#keeper.driver.lose(link, "not accepted");
    this.#giveUp();
    if (this.#current === undefined) this.schedule();
  }

  #giveUp(): void {
    this.#attempt?.deadline.cancel();
    this.#attempt?.carrier.close();
    this.#attempt = undefined;
  }
}

/** The end of `carrier` whose first message goes out behind `prefix`. */
function prefixed(carrier: WireEnd, prefix: Uint8Array): WireEnd {
  const send = carrier.send.bind(carrier);
  carrier.send = (lead) => {
    carrier.send = send;
    const whole = new Uint8Array(prefix.length + lead.length);
    whole.set(prefix);
    whole.set(lead, prefix.length);
    return send(whole);
  };
  return carrier;
}
