import { equalBytes, type Link, type Refusal } from "../proto/index.ts";
import type { DialFailure, FreshLink, LinkShell, Timer } from "./link-shell.ts";
import { type LinkState, type ServerProcess, SlotKeeper, type SlotOwner } from "./slot-keeper.ts";

/** How long a wrong identity must be all that answers before it is believed: the server keeps a tunnel that long. */
const WRONG_SERVER_MS = 5 * 60_000;
/** And how often at least, so that one dial before a night's sleep and one after it prove nothing. */
const WRONG_SERVER_DIALS = 3;

/**
 * A server may notice the end of a link later than its client does, by an idle ping and its deadline (24 + 9 s), and only
 * then begins to count.
 */
const GIVE_UP_MARGIN_MS = 45_000;
/** Longer than any timer can run. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * The links of one tunnel, one keeper per slot, and what they decide together: under which secret the tunnel is
 * offered, whether the server has restarted, whether it is the right one. All that is done is done through the shell.
 */
export class LinkSet<D extends FreshLink> implements SlotOwner<D> {
  readonly slots: readonly SlotKeeper<D>[];
  readonly #shell: LinkShell<D>;
  #gen = 0;
  /** The server's process that has the tunnel, or was the first to be asked for it. */
  #server: ServerProcess | undefined;
  /** Another one that has shown itself since and not yet accepted. */
  #asked: ServerProcess | undefined;
  #everAccepted = false;
  #wrongServer: { readonly since: number; dials: number } | undefined;
  /** Requests that wait for a link. */
  #waiting = 0;
  /** How long the server keeps the tunnel without a link, as it has stated; and the end of that, while there is none. */
  #resumeWindowMs: number | undefined;
  #giveUp: Timer | undefined;

  constructor(shell: LinkShell<D>, links: number) {
    this.#shell = shell;
    this.slots = Array.from({ length: links }, (_, slot) => new SlotKeeper(slot, this, shell));
  }

  /** The best of the slots' states. */
  get state(): LinkState {
    const states = this.slots.map(({ state }) => state);
    return states.find((state) => state === "up") ?? states.find((state) => state === "connecting") ?? "down";
  }

  /** A link is up on which streams may start. */
  get takesStreams(): boolean {
    return this.slots.some(({ takesStreams }) => takesStreams);
  }

  /** Only one slot dials until the server has taken its link: else several Hellos race to make the tunnel. */
  start(): void {
    this.slots[0]?.start();
  }

  stop(): void {
    this.#resumeWindowMs = undefined;
    this.#giveUp?.cancel();
    for (const slot of this.slots) slot.stop();
  }

  /** A request waits for a link. Call the result when it waits no more. */
  wait(): () => void {
    this.#waiting += 1;
    if (!this.takesStreams) for (const slot of this.slots) slot.hasten();
    let waiting = true;
    return () => {
      if (waiting) this.#waiting -= 1;
      waiting = false;
    };
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** The network is another one, or this machine has slept: slots that are down dial at once. */
  startAfresh(): void {
    for (const slot of this.slots) slot.startAfresh();
  }

  /** The link of this slot is silent or old. */
  replace(slot: number): void {
    this.slots[slot]?.replace();
  }

  /** The server goes away, as it has said on the link of this slot. */
  leave(slot: number): void {
    this.slots[slot]?.leave();
  }

  /** The server has taken the offered link of `slot`; `resumeWindowMs` as it states. */
  accepted(slot: number, resumeWindowMs?: number): void {
    const keeper = this.slots[slot];
    const server = keeper?.offeredTo;
    // The link may have been given up meanwhile.
    if (keeper === undefined || server === undefined) return;
    if (server !== this.#server) this.#goOver(server);
    keeper.accepted();
    this.#giveUp?.cancel();
    this.#giveUp = undefined;
    this.#resumeWindowMs = resumeWindowMs;
    this.#everAccepted = true;
    this.#wrongServer = undefined;
    for (const other of this.slots) other.start();
  }

  refused(slot: number, refusal: Refusal): void {
    this.slots[slot]?.refusedFor(refusal);
  }

  lost(link: Link, reason: string): void {
    this.slots[link.slot]?.lost(link, reason);
    if (this.#resumeWindowMs === undefined || this.#giveUp !== undefined) return;
    if (this.slots.some(({ up }) => up)) return;
    const afterMs = Math.min(this.#resumeWindowMs + GIVE_UP_MARGIN_MS, MAX_TIMER_MS);
    this.#giveUp = this.#shell.after(afterMs, () => this.#giveTunnelUp());
  }

  /**
   * No server keeps the tunnel any more, so applications must not wait for it. The next link asks for another one, under
   * a fresh secret: a server that has the old one still must not take it for that.
   */
  #giveTunnelUp(): void {
    for (const slot of this.slots) slot.abandon("the server was away for too long");
    this.#server = undefined;
    this.#asked = undefined;
    this.#resumeWindowMs = undefined;
    this.#shell.onGivenUp();
  }

  nextGen(): number {
    return this.#gen++;
  }

  isWaitedFor(slot: SlotKeeper<D>): boolean {
    // What runs is carried by the link that is up, and each new one would only make it start slowly again.
    if (slot.isLeaving) return this.#waiting > 0;
    // Where another link is up the server can be reached, and streams of this slot may wait for it.
    const reachable = this.slots.some((other) => other !== slot && other.up);
    return reachable ? !slot.refused : this.#waiting > 0 || this.#shell.holdsBytes();
  }

  /**
   * A bundle with another boot id may be an old one in the hands of whoever ends TLS: it is signed, but not fresh. So
   * that process is only asked for a tunnel, under a secret of its own, and believed when it accepts. Dials overtake each
   * other: an older one that has reached the process before the present one finds nobody.
   */
  serverOf({ boot }: D, gen: number): ServerProcess | undefined {
    this.#wrongServer = undefined;
    const known = [this.#server, this.#asked].find((one) => one !== undefined && equalBytes(one.boot, boot));
    if (known !== undefined) {
      known.gen = Math.max(known.gen, gen);
      return known;
    }
    if (this.#server !== undefined && gen < this.#server.gen) return undefined;
    const fresh = { boot, secret: this.#shell.random(32), gen };
    if (this.#server === undefined) this.#server = fresh;
    else this.#asked = fresh;
    return fresh;
  }

  /** The server has restarted: another process has accepted. One decision for all slots. */
  #goOver(server: ServerProcess): void {
    this.#server = server;
    this.#asked = undefined;
    for (const slot of this.slots) {
      if (slot.offeredTo !== server) slot.abandon("the server has restarted");
    }
    this.#shell.onRestarted();
  }

  /** A captive portal may answer for a while; only a server that stays another one is another one. */
  dialFailed({ wrongServer }: DialFailure): void {
    if (!wrongServer || (this.#everAccepted && this.state === "up")) {
      this.#wrongServer = undefined;
      return;
    }
    const now = this.#shell.now();
    this.#wrongServer ??= { since: now, dials: 0 };
    this.#wrongServer.dials += 1;
    const { since, dials } = this.#wrongServer;
    const sure = dials >= WRONG_SERVER_DIALS && now - since >= WRONG_SERVER_MS;
    if (sure || !this.#everAccepted) this.#shell.onWrongServer();
  }
}
