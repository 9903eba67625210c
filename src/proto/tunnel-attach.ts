import { assert } from "./assert.ts";
import { AttachedLink } from "./attached-link.ts";
import { ProtocolError } from "./errors.ts";
import type { AcceptFrame, AcceptResult, Frame, HelloFrame, ResumeEntry } from "./frames.ts";
import { LIMITS } from "./limits.ts";
import type { Link } from "./link.ts";
import type { Stream } from "./stream.ts";
import type { TunnelCore } from "./tunnel-core.ts";

/**
 * How a link enters its tunnel and how streams go on over it (PROTOCOL.md section 8): each side states the next unit
 * it expects of every stream, and the other sends again from there. The first link of a tunnel is the same with empty
 * lists.
 */

/** Random padding of a handshake message, at most; the rest of the length says nothing about resumed streams. */
const HELLO_PADDING_BYTES = 1_024;

/** Client: offers `link` to the server. Its first packet will carry Hello. */
export function offer(core: TunnelCore, link: Link, secret: Uint8Array, join: Uint8Array | undefined): void {
  const entries = resumeEntries(core, link.slot);
  const attached = new AttachedLink(link, { kind: "hello", earlyBytes: 0, earlyStreams: 0 });
  const hello: HelloFrame = {
    type: "hello",
    tunnel: secret,
    slot: link.slot,
    gen: link.gen,
    capabilities: 0,
    poolBytes: core.streams.ourPoolBytes,
    base: core.streams.base(),
    entries: entries.length,
    ...(join === undefined ? {} : { join }),
  };
  attached.frames.push(hello, ...resumeFrames(entries));
  const [high = 0, low = 0] = core.random(2);
  attached.helloPadding = (high * 256 + low) % HELLO_PADDING_BYTES;
  core.pending.set(link.slot, attached);
}

/** Server: takes the link that brought `hello` into the tunnel, fencing off an older one of its slot. */
export function accept(
  core: TunnelCore,
  link: Link,
  hello: HelloFrame,
  result: AcceptResult,
  now: number,
): AttachedLink {
  detach(core, link.slot);
  if (result !== "resumed") core.streams.startAt(hello.base);
  if (hello.entries > LIMITS.maxStreams) throw new ProtocolError("tooManyStreams", "resume entries");
  core.streams.peerPoolBytes = hello.poolBytes;
  const attached = new AttachedLink(link, { kind: "listing", missing: hello.entries, entries: new Map() });
  const entries = resumeEntries(core, link.slot);
  const frame: AcceptFrame = {
    type: "accept",
    result,
    capabilities: 0,
    poolBytes: core.streams.ourPoolBytes,
    maxStreams: LIMITS.maxStreams,
    entries: entries.length,
  };
  attached.frames.push(frame, ...resumeFrames(entries));
  core.links.set(link.slot, attached);
  if (hello.entries === 0) resume(core, attached, new Map(), now);
  return attached;
}

/** Client: the server took the link. Its own list follows unless it is empty. */
export function accepted(core: TunnelCore, attached: AttachedLink, frame: AcceptFrame, now: number): void {
  const { slot } = attached.link;
  if (attached.phase.kind !== "hello") throw new ProtocolError("unexpectedFrame", "a second Accept");
  if (frame.entries > LIMITS.maxStreams) throw new ProtocolError("tooManyStreams");
  if (frame.result !== "resumed" && frame.entries > 0)
    throw new ProtocolError("malformed", "entries of a new tunnel");
  core.pending.delete(slot);
  detach(core, slot);
  core.links.set(slot, attached);
  core.streams.peerPoolBytes = frame.poolBytes;
  core.maxStreams = Math.min(frame.maxStreams, LIMITS.maxStreams);
  if (frame.result !== "resumed") startOver(core, attached, frame.result);
  core.acceptedBefore = true;
  core.events.push({ kind: "accepted", slot, result: frame.result });
  attached.phase = { kind: "listing", missing: frame.entries, entries: new Map() };
  if (frame.entries === 0) resume(core, attached, new Map(), now);
}

/** A part of the peer's list; with the last one its streams go on. */
export function listed(
  core: TunnelCore,
  attached: AttachedLink,
  entries: readonly ResumeEntry[],
  now: number,
): void {
  const { phase } = attached;
  if (phase.kind !== "listing")
    throw new ProtocolError("unexpectedFrame", "Resume outside of the start of a link");
  if (entries.length > phase.missing)
    throw new ProtocolError("malformed", "more resume entries than announced");
  for (const entry of entries) {
    if (phase.entries.has(entry.stream)) throw new ProtocolError("malformed", "a stream listed twice");
    phase.entries.set(entry.stream, entry);
  }
  phase.missing -= entries.length;
  if (phase.missing === 0) resume(core, attached, phase.entries, now);
}

