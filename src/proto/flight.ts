import { LIMITS } from "./limits.ts";

/** What was known when a packet was sent; its acknowledgement turns this into a sample of rate and round trip. */
export interface FlightRecord {
  readonly bytes: number;
  readonly sentAt: number;
  /** Bytes delivered, and when by our clock, the peer's delay taken off, as known at sending time. */
  readonly delivered: number;
  readonly deliveredAt: number;
  /** When the first packet of this flight was sent: the sending side's clock of the sample. */
  readonly firstSentAt: number;
  /** Nothing more was waiting: the sample says what the application gave, not what the path carries. */
  readonly appLimited: boolean;
}

/** Growth by less than this in a round ends the doubling. */
const STARTUP_GROWTH = 1.25;
const STARTUP_ROUNDS = 3;
const STARTUP_GAIN = 2;
/** So many round trips in a row that are this much above the shortest have found a queue: the path is full. */
const STARTUP_DELAYED = 3;
const STARTUP_DELAY_MS = LIMITS.queueDelayMs;
/**
 * Over a long path a round's own burst looks like a queue, and ends the doubling early; and a path may get faster. After a
 * round that met less than this share of the queue which it may have, this multiple of what the path holds may be in
 * flight: more than that queue beyond 50 ms of round trip.
 */
const GROWTH_QUEUE_SHARE = 0.25;
const GROWTH_GAIN = 1.4;
/** Rate samples older than one to two of these are forgotten; long enough to span a pause of the application. */
const RATE_WINDOW_MS = 1_000;
/** The shortest round trip is measured anew after this, in case the path has changed. */
const RTT_WINDOW_MS = 10_000;
/** While it is measured, this share of what the path itself holds is in flight, so that no queue of ours is in it. */
const PROBE_SHARE = 0.75;
/** A longer share than this stays in flight, so that a long path need not be filled anew. */
const PROBE_LONG_BYTES = 512 * 1024;
/** … in at least so many packets, for a packet's own length counts as round trip. */
const PROBE_PACKETS = 4;
/** Afterwards the limit grows back by this share of what is acknowledged: all of it would make the last round a burst. */
const RAMP_SHARE = 0.75;
/** A packet is at most this part of what was delivered so far. */
const PACKET_SHARE = 4;
/** Shorter sampling intervals say more about the clock and the scheduler than about the path. */
const MIN_INTERVAL_MS = 0.5;

/**
 * Keeps in flight about rate × shortest round trip, and a queue of 20 ms, or 2 MiB, or 4 ms. Rate and round trip are
 * taken from packet acknowledgements (PROTOCOL.md section 9). A socket's own send buffer would take megabytes and hold every later
 * byte back by seconds; this keeps the queue in the tunnel, where streams can be scheduled.
 */
export class Flight {
  #inFlight = 0;
  #delivered = 0;
  #deliveredAt = 0;
  #firstSentAt = 0;
  #smoothedRttMs: number | undefined;
  #rttMinMs: number | undefined;
  #rttMinAt = 0;
  #rate = 0;
  #previousRate = 0;
  #rateWindowAt = 0;
  #startup = true;
  #startupRate = 0;
  #startupStalls = 0;
  #roundEnd = 0;
  /** Shortest round trip of this round. */
  #roundRttMs = Number.POSITIVE_INFINITY;
  /** A probe kept the queue away in this round. */
  #roundProbed = false;
  /** The last round met no queue. */
  #grows = false;
  #delayed = 0;
  #probe: RttProbe | undefined;
  /** After a probe: grows with every acknowledgement, so that the path is not filled again by one burst. */
  #rampBytes = Number.POSITIVE_INFINITY;

  get inFlightBytes(): number {
    return this.#inFlight;
  }

  /** Smoothed round trip in ms, the peer's acknowledgement delay taken off; undefined before the first sample. */
  get rttMs(): number | undefined {
    return this.#smoothedRttMs;
  }

