import { LinkSet } from "../../src/client/link-set.ts";
import type { DialOutcome, FreshLink } from "../../src/client/link-shell.ts";
import { type Identity, ProtocolError, Tunnel, type TunnelEvent } from "../../src/proto/index.ts";
import type { Dice } from "./dice.ts";
import { SimDriver } from "./driver.ts";
import { fail, type Trace } from "./failure.ts";
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
  /** When links are to be replaced. */
  readonly linkAgeMs: number;
  /** Connects to the server; undefined when that fails at once. */
  readonly connect: (slot: number) => WireEnd | undefined;
  readonly onBlame: (error: ProtocolError) => void;
  readonly onFlushed: (driver: SimDriver) => void;
  /** The server took a link for `slot` that came over `carrier`. */
  readonly onAccepted: (slot: number, carrier: WireEnd) => void;
  /** The client has been without a link for too long, and is about to break what was started. */
  readonly onGivenUp: () => void;
}

/** A link whose keys are agreed, and the wire under it, whose first message will carry the handshake too. */
interface SimLink extends FreshLink {
  readonly carrier: WireEnd;
}

/** The client's end of a tunnel: the real LinkSet and its slot keepers, in a shell of wires and virtual time. */
export class SimKeeper {
  readonly driver: SimDriver;
  readonly #options: SimKeeperOptions;
  readonly #links: LinkSet<SimLink>;
  readonly #offered = new Map<number, WireEnd>();
  /** How often the client was told to replace a link for its age. */
  aged = 0;
  /** How often the server was away for too long. */
  gaveUp = 0;

  constructor(options: SimKeeperOptions) {
    this.#options = options;
    const { node, trace, dice, onBlame, onFlushed } = options;
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
        linkAgeMs: options.linkAgeMs,
      }),
      onBlame,
      onFlushed,
      onEvent: (event) => this.#onEvent(event),
      onLinkLost: (link, reason) => this.#links.lost(link, reason),
    });
    this.#links = this.#linkSet();
  }

  #linkSet(): LinkSet<SimLink> {
    const { node, dice, trace, slots } = this.#options;
    const note = (line: () => string) => trace.add(node.clock.now, () => `client: ${line()}`);
    return new LinkSet<SimLink>(
      {
        random: dice.random,
        now: () => node.now,
        after: (ms, run) => node.after(ms, run),
        dial: (slot, gen, outcome) => this.#dial(slot, gen, outcome),
        offer: (fresh, secret) => this.#offer(fresh, secret),
        discard: ({ carrier }) => carrier.close(),
        lose: (link, reason) => this.driver.lose(link, reason),
        holdsBytes: () => this.driver.tunnel.stats().heldBytes > 0,
        onRestarted: () => {
          note(() => "the server has restarted");
          this.restarted();
        },
        onGivenUp: () => {
          note(() => "the tunnel is given up");
          this.gaveUp += 1;
          this.#options.onGivenUp();
          this.givenUp();
        },
        onUp: (slot) => note(() => `slot ${slot} is up`),
        onDialFailed: (slot, problem, reason) => note(() => `slot ${slot}: ${problem}, ${reason}`),
        onDown: (slot, reason) => note(() => `slot ${slot} is down: ${reason}`),
        onWrongServer: () => fail("the client takes its server for another one"),
      },
      slots,
    );
  }

  start(): void {
    this.#links.start();
  }

  stop(): void {
    this.#links.stop();
    this.driver.stop();
  }

  get ready(): boolean {
    return this.#links.slots.every(({ up }) => up);
  }

  /** How often links came up, of all slots. */
  get ups(): number {
    return this.#links.slots.reduce((sum, { ups }) => sum + ups, 0);
  }

  /** The same without those that took the place of a link that was old. */
  get unaskedUps(): number {
    return this.ups - this.aged;
  }

  /** The server has restarted. The tunnel knows by itself; for broken variants. */
  restarted(): void {}

  /** The server was away for too long; a method of its own for broken variants. */
  givenUp(): void {
    this.driver.tunnel.giveUp();
  }

  /** Whether a link is up. */
  get up(): boolean {
    return this.#links.state === "up";
  }

  /** Replaces the link of a slot although nothing is wrong with it. */
  second(slot: number): void {
    this.#links.replace(slot);
  }

  /** A request has begun, and waits for a link until the result is called. */
  wait(): () => void {
    return this.#links.wait();
  }

  /** The machine is in another network, or has slept. */
  disturbed(slept: boolean): void {
    const { tunnel, now } = this.driver;
    if (slept) tunnel.woke(now);
    else tunnel.checkLinks(now);
    this.#links.startAfresh();
  }

  #dial(slot: number, gen: number, outcome: DialOutcome<SimLink>): () => void {
    const { node } = this.#options;
    const carrier = this.#options.connect(slot);
    const failed = (reason: string) => {
      deadline.cancel();
      carrier?.close();
      outcome.failed({ reason, wrongServer: false });
    };
    const deadlineMs = carrier === undefined ? 0 : DIAL_DEADLINE_MS;
    const deadline = node.after(deadlineMs, () => failed("no answer in time"));
    if (carrier !== undefined) {
      carrier.onClose = failed;
      carrier.onMessage = (bundle) => {
        carrier.onMessage = () => {};
        const fresh = this.#answer({ slot, gen }, carrier, bundle);
        if (fresh === undefined) return failed("the bundle was not acceptable");
        deadline.cancel();
        outcome.dialled(fresh);
      };
    }
    return () => {
      deadline.cancel();
      carrier?.close();
    };
  }

  #answer(place: { slot: number; gen: number }, carrier: WireEnd, bundle: Uint8Array): SimLink | undefined {
    const { dice, identity, serverKey, node } = this.#options;
    try {
      const { link, boot, prefix } = answerBundle(dice, identity, serverKey, bundle, {
        ...place,
        now: node.now,
      });
      return { link, boot, carrier: prefixed(carrier, prefix) };
    } catch (error) {
      if (!(error instanceof ProtocolError) || !carrier.wire.tampered) throw error;
      return undefined;
    }
  }

  #offer({ link, carrier }: SimLink, secret: Uint8Array): void {
    this.#offered.set(link.slot, carrier);
    this.driver.tunnel.offer(link, secret);
    this.driver.attach(link, carrier);
  }

  #onEvent(event: TunnelEvent): void {
    switch (event.kind) {
      case "accepted":
        return this.#accepted(event.slot, event.resumeWindowMs);
      case "refused":
        return this.#links.refused(event.slot, event.refusal);
      case "aged":
        this.aged += 1;
        return this.#links.replace(event.slot);
      case "suspect":
        return this.#links.replace(event.slot);
      case "goAway":
        return this.#links.leave(event.slot);
      default:
        return;
    }
  }

  #accepted(slot: number, resumeWindowMs: number | undefined): void {
    const carrier = this.#offered.get(slot);
    this.#links.accepted(slot, resumeWindowMs);
    if (carrier !== undefined) this.#options.onAccepted(slot, carrier);
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
