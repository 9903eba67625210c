import { assert } from "./assert.ts";
import type { AttachedLink, ListingPhase } from "./attached-link.ts";
import type { AcceptResult, ResumeEntry } from "./frames.ts";
import type { Stream } from "./stream.ts";
import type { TunnelCore } from "./tunnel-core.ts";

/**
 * What becomes of the streams of a slot when it has a new link (PROTOCOL.md section 8). Each side states the next unit
 * it expects of every stream, and the other sends again from there.
 *
 * The two lists are not alike. The server makes its own in the tick in which it fences off the older link, so it is
 * exact. The client made its own when it asked for the link, and the older link has gone on since: streams were opened,
 * finished and acknowledged on it. So only the client concludes from absence, and the server believes whatever was
 * said later.
 */

/** Our list for `slot`: every stream of it that the peer may know. */
export function resumeEntries(core: TunnelCore, slot: number): ResumeEntry[] {
  const entries: ResumeEntry[] = [];
  for (const stream of core.streams.values()) {
    const { id, home, sending, receiving, phase } = stream;
    if (home !== slot || (!sending.started && receiving.next === 0)) continue;
    core.streams.settle(stream, () => {
      const entry = { stream: id, ...receiving.state() };
      entries.push(phase.kind === "reset" ? { ...entry, reset: phase.code } : entry);
    });
  }
  return entries;
}

/**
 * Client: the server has no state of this slot. Streams that may have run there are lost; those that surely have not
 * run start at unit 0: never sent, or sent only under a tunnel that the server never accepted.
 */
export function startOver(core: TunnelCore, attached: AttachedLink, result: AcceptResult): void {
  for (const stream of [...core.streams.values()]) {
    if (stream.home !== attached.link.slot) {
      // A new tunnel of the server knows nothing of what older ones have sent, and may fill our pool.
      core.streams.setApart(stream);
      continue;
    }
    if (attached.early.has(stream) || !stream.sending.started) continue;
    const mayHaveRun = core.acceptedBefore || result === "dropped" || stream.sending.known;
    if (mayHaveRun || stream.phase.kind !== "open") core.breakStream(stream, "lost");
    else core.streams.settle(stream, () => stream.sending.restart());
  }
}

/** The peer's list is complete: every stream of this slot goes on, ends or starts again. */
export function resume(
  core: TunnelCore,
  attached: AttachedLink,
  { entries, base, lost }: ListingPhase,
  now: number,
): void {
  core.listedSlots.add(attached.link.slot);
  const takesStreams = core.takesStreams(attached);
  // May have run in the tunnel before this one: never again, even if the client does not hear of `dropped`.
  if (lost) for (const id of entries.keys()) core.streams.markSeen(id);
  for (const entry of entries.values()) answerUnknown(core, attached, entry);
  for (const stream of [...core.streams.values()]) {
    if (stream.home === undefined && takesStreams) core.streams.setHome(stream, attached.link.slot);
    if (stream.home !== attached.link.slot) continue;
    if (!attached.early.has(stream)) {
      const entry = entries.get(stream.id);
      if (entry !== undefined) present(core, attached, stream, entry, now);
      else if (core.role === "client" || stream.id < base) absent(core, stream);
      else core.streams.settle(stream, () => stream.sending.resumeUnlisted());
    }
    if (core.streams.get(stream.id) !== stream) continue;
    if (stream.phase.kind === "reset") attached.resets.add(stream);
    else if (stream.sending.started || takesStreams) core.wake(stream, now);
    // To be started again, but not here.
    else core.streams.setHome(stream, undefined);
    core.eased(stream);
  }
  if (!takesStreams) core.rehome();
  core.relieve(now);
}

/** The peer does not list the stream: it never had it, or is done with it. */
function absent(core: TunnelCore, stream: Stream): void {
  const { sending, receiving, phase } = stream;
  if (phase.kind === "reset" || !sending.started) return;
  const neverHadIt = core.role === "client" && !sending.known && receiving.next === 0;
  if (neverHadIt) core.streams.settle(stream, () => sending.restart());
  else core.forgotten(stream);
}

function present(
  core: TunnelCore,
  attached: AttachedLink,
  stream: Stream,
  entry: ResumeEntry,
  now: number,
): void {
  assert(stream.id === entry.stream, "an entry belongs to its stream");
  if (entry.reset !== undefined) return core.breakStream(stream, entry.reset);
  core.streams.settle(stream, () => {
    stream.sending.resume(entry.next);
    stream.sending.credit(entry.consumed, entry.limit);
  });
  attached.noteConsumed(stream, now);
  core.forgetIfComplete(stream);
}

/**
 * An entry of a stream that is not here but was: it gets a ResetAck, as the answer to the peer's RESET, or for a peer
 * that cannot know that there is nothing to wait for. A client may have forgotten the stream since it asked for the
 * link; a server may have lost it with an earlier tunnel. @throws ProtocolError unknownStream at the client
 */
function answerUnknown(core: TunnelCore, attached: AttachedLink, { stream, reset }: ResumeEntry): void {
  if (core.role === "server" && reset !== undefined) core.streams.markSeen(stream);
  if (core.role === "server" && !core.streams.wasUsed(stream)) return;
  const isGone = core.streams.find(stream) === undefined;
  if (isGone || reset !== undefined) attached.resetAcks.add(stream);
}
