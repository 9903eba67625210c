import { assert } from "./assert.ts";
import { AttachedLink, type ListingPhase } from "./attached-link.ts";
import { equalBytes } from "./crypto/octets.ts";
import { ProtocolError } from "./errors.ts";
import {
  type AcceptFrame,
  type AcceptResult,
  CAPABILITIES,
  type Frame,
  type HelloFrame,
  hasCapability,
  type ResumeEntry,
} from "./frames.ts";
import { LIMITS } from "./limits.ts";
import type { Link } from "./link.ts";
import { handshakePadding } from "./padding.ts";
import { resume, resumeEntries, startOver } from "./resumption.ts";
import type { TunnelCore } from "./tunnel-core.ts";

/**
 * How a link enters and leaves its tunnel (PROTOCOL.md section 8): Hello and Accept, each with a list of where every
 * stream stands. What becomes of the streams is in resumption.ts. The first link of a tunnel is the same with empty
 * lists.
 */

/**
 * Client: offers `link` to the server. Its first packet will carry Hello. Under another secret than that of the tunnel
 * that has the streams, it asks for a tunnel anew: it lists none of them, and carries none before it is accepted.
 */
export function offer(core: TunnelCore, link: Link, secret: Uint8Array, join: Uint8Array | undefined): void {
  const older = core.pending.get(link.slot);
  if (older !== undefined) withdraw(core, older);
  core.secret ??= secret;
  const entries = equalBytes(secret, core.secret) ? resumeEntries(core, link.slot) : [];
  const none = { earlyBytes: 0, earlyStreams: 0, messages: 0, bytes: 0 };
  const attached = new AttachedLink(link, { kind: "hello", ...none, stated: entries, secret });
  const hello: HelloFrame = {
    type: "hello",
    tunnel: secret,
    slot: link.slot,
    gen: link.gen,
    capabilities: CAPABILITIES.resumeWindow,
    poolBytes: core.streams.ourPoolBytes,
    base: core.streams.base(),
    entries: entries.length,
    ...(join === undefined ? {} : { join }),
  };
  attached.frames.push(hello, ...resumeFrames(entries));
  attached.helloPadding = handshakePadding(core.random);
  core.pending.set(link.slot, attached);
  core.rehome();
}

/** A random number in [0, 1). */
function unit(core: TunnelCore): number {
  const [high = 0, low = 0] = core.random(2);
  return (high * 256 + low) / 65_536;
}

/** Server: takes the link that brought `hello` into the tunnel, fencing off an older one of its slot. */
export function accept(
  core: TunnelCore,
  link: Link,
  hello: HelloFrame,
  asked: AcceptResult,
  now: number,
): AttachedLink {
  detach(core, link.slot);
  if (hello.entries > LIMITS.maxEntries) throw new ProtocolError("tooManyStreams", "resume entries");
  const result = settledResult(core, link.slot, asked);
  core.streams.startAt(hello.base);
  core.streams.peerPoolBytes = hello.poolBytes;
  const entries = resumeEntries(core, link.slot);
  // The link before is fenced off, so nothing that this list says can be overtaken: it holds from here on.
  core.restated(link.slot, entries);
  const frame: AcceptFrame = {
    type: "accept",
    result,
    poolBytes: core.streams.ourPoolBytes,
    maxStreams: LIMITS.maxStreams,
    entries: entries.length,
    ...statedWindow(core, hello),
  };
  const attached = new AttachedLink(link, listing(hello.entries, hello.base, result === "dropped"));
  attached.frames.push(frame);
  // In front of the list, behind which the client starts what has waited for this link.
  if (core.goesAway) attached.frames.push({ type: "goAway" });
  attached.frames.push(...resumeFrames(entries));
  attached.helloPadding = handshakePadding(core.random);
  core.links.set(link.slot, attached);
  listed(core, attached, [], now);
  return attached;
}

/** How long the tunnel is kept, for a client that understands it. */
function statedWindow(
  { resumeWindowMs }: TunnelCore,
  { capabilities }: HelloFrame,
): Pick<AcceptFrame, "capabilities" | "resumeWindowMs"> {
  if (resumeWindowMs === undefined || !hasCapability(capabilities, CAPABILITIES.resumeWindow)) {
    return { capabilities: 0 };
  }
  return { capabilities: CAPABILITIES.resumeWindow, resumeWindowMs };
}

