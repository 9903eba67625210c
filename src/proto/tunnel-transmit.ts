import type { AttachedLink } from "./attached-link.ts";
import type { Flight } from "./flight.ts";
import { frameLength } from "./frame-codec.ts";
import type { Frame } from "./frames.ts";
import { LIMITS } from "./limits.ts";
import type { SealedPacket, SentUnits } from "./link.ts";
import type { Level } from "./scheduler.ts";
import type { Stream } from "./stream.ts";
import type { TunnelCore } from "./tunnel-core.ts";

/** Room for the header of a ProxyData frame: type, stream, unit, flags and length at their longest. */
const DATA_HEADER_BYTES = 24;
/** Control frames fill at most this much of a lead, so that data always finds room beside them. */
const CONTROL_BYTES = LIMITS.maxFramesBytes - LIMITS.minBodyBytes - DATA_HEADER_BYTES;
/** How far beyond the flight's limit streams may go that have sent less than 64 KiB, and those that hardly sent any. */
const FRESH_FLIGHT = 1.5;
const FIRST_FLIGHT = 2;
/** Smaller pieces than this are not worth cutting a chunk for; they go with the next packet. */
const MIN_PIECE_BYTES = 1_024;

/** The packet being put together. */
class Draft {
  readonly frames: Frame[] = [];
  readonly units: SentUnits[] = [];
  length = 0;
  body = false;

  add(frame: Frame, limit: number): boolean {
    const length = frameLength(frame);
    if (this.length + length > limit) return false;
    this.frames.push(frame);
    this.length += length;
    return true;
  }
}

/**
 * The next packet for `attached`, or undefined when nothing should go now. Order: the link's own frames, resets,
 * credit, stream heads, then data by the scheduler, as far as the flight has room.
 */
export function nextPacket(core: TunnelCore, attached: AttachedLink, now: number): SealedPacket | undefined {
  const { link } = attached;
  if (link.liveness.takePing(now)) attached.frames.push({ type: "ping", nonce: 0 });
  const draft = new Draft();
  if (sendableLevel(attached) === undefined && !attached.hasUrgent && !link.ackDue(now)) return undefined;
  addControl(core, attached, draft, now);
  const level = attached.frames.length === 0 ? sendableLevel(attached) : undefined;
  if (level !== undefined) addData(core, attached, draft, level, now);
  if (draft.frames.length === 0) return undefined;
  const appLimited = attached.scheduler.idle;
  const extraPadding = attached.helloPadding;
  attached.helloPadding = 0;
  return link.seal(draft.frames, { body: draft.body, units: draft.units, appLimited, extraPadding }, now);
}

/**
 * Down to which level streams may send now: all of them while the flight has room, and beyond it only those that have
 * just begun. They must not wait for acknowledgements behind a bulk transfer, nor fill the path themselves.
 */
function sendableLevel({ link, scheduler, phase }: AttachedLink): Level | undefined {
  if (phase.kind === "listing") return undefined;
  const level = flightLevel(link.flight);
  return level === undefined || scheduler.next(level) === undefined ? undefined : level;
}

function flightLevel(flight: Flight): Level | undefined {
  if (flight.inFlightBytes === 0 || hasFlightRoom(flight)) return "bulk";
  if (flight.inFlightBytes < flight.limitBytes * FRESH_FLIGHT) return "fresh";
  return flight.inFlightBytes < flight.limitBytes * FIRST_FLIGHT ? "first" : undefined;
}

// Waiting for a quarter of a packet keeps packets large where the flight is full and acknowledgements trickle in.
function hasFlightRoom(flight: Flight): boolean {
  return flight.freeBytes >= flight.packetBytes / 4;
}

function addControl(core: TunnelCore, attached: AttachedLink, draft: Draft, now: number): void {
  const ack = attached.link.takeAck(now);
  if (ack !== undefined) draft.add(ack, CONTROL_BYTES);
  addFrames(attached, draft);
  // Nothing of a stream goes before the end of our resume list.
  if (attached.frames.length > 0) return;
  addResets(attached, draft);
  addUpdates(core, attached, draft, now);
  if (attached.phase.kind !== "listing") addHeads(core, attached, draft, now);
}

function addFrames(attached: AttachedLink, draft: Draft): void {
  let sent = 0;
  for (const frame of attached.frames) {
    // A Resume frame may be longer than that share: then it has a packet of its own.
    const limit = draft.frames.length === 0 ? LIMITS.maxFramesBytes : CONTROL_BYTES;
    if (!draft.add(frame, limit)) break;
    sent += 1;
  }
  attached.frames.splice(0, sent);
}

function addResets(attached: AttachedLink, draft: Draft): void {
  for (const stream of attached.resets) {
    if (stream.phase.kind === "reset") {
      if (!draft.add({ type: "reset", stream: stream.id, code: stream.phase.code }, CONTROL_BYTES)) return;
    }
    attached.resets.delete(stream);
  }
  for (const id of attached.resetAcks) {
    if (!draft.add({ type: "resetAck", stream: id }, CONTROL_BYTES)) return;
    attached.resetAcks.delete(id);
  }
}

