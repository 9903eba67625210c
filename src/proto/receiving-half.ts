import { ProtocolError } from "./errors.ts";
import { LIMITS } from "./limits.ts";

/** What an arrived ProxyData frame adds to its stream. */
export interface Arrival {
  /** The new bytes: those of the frame without what had arrived before. May be empty. */
  readonly bytes: Uint8Array;
  /** The stream's end arrived with it, for the first time. */
  readonly fin: boolean;
}

const NOTHING: Arrival = { bytes: new Uint8Array(0), fin: false };

/**
 * One direction of a stream, as its receiver keeps it: which unit comes next, what the application has taken and what
 * credit the peer was given. Bytes are handed on at once; only numbers stay here.
 */
export class ReceivingHalf {
  #next = 0;
  #finUnit: number | undefined;
  #consumed = 0;
  /** Consumption that the peer surely knows of, and that it may know of: links die with what they carry. */
  #known = 0;
  #told = 0;
  #limit: number = LIMITS.initialWindowBytes;
  #window: number = LIMITS.initialWindowBytes;
  /** When the draining of a window began; before the first update nothing is known. */
  #drainStartedAt: number | undefined;
  #drainStartBytes = 0;

  /** The next unit expected. */
  get next(): number {
    return this.#next;
  }

  get consumed(): number {
    return this.#consumed;
  }

  get limit(): number {
    return this.#limit;
  }

  get ended(): boolean {
    return this.#finUnit !== undefined && this.#next > this.#finUnit;
  }

  /** Bytes received that the peer surely believes to be outstanding: what counts against our pool. */
  get outstandingBytes(): number {
    return this.#received - this.#told;
  }

  /** Ended, taken by the application, and the peer told so as far as its pool needs it. */
  get complete(): boolean {
    const taken = this.ended && this.#consumed === this.#received;
    return taken && this.#received - this.#known <= LIMITS.exemptBytes;
  }

  get #received(): number {
    const units = Math.max(this.#next - 1, 0);
    return this.#finUnit === undefined ? units : Math.min(units, this.#finUnit - 1);
  }

  /** Unit 0 arrived. False where it had arrived before. */
  head(): boolean {
    if (this.#next > 0) return false;
    this.#next = 1;
    return true;
  }

  /** Bytes and perhaps FIN arrived. Below the expected unit they are trimmed, above it they are an error. */
  data(firstUnit: number, bytes: Uint8Array, fin: boolean): Arrival {
    const endUnit = firstUnit + bytes.length;
    if (firstUnit > this.#next)
      throw new ProtocolError("unitGap", `unit ${firstUnit}, expected ${this.#next}`);
    // The first FIN stands behind everything that has arrived; whatever comes later repeats it.
    const finUnit = this.#finUnit;
    const contradicted =
      finUnit === undefined ? fin && endUnit < this.#next : endUnit > finUnit || (fin && endUnit !== finUnit);
    if (contradicted) throw new ProtocolError("dataAfterFin");
    if (endUnit - 1 > this.#limit)
      throw new ProtocolError("streamCredit", `${endUnit - 1} of ${this.#limit} bytes`);
    const last = fin ? endUnit + 1 : endUnit;
    if (last <= this.#next) return NOTHING;
    const fresh = bytes.subarray(Math.min(this.#next - firstUnit, bytes.length));
    this.#next = last;
    if (fin) this.#finUnit = endUnit;
    return { bytes: fresh, fin };
  }

  /** The application took `count` bytes. */
  consume(count: number): void {
    this.#consumed += count;
    if (this.#consumed > this.#received) throw new RangeError("more bytes taken than arrived");
  }

  /**
   * How soon the peer should hear of what was consumed. `soon`: a quarter of the window is used up. `later`: with the
   * next packet, so that the peer's view of our pool does not stay too high while the stream is quiet.
   */
  updateDue(): "soon" | "later" | "no" {
    const untold = this.#consumed - this.#known;
    if (untold === 0) return "no";
    if (!this.ended && untold >= this.#window / 4) return "soon";
    const drained = this.#consumed === this.#received;
    // At exactly the exemption a sender without a share of the pool stands still.
    return drained && this.#received - this.#known >= LIMITS.exemptBytes ? "later" : "no";
  }

  /**
   * Settles what the next WindowUpdate says. A window that is drained as fast as round trips allow grows to what the
   * path carries, up to `maxWindow`.
   */
  update(now: number, rttMs: number, maxWindow: number): { consumed: number; limit: number } {
    if (this.#drainStartedAt === undefined) {
      // A first window that was taken at once may have waited for as long as it likes.
      if (this.#consumed >= this.#window) this.#drainStartBytes = this.#consumed;
      this.#drainStartedAt = now;
    } else if (this.#consumed - this.#drainStartBytes >= this.#window) {
      // New credit takes as long: the sender's link keeps up to that much of a queue besides.
      const trips = (now - this.#drainStartedAt) / (rttMs + LIMITS.queueDelayMs);
      this.#window = Math.max(this.#window, Math.min(growthAfter(trips) * this.#window, maxWindow));
      this.#drainStartedAt = now;
      this.#drainStartBytes = this.#consumed;
    }
    this.#known = this.#consumed;
    return this.#tell();
  }

  /** What a resume entry says: as much credit as a WindowUpdate would give, for there may be none after it. */
  state(): { next: number; consumed: number; limit: number } {
    return { next: this.#next, ...this.#tell() };
  }

  #tell(): { consumed: number; limit: number } {
    this.#told = this.#consumed;
    this.#limit = Math.max(this.#limit, this.#consumed + this.#window);
    return { consumed: this.#consumed, limit: this.#limit };
  }

  /** The peer has taken a resume entry that said `consumed`, and may have heard nothing that was told since. */
  restated(consumed: number): void {
    this.#known = consumed;
  }
}

// A window drained within one round trip is all that slows the stream down; within four, it may be.
function growthAfter(roundTrips: number): number {
  if (roundTrips < 1.5) return 4;
  return roundTrips < 4 ? 2 : 1;
}