/**
 * `dropped` is the answer to the first Hello of every slot, not only to the one that made the tunnel. If it were
 * `resumed`, the client would take what it had there for streams that never arrived, and run them a second time.
 */
function settledResult(core: TunnelCore, slot: number, asked: AcceptResult): AcceptResult {
  if (asked === "dropped") core.replacesDropped = true;
  const first = core.replacesDropped && !core.listedSlots.has(slot);
  return asked === "resumed" && first ? "dropped" : asked;
}

/** Client: the server took the link. Its own list follows unless it is empty. */
export function accepted(core: TunnelCore, attached: AttachedLink, frame: AcceptFrame, now: number): void {
  const { slot } = attached.link;
  const { phase } = attached;
  if (phase.kind !== "hello") throw new ProtocolError("unexpectedFrame", "a second Accept");
  if (frame.entries > LIMITS.maxEntries) throw new ProtocolError("tooManyStreams");
  if (frame.result !== "resumed" && frame.entries > 0)
    throw new ProtocolError("malformed", "entries of a new tunnel");
  core.pending.delete(slot);
  detach(core, slot);
  core.links.set(slot, attached);
  if (core.asksAnew(attached)) goOver(core, slot, phase.secret);
  core.streams.peerPoolBytes = frame.poolBytes;
  core.maxStreams = Math.min(frame.maxStreams, LIMITS.maxStreams);
  core.restated(slot, phase.stated);
  if (frame.result !== "resumed") startOver(core, attached, frame.result);
  core.acceptedBefore = true;
  core.goesAway = false;
  attached.renewAt = now + core.linkAgeMs * (0.8 + 0.4 * unit(core));
  const { result, resumeWindowMs } = frame;
  core.events.push({
    kind: "accepted",
    slot,
    result,
    ...(resumeWindowMs === undefined ? {} : { resumeWindowMs }),
  });
  attached.phase = listing(frame.entries, 0, false);
  listed(core, attached, [], now);
}

function listing(missing: number, base: number, lost: boolean): ListingPhase {
  return { kind: "listing", missing, base, lost, entries: new Map() };
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
  if (phase.missing > 0) return;
  attached.phase = { kind: "open" };
  resume(core, attached, phase, now);
}

/**
 * Client: on the new link of `slot`, a server has taken a tunnel that it was asked for anew. What was started in the one
 * before is lost; what never left goes on. The other links of the old one go at once: its server may live on somewhere.
 */
function goOver(core: TunnelCore, slot: number, secret: Uint8Array): void {
  core.secret = secret;
  core.acceptedBefore = false;
  for (const waiting of [...core.pending.values()]) if (core.asksAnew(waiting)) withdraw(core, waiting);
  for (const other of [...core.links.keys()]) {
    if (other === slot) continue;
    detach(core, other);
    core.events.push({ kind: "dead", slot: other });
  }
  core.loseStarted();
}

/**
 * Client: without any link for longer than the server keeps the tunnel. Its secret is not used again: should the server
 * have it still, nothing of what is given up here may come back.
 */
export function giveUp(core: TunnelCore): void {
  assert(core.links.size + core.pending.size === 0, "a tunnel is given up without links");
  core.secret = undefined;
  core.acceptedBefore = false;
  core.loseStarted();
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
  assert(core.pending.get(slot) === attached, "a link that waits for Accept");
  core.pending.delete(slot);
  if (!core.links.has(slot)) release(core, attached);
}

// A stream of which anything was sent stays with its slot, so that both sides always list the same streams for it.
function release(core: TunnelCore, attached: AttachedLink): void {
  for (const stream of core.streams.values()) {
    if (stream.home !== attached.link.slot) continue;
    attached.scheduler.remove(stream);
    if (core.role === "client" && !stream.sending.started) core.streams.setHome(stream, undefined);
  }
  core.rehome();
}

function resumeFrames(entries: readonly ResumeEntry[]): Frame[] {
  const frames: Frame[] = [];
  for (let start = 0; start < entries.length; start += LIMITS.sentResumeEntries) {
    frames.push({ type: "resume", entries: entries.slice(start, start + LIMITS.sentResumeEntries) });
  }
  return frames;
}