function addUpdates(core: TunnelCore, attached: AttachedLink, draft: Draft, now: number): void {
  const rttMs = attached.link.flight.rttMs ?? 0;
  for (const stream of attached.updates) {
    // The others must not wait until there is something else to send.
    if (draft.length + DATA_HEADER_BYTES > CONTROL_BYTES) return attached.link.promptWithin(now);
    const maxWindow = Math.min(LIMITS.maxWindowBytes, Math.floor(core.streams.ourPoolFree / 2));
    core.streams.settle(stream, () => {
      const credit = stream.receiving.update(now, rttMs, maxWindow);
      draft.add({ type: "windowUpdate", stream: stream.id, ...credit }, CONTROL_BYTES);
    });
    attached.updates.delete(stream);
    core.forgetIfComplete(stream);
  }
  attached.updatesSoon = false;
}

function addHeads(core: TunnelCore, attached: AttachedLink, draft: Draft, now: number): void {
  const { phase, heads } = attached;
  for (const stream of heads) {
    const { head } = stream.sending;
    if (phase.kind === "hello" && phase.earlyStreams >= LIMITS.maxEarlyStreams) return;
    if (head !== undefined && !draft.add(head, CONTROL_BYTES)) return;
    heads.delete(stream);
    stream.sending.headSent();
    draft.units.push({ stream: stream.id, end: 1 });
    if (phase.kind === "hello") {
      phase.earlyStreams += 1;
      attached.early.add(stream);
    }
    core.wake(stream, now);
  }
}

function addData(core: TunnelCore, attached: AttachedLink, draft: Draft, level: Level, now: number): void {
  const { scheduler, link, phase } = attached;
  // Beyond the flight streams do not go in crumbs: many of them would cost a packet per kilobyte.
  const floor = level === "bulk" ? LIMITS.minPacketBytes : LIMITS.minBodyBytes;
  let budget = Math.min(link.flight.packetBytes, Math.max(link.flight.freeBytes, floor));
  if (link.flight.rate === 0) {
    // The handshake and all that follows must arrive in time over a slow path: nothing is longer than a first packet.
    budget = Math.min(budget, LIMITS.firstPacketBytes - draft.length);
    if (budget < MIN_PIECE_BYTES) return;
  }
  while (budget > 0 && !draft.body) {
    const stream = scheduler.next(level);
    if (stream === undefined) return;
    if (!stream.hasUnsent) {
      // A WindowUpdate has shown that the peer had it all from the link before.
      scheduler.remove(stream);
      continue;
    }
    const allowed = Math.min(core.streams.allowance(stream), earlyAllowance(phase));
    if (allowed <= 0 && !stream.sending.finIsNext) {
      park(core, attached, stream);
      continue;
    }
    const most = Math.min(budget, Math.max(allowed, 0), scheduler.shareOf(stream));
    const sent = addStreamData(core, draft, stream, most);
    if (sent === undefined) return;
    if (phase.kind === "hello") phase.earlyBytes += sent;
    budget -= sent + DATA_HEADER_BYTES;
    scheduler.charge(stream, sent, now);
    if (!stream.hasUnsent) scheduler.remove(stream);
  }
}

function earlyAllowance(phase: AttachedLink["phase"]): number {
  return phase.kind === "hello" ? LIMITS.maxEarlyBytes - phase.earlyBytes : Number.POSITIVE_INFINITY;
}

// Out of credit: the next WindowUpdate of this stream wakes it, or of any stream where the pool was what it lacked.
function park(core: TunnelCore, attached: AttachedLink, stream: Stream): void {
  attached.scheduler.remove(stream);
  if (stream.sending.creditBytes > 0) core.poolBlocked.add(stream);
}

/** Adds bytes or FIN of `stream`; undefined when the lead has no room for a worthwhile piece. */
function addStreamData(core: TunnelCore, draft: Draft, stream: Stream, max: number): number | undefined {
  const { sending } = stream;
  const firstUnit = sending.nextUnit;
  const want = Math.min(max, sending.unsentBytes);
  let bytes = want > 0 ? sending.peek(want) : new Uint8Array(0);
  const body = bytes.length >= LIMITS.minBodyBytes;
  const room = LIMITS.maxFramesBytes - DATA_HEADER_BYTES - draft.length;
  if (room < (body ? 0 : Math.min(bytes.length, MIN_PIECE_BYTES))) return undefined;
  if (!body) bytes = bytes.subarray(0, room);
  draft.body = body;
  core.streams.settle(stream, () => sending.bytesSent(bytes.length));
  const fin = sending.finIsNext;
  if (fin) sending.finSent();
  core.eased(stream);
  const frame: Frame = { type: "proxyData", stream: stream.id, firstUnit, fin, bytes };
  draft.frames.push(frame);
  draft.length += frameLength(frame, draft.body);
  draft.units.push({ stream: stream.id, end: sending.nextUnit });
  return bytes.length;
}