/** The link of `slot` is gone: its streams wait for the next one. */
export function detach(core: TunnelCore, slot: number): void {
  const attached = core.links.get(slot);
  if (attached === undefined) return;
  core.links.delete(slot);
  release(core, attached);
}

/** Client: a link that waited for Accept is gone. */
export function withdraw(core: TunnelCore, attached: AttachedLink): void {
  const { slot } = attached.link;
  if (core.pending.get(slot) !== attached) return;
  core.pending.delete(slot);
  if (!core.links.has(slot)) release(core, attached);
}

function release(core: TunnelCore, attached: AttachedLink): void {
  for (const stream of core.streams.values()) {
    if (stream.home !== attached.link.slot) continue;
    attached.scheduler.remove(stream);
    stream.home = undefined;
  }
}

/** Our side of the list: every stream that the peer may know. */
function resumeEntries(core: TunnelCore, slot: number): ResumeEntry[] {
  const entries: ResumeEntry[] = [];
  for (const stream of core.streams.values()) {
    const { sending, receiving, phase } = stream;
    if (stream.home !== undefined && stream.home !== slot) continue;
    if (!sending.started && receiving.next === 0) continue;
    core.streams.settle(stream, () => receiving.restated());
    const { next, consumed, limit } = receiving;
    const entry = { stream: stream.id, next, consumed, limit };
    entries.push(phase.kind === "reset" ? { ...entry, reset: phase.code } : entry);
  }
  return entries;
}

function resumeFrames(entries: readonly ResumeEntry[]): Frame[] {
  const frames: Frame[] = [];
  for (let start = 0; start < entries.length; start += LIMITS.maxResumeEntries) {
    frames.push({ type: "resume", entries: entries.slice(start, start + LIMITS.maxResumeEntries) });
  }
  return frames;
}

/**
 * The server has no state of this tunnel. Streams that may have run there are lost; those that surely have not run
 * start at unit 0: never sent, or sent only under a tunnel that the server never accepted.
 */
function startOver(core: TunnelCore, attached: AttachedLink, result: AcceptResult): void {
  for (const stream of [...core.streams.values()]) {
    if (attached.early.has(stream) || !stream.sending.started) continue;
    const mayHaveRun = core.acceptedBefore || result === "dropped" || stream.sending.known;
    if (mayHaveRun || stream.phase.kind !== "open") core.breakStream(stream, "lost");
    else core.streams.settle(stream, () => stream.sending.restart());
  }
}

/** Both lists are complete: every stream of this slot goes on, ends or starts again. */
function resume(
  core: TunnelCore,
  attached: AttachedLink,
  entries: ReadonlyMap<number, ResumeEntry>,
  now: number,
): void {
  attached.phase = { kind: "open" };
  for (const stream of [...core.streams.values()]) {
    if (stream.home !== undefined && stream.home !== attached.link.slot) continue;
    stream.home = attached.link.slot;
    if (attached.early.has(stream)) continue;
    const entry = entries.get(stream.id);
    if (entry === undefined) absent(core, stream);
    else present(core, attached, stream, entry);
    if (stream.phase.kind === "reset") attached.resets.add(stream);
    else if (core.streams.get(stream.id) === stream) core.wake(stream, now);
  }
  for (const entry of entries.values()) {
    if (entry.reset === undefined) continue;
    if (core.role === "server") core.streams.markSeen(entry.stream);
    attached.resetAcks.add(entry.stream);
  }
  core.relieve(now);
}

/** The peer does not list the stream: it never had it, or is done with it. */
function absent(core: TunnelCore, stream: Stream): void {
  const { sending, receiving, phase } = stream;
  if (phase.kind === "reset" || !sending.started) return;
  if (phase.kind === "refused" || (sending.finished && receiving.ended)) return core.drop(stream);
  const neverHadIt = core.role === "client" && !sending.known && receiving.next === 0;
  if (neverHadIt) core.streams.settle(stream, () => sending.restart());
  else core.breakStream(stream, "lost");
}

function present(core: TunnelCore, attached: AttachedLink, stream: Stream, entry: ResumeEntry): void {
  assert(stream.id === entry.stream, "an entry belongs to its stream");
  if (entry.reset !== undefined) return core.breakStream(stream, entry.reset);
  core.streams.settle(stream, () => {
    stream.sending.resume(entry.next);
    stream.sending.credit(entry.consumed, entry.limit);
  });
  if (stream.receiving.updateDue() !== "no") attached.updates.add(stream);
  core.forgetIfComplete(stream);
}
