import { type Link, REFUSALS, type Refusal } from "../proto/index.ts";
import { Backoff, LONGEST_WAITED_FOR_MS } from "./backoff.ts";
import type { DialFailure, DialProblem, FreshLink, LinkShell, Timer } from "./link-shell.ts";

/** From Hello to Accept, at most. */
const ACCEPT_DEADLINE_MS = 10_000;

/** Links that die this young, so many in a row, die of being accepted: dialling at once would be a busy loop. */
const YOUNG_MS = 200;
const MAX_YOUNG = 5;

/** A server that drains says so as soon as it has taken a link. One that says it this much later begins to go away. */
const SETTLED_MS = 3_000;

/** A process of the server, as its bundles name it. */
export interface ServerProcess {
  /** 16 bytes. */
  readonly boot: Uint8Array;
  /** Under which it is offered links, 32 bytes. */
  readonly secret: Uint8Array;
  /** Of the newest dial that has reached it. */
  gen: number;
}

export type LinkState = "up" | "connecting" | "down";

/** What slots share: the decisions about the tunnel. */
export interface SlotOwner<D extends FreshLink> {
  nextGen(): number;
  /** The process at the other end; undefined for one that is known to be gone. */
  serverOf(fresh: D, gen: number): ServerProcess | undefined;
  /** Somebody waits for this slot: the next dial is soon. */
  isWaitedFor(slot: SlotKeeper<D>): boolean;
  dialFailed(failure: DialFailure): void;
}

/** What is on its way to become the slot's link, beside the one that is up or alone. */
type Next =
  | { readonly kind: "none" }
  | { readonly kind: "waiting"; readonly timer: Timer; readonly dueAt: number }
  | Dialling
  | Offered;

interface Dialling {
  readonly kind: "dialling";
  abort: () => void;
}

interface Offered {
  readonly kind: "offered";
  readonly link: Link;
  readonly server: ServerProcess;
  readonly deadline: Timer;
  /** What to call it if the link is lost before it is accepted. */
  problem: DialProblem;
}

const NONE: Next = { kind: "none" };

/**
 * Keeps the link of one slot up: dials, offers, and dials again when it is lost. A link that is to be replaced (silent,
 * old, the server asked for it) lives on until its successor is accepted, however many dials that takes.
 */
export class SlotKeeper<D extends FreshLink> {
  readonly slot: number;
  readonly #owner: SlotOwner<D>;
  readonly #shell: LinkShell<D>;
  readonly #backoff: Backoff;
  #current: Link | undefined;
  #next: Next = NONE;
  #running = false;
  /** The link that is up is to be replaced. */
  #replace = false;
  /** The server has said on the link that is up that it goes away: nothing is started there. */
  #leaving = false;
  readonly #leaveBackoff: Backoff;
  /** Why the link went that was up, where its successor had been offered: most likely because the server took that. */
  #handedOver: string | undefined;
  #upAt = 0;
  /** Links in a row that died young. */
  #young = 0;
  /** The server has said that it wants no link of this slot for now. */
  refused = false;
  /** How often a link of it came up. */
  ups = 0;
  lastReason: string | undefined;

  constructor(slot: number, owner: SlotOwner<D>, shell: LinkShell<D>) {
    this.slot = slot;
    this.#owner = owner;
    this.#shell = shell;
    this.#backoff = new Backoff(shell.random);
    this.#leaveBackoff = new Backoff(shell.random);
  }

  get up(): boolean {
    return this.#current !== undefined;
  }

  /** A link is up on which streams may start. */
  get takesStreams(): boolean {
    return this.up && !this.#leaving;
  }

  /** A link is up whose server has said that it goes away. */
  get isLeaving(): boolean {
    return this.up && this.#leaving;
  }

  get state(): LinkState {
    if (this.up) return "up";
    return this.#next.kind === "dialling" || this.#next.kind === "offered" ? "connecting" : "down";
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#schedule();
  }

  /** Ends timers and dials. Links are the driver's to close. */
  stop(): void {
    this.#running = false;
    this.#clear();
  }

  /** Dials another link beside the one that is up. */
  replace(): void {
    if (!this.up) return;
    this.#replace = true;
    this.#goOn();
  }