  /** Best recent delivery rate in bytes per ms; 0 before the first sample. */
  get rate(): number {
    return Math.max(this.#rate, this.#previousRate);
  }

  /** Bytes that may be in flight. */
  get limitBytes(): number {
    if (this.rate === 0) return LIMITS.initialFlightBytes;
    return Math.min(this.#probe?.limitBytes ?? this.#rampBytes, this.#fullFlightBytes);
  }

  get #fullFlightBytes(): number {
    const path = this.rate * (this.#rttMinMs ?? 0);
    const full = path + queueBytes(this.rate);
    const steady = this.#grows ? Math.max(full, GROWTH_GAIN * path) : full;
    const bytes = this.#startup ? STARTUP_GAIN * full : steady;
    const floor = this.#startup ? LIMITS.initialFlightBytes : LIMITS.minFlightBytes;
    return Math.min(Math.max(Math.floor(bytes), floor), LIMITS.maxFlightBytes);
  }

  get freeBytes(): number {
    return this.limitBytes - this.#inFlight;
  }

  /** Largest packet that still lets another stream have its turn within 5 ms; small until a rate is known. */
  get packetBytes(): number {
    if (this.rate === 0) return LIMITS.firstPacketBytes;
    if (this.#probe !== undefined) return Math.floor(this.#probe.limitBytes / PROBE_PACKETS);
    return this.#fullPacketBytes;
  }

  get #fullPacketBytes(): number {
    // A few small packets that were answered at once do not show that a path carries a large one.
    const shown = Math.max(this.#delivered / PACKET_SHARE, LIMITS.firstPacketBytes);
    const bytes = Math.min(this.rate * LIMITS.packetTimeMs, shown);
    return Math.min(Math.max(Math.floor(bytes), LIMITS.minPacketBytes), LIMITS.maxChunkBytes);
  }

  sent(bytes: number, appLimited: boolean, now: number): FlightRecord {
    if (this.#inFlight === 0) {
      this.#firstSentAt = now;
      this.#deliveredAt = now;
    }
    this.#inFlight += bytes;
    return {
      bytes,
      sentAt: now,
      delivered: this.#delivered,
      deliveredAt: this.#deliveredAt,
      firstSentAt: this.#firstSentAt,
      appLimited,
    };
  }

  /** Packets were acknowledged in one frame; `newest` is the last of them, sent latest. */
  acked(bytes: number, newest: FlightRecord, delayMs: number, now: number): void {
    this.#inFlight -= bytes;
    this.#delivered += bytes;
    this.#rampBytes += bytes * RAMP_SHARE;
    const arrivedAt = now - delayMs;
    const rttMs = Math.max(now - newest.sentAt - delayMs, 0);
    this.#sampleRtt(rttMs, newest.sentAt, now);
    if (!newest.appLimited) this.#noteDelay(rttMs);
    const interval = Math.max(
      arrivedAt - newest.deliveredAt,
      newest.sentAt - newest.firstSentAt,
      MIN_INTERVAL_MS,
    );
    this.#firstSentAt = newest.sentAt;
    this.#deliveredAt = arrivedAt;
    this.#sampleRate((this.#delivered - newest.delivered) / interval, newest.appLimited, now);
    if (newest.delivered >= this.#roundEnd) this.#endRound(newest.appLimited);
  }

  #sampleRtt(rttMs: number, sentAt: number, now: number): void {
    this.#roundRttMs = Math.min(this.#roundRttMs, rttMs);
    this.#smoothedRttMs =
      this.#smoothedRttMs === undefined ? rttMs : this.#smoothedRttMs + (rttMs - this.#smoothedRttMs) / 8;
    if (this.#rttMinMs === undefined || rttMs <= this.#rttMinMs) this.#foundRtt(rttMs, now);
    else if (this.#probe !== undefined) this.#probed(this.#probe, rttMs, sentAt, now);
    else if (now - this.#rttMinAt > RTT_WINDOW_MS) this.#probe = this.#startProbe(this.#rttMinMs);
  }

  // Only of packets with more behind them: a busy peer answers single ones late, and that says nothing of the path.
  #noteDelay(rttMs: number): void {
    this.#delayed = rttMs > (this.#rttMinMs ?? rttMs) + STARTUP_DELAY_MS ? this.#delayed + 1 : 0;
    if (this.#delayed >= STARTUP_DELAYED) this.#startup = false;
  }

  #foundRtt(rttMs: number, now: number): void {
    this.#rttMinMs = rttMs;
    this.#rttMinAt = now;
    if (this.#probe !== undefined) this.#rampBytes = this.#probe.limitBytes;
    this.#probe = undefined;
  }

  // Less than the path holds by the old measure. Where that is short, acknowledgements of several packets at once would
  // let out bursts that queue behind themselves: there it is the least that keeps packets going.
  #startProbe(rttMinMs: number): RttProbe {
    const share = Math.floor(PROBE_SHARE * this.rate * rttMinMs);
    const least = Math.max(LIMITS.minFlightBytes, this.#fullPacketBytes);
    const limitBytes = share < PROBE_LONG_BYTES ? least : Math.min(share, LIMITS.maxFlightBytes);
    return { limitBytes, drainedAt: undefined, bestMs: Number.POSITIVE_INFINITY };
  }

  // Packets sent after the flight has drained meet no queue of ours: the best of the round trips of two rounds counts.
  #probed(probe: RttProbe, rttMs: number, sentAt: number, now: number): void {
    if (probe.drainedAt === undefined) {
      if (this.#inFlight <= probe.limitBytes) probe.drainedAt = now;
    } else if (sentAt >= probe.drainedAt) {
      probe.bestMs = Math.min(probe.bestMs, rttMs);
      if (sentAt >= probe.drainedAt + probe.bestMs) this.#foundRtt(probe.bestMs, now);
    }
  }

  #sampleRate(rate: number, appLimited: boolean, now: number): void {
    if (now - this.#rateWindowAt > RATE_WINDOW_MS && !appLimited) {
      this.#previousRate = this.#rate;
      this.#rate = 0;
      this.#rateWindowAt = now;
    }
    if (!appLimited || rate > this.rate) this.#rate = Math.max(this.#rate, rate);
  }

  // One round: everything in flight at its start has been acknowledged.
  #endRound(appLimited: boolean): void {
    this.#roundEnd = this.#delivered + this.#inFlight;
    const queuedBytes = (this.#roundRttMs - (this.#rttMinMs ?? 0)) * this.rate;
    const metNoQueue = queuedBytes < GROWTH_QUEUE_SHARE * queueBytes(this.rate);
    if (!appLimited) this.#grows = metNoQueue && !this.#startup && !this.#roundProbed;
    this.#roundRttMs = Number.POSITIVE_INFINITY;
    this.#roundProbed = this.#probe !== undefined || this.#rampBytes < this.#fullFlightBytes;
    // A few small requests do not show what the path carries: they must not end the doubling.
    if (!this.#startup || appLimited) return;
    if (this.rate >= this.#startupRate * STARTUP_GROWTH) {
      this.#startupRate = this.rate;
      this.#startupStalls = 0;
    } else if (++this.#startupStalls >= STARTUP_ROUNDS) {
      this.#startup = false;
    }
  }
}

/** What may wait on the way at `rate`, in bytes per ms, beyond what the path itself holds. */
function queueBytes(rate: number): number {
  const { queueDelayMs, fastQueueBytes, fastQueueDelayMs } = LIMITS;
  return Math.min(rate * queueDelayMs, Math.max(fastQueueBytes, rate * fastQueueDelayMs));
}

/** A measurement of the shortest round trip under way. */
interface RttProbe {
  /** What may be in flight meanwhile. */
  readonly limitBytes: number;
  /** When no more than that was left in flight. */
  drainedAt: number | undefined;
  /** Shortest round trip since. */
  bestMs: number;
}
