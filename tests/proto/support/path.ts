import { Flight } from "../../../src/proto/flight.ts";
import { LIMITS } from "../../../src/proto/limits.ts";

export interface PathOptions {
  /** Bytes per millisecond that the bottleneck passes on. */
  readonly rate: number;
  /** Round trip of an empty path. */
  readonly rttMs: number;
  /** When the application has bytes to send; always, unless said otherwise. */
  readonly hasData?: (now: number) => boolean;
}

interface InFlight {
  readonly record: ReturnType<Flight["sent"]>;
  readonly arrivesAt: number;
  /** Time it stood in the bottleneck's queue. */
  readonly queuedMs: number;
}

/**
 * One direction of a path with a bottleneck, and a receiver that acknowledges as a link does: after a quarter of what it
 * has received, at most 512 KiB, or after 10 ms. Time moves in steps that are short against everything measured.
 */
export class PathSimulation {
  readonly flight = new Flight();
  readonly #options: PathOptions;
  now = 0;
  deliveredBytes = 0;
  /** Longest stay in the bottleneck's queue since `resetPeak`. */
  peakQueueMs = 0;
  #lineFreeAt = 0;
  #onWay: InFlight[] = [];
  #received = 0;
  #owed: InFlight[] = [];
  #owedSince = Number.POSITIVE_INFINITY;
  #acks: { arrivesAt: number; bytes: number; newest: InFlight; delayMs: number }[] = [];

  constructor(options: PathOptions) {
    this.#options = options;
    // Hello and Accept: small packets that meet an empty path.
    this.#put(200, true);
  }

  run(ms: number): void {
    const end = this.now + ms;
    // Two packets of the bottleneck's time, and fine enough for the shortest round trip.
    const stepMs = Math.max(Math.min(this.#options.rttMs / 20, 0.5), 0.01);
    while (this.now < end) {
      this.#arrive();
      this.#acknowledge();
      this.#send();
      this.now += stepMs;
    }
  }

  #send(): void {
    const { hasData = () => true } = this.#options;
    if (this.flight.rttMs === undefined) return;
    while (hasData(this.now) && this.flight.freeBytes >= this.flight.packetBytes / 4) {
      const bytes = Math.min(this.flight.packetBytes, Math.max(this.flight.freeBytes, LIMITS.minPacketBytes));
      this.#put(bytes, false);
    }
  }

  #put(bytes: number, appLimited: boolean): void {
    const { rate, rttMs } = this.#options;
    const record = this.flight.sent(bytes, appLimited, this.now);
    const startAt = Math.max(this.now, this.#lineFreeAt);
    this.#lineFreeAt = startAt + bytes / rate;
    const arrivesAt = this.#lineFreeAt + rttMs / 2;
    this.#onWay.push({ record, arrivesAt, queuedMs: startAt - this.now });
  }

  #arrive(): void {
    while (this.#onWay[0] !== undefined && this.#onWay[0].arrivesAt <= this.now) {
      const [packet] = this.#onWay.splice(0, 1);
      if (packet === undefined) return;
      this.deliveredBytes += packet.record.bytes;
      this.#received += packet.record.bytes;
      this.peakQueueMs = Math.max(this.peakQueueMs, packet.queuedMs);
      if (this.#owed.length === 0) this.#owedSince = packet.arrivesAt;
      this.#owed.push(packet);
    }
    const bytes = this.#owed.reduce((sum, { record }) => sum + record.bytes, 0);
    const every = Math.max(Math.min(this.#received / 4, LIMITS.ackEveryBytes), 32 * 1024);
    const newest = this.#owed.at(-1);
    if (newest === undefined || (bytes < every && this.now < this.#owedSince + LIMITS.ackDelayMs)) return;
    const delayMs = this.now - newest.arrivesAt;
    this.#acks.push({ arrivesAt: this.now + this.#options.rttMs / 2, bytes, newest, delayMs });
    this.#owed = [];
  }

  #acknowledge(): void {
    while (this.#acks[0] !== undefined && this.#acks[0].arrivesAt <= this.now) {
      const [ack] = this.#acks.splice(0, 1);
      if (ack !== undefined) this.flight.acked(ack.bytes, ack.newest.record, ack.delayMs, this.now);
    }
  }
}