  /**
   * The server goes away: another link may find its successor. While it drains, it may say the same on every link that
   * it takes; so the next ones are dialled less and less often.
   */
  leave(): void {
    if (!this.up) return;
    if (!this.#leaving && this.#shell.now() - this.#upAt >= SETTLED_MS) this.#leaveBackoff.reset();
    this.#leaving = true;
    this.#replace = true;
    if (this.#next.kind === "none") this.#schedule(this.#leaveBackoff);
  }

  /** Somebody has begun to wait: the next dial is at most a second away. */
  hasten(): void {
    const far = this.#next.kind === "waiting" && this.#next.dueAt - this.#shell.now() > LONGEST_WAITED_FOR_MS;
    if (far) this.#schedule(this.#leaving ? this.#leaveBackoff : this.#backoff);
  }

  /** The way to the server may be another one now: what was tried before counts for nothing. */
  startAfresh(): void {
    if (!this.#running || (this.up && !this.#replace)) return;
    this.abandon("the network has changed");
    this.#clear();
    this.#backoff.reset();
    this.#schedule();
  }

  /** Gives up a link that waits for Accept, if there is one. */
  abandon(reason: string): void {
    this.#abandon("notReached", reason);
  }

  #abandon(problem: DialProblem, reason: string): void {
    if (this.#next.kind !== "offered") return;
    this.#next.problem = problem;
    this.#shell.lose(this.#next.link, reason);
  }

  /** Who has been offered a link and has not answered yet. */
  get offeredTo(): ServerProcess | undefined {
    return this.#next.kind === "offered" ? this.#next.server : undefined;
  }

  /** The server took the offered link. */
  accepted(): void {
    if (this.#next.kind !== "offered") return;
    const old = this.#current;
    this.#current = this.#next.link;
    this.#clear();
    this.#replace = false;
    this.#leaving = false;
    this.#handedOver = undefined;
    this.refused = false;
    this.ups += 1;
    this.#upAt = this.#shell.now();
    if (this.#young < MAX_YOUNG) this.#backoff.reset();
    else this.#backoff.calm();
    if (old !== undefined) this.#shell.lose(old, "replaced by a newer link");
    this.#shell.onUp(this.slot);
  }

  /** The server did not take the offered link, for a reason that is not final. */
  refusedFor(refusal: Refusal): void {
    // A link that was overtaken by a newer one of ours says nothing about the server.
    this.refused = refusal !== "staleLink";
    this.#abandon("refused", REFUSALS[refusal].sentence);
  }

  /** A link is gone. One that was replaced is nobody's business any more. */
  lost(link: Link, reason: string): void {
    if (this.#next.kind === "offered" && this.#next.link === link) {
      const { problem } = this.#next;
      this.#clear();
      if (this.#handedOver !== undefined) this.#down(this.#handedOver);
      this.#failed(problem, reason);
    } else if (this.#current === link) {
      this.#current = undefined;
      // A server closes the older link as it takes the newer one, and that is here before Accept: no fault, nothing to tell.
      if (this.#next.kind === "offered") this.#handedOver = reason;
      else this.#down(reason);
    } else return;
    this.#goOn();
  }

  #down(reason: string): void {
    this.#handedOver = undefined;
    this.#left();
    this.#young = this.#shell.now() - this.#upAt < YOUNG_MS ? this.#young + 1 : 0;
    this.lastReason = reason;
    if (this.#running) this.#shell.onDown(this.slot, reason);
  }

  // The server that went away is gone: its successor is dialled as after any loss, at once.
  #left(): void {
    if (!this.#leaving) return;
    this.#leaving = false;
    this.#leaveBackoff.reset();
    if (this.#next.kind === "waiting") this.#clear();
  }

  #goOn(): void {
    if (this.#next.kind === "none" && (!this.up || this.#replace)) this.#schedule();
    // A replacement could take its time; now nothing is up.
    else if (!this.up && this.#owner.isWaitedFor(this)) this.hasten();
  }

  #schedule(backoff = this.#backoff): void {
    if (!this.#running || this.#next.kind === "dialling" || this.#next.kind === "offered") return;
    this.#clear();
    const delayMs = backoff.next(this.#owner.isWaitedFor(this));
    const timer = this.#shell.after(delayMs, () => this.#dial());
    this.#next = { kind: "waiting", timer, dueAt: this.#shell.now() + delayMs };
  }

  #dial(): void {
    const gen = this.#owner.nextGen();
    const dialling: Dialling = { kind: "dialling", abort: () => {} };
    this.#next = dialling;
    dialling.abort = this.#shell.dial(this.slot, gen, {
      dialled: (fresh) => {
        if (this.#next === dialling) this.#dialled(fresh, gen);
        else this.#shell.discard(fresh);
      },
      failed: (failure) => {
        if (this.#next !== dialling) return;
        this.#next = NONE;
        this.#failed(failure.wrongServer ? "otherServer" : "notReached", failure.reason);
        this.#owner.dialFailed(failure);
        this.#goOn();
      },
    });
  }

  #dialled(fresh: D, gen: number): void {
    this.#next = NONE;
    const server = this.#owner.serverOf(fresh, gen);
    if (server === undefined) {
      this.#shell.discard(fresh);
      this.#failed("notReached", "the server has restarted meanwhile");
      return this.#goOn();
    }
    const { link } = fresh;
    const deadline = this.#shell.after(ACCEPT_DEADLINE_MS, () => this.#shell.lose(link, "no Accept in time"));
    this.#next = { kind: "offered", link, server, deadline, problem: "notReached" };
    this.#shell.offer(fresh, server.secret);
  }

  #failed(problem: DialProblem, reason: string): void {
    this.lastReason = reason;
    if (this.#running) this.#shell.onDialFailed(this.slot, problem, reason);
  }

  #clear(): void {
    const next = this.#next;
    this.#next = NONE;
    if (next.kind === "waiting") next.timer.cancel();
    if (next.kind === "offered") next.deadline.cancel();
    if (next.kind === "dialling") next.abort();
  }
}
