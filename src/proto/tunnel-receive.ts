import { unreachable } from "./assert.ts";
import type { AttachedLink } from "./attached-link.ts";
import { ProtocolError } from "./errors.ts";
import type { Frame, ProxyDataFrame } from "./frames.ts";
import type { SentUnits } from "./link.ts";
import type { Stream } from "./stream.ts";
import { accepted, listed } from "./tunnel-attach.ts";
import type { TunnelCore } from "./tunnel-core.ts";

/** Takes one frame that arrived on `attached`. @throws ProtocolError; the link must then be closed. */
export function receiveFrame(core: TunnelCore, attached: AttachedLink, frame: Frame, now: number): void {
  switch (frame.type) {
    case "padding":
    case "pong":
      return;
    case "ping":
      // One answer to many pings: whoever floods us with them must not fill our queue.
      if (attached.frames.at(-1)?.type !== "pong") attached.frames.push({ type: "pong", nonce: frame.nonce });
      return;
    case "packetAck":
      return unitsAcknowledged(core, attached.link.acknowledged(frame.count, frame.delayUs, now), now);
    case "hello":
      throw new ProtocolError("unexpectedFrame", "Hello behind the first frame");
    case "accept":
      onlyFor(core, "client", frame);
      return accepted(core, attached, frame, now);
    case "refuse":
      onlyFor(core, "client", frame);
      core.events.push({ kind: "refused", slot: attached.link.slot, refusal: frame.refusal });
      return;
    case "gateKey":
      onlyFor(core, "client", frame);
      core.events.push({ kind: "gateKey", key: frame.key });
      return;
    case "goAway":
      if (core.role === "client") core.leave(attached);
      core.events.push({ kind: "goAway", slot: attached.link.slot });
      return;
    case "resume":
      return listed(core, attached, frame.entries, now);
    default:
      if (attached.phase.kind !== "open")
        throw new ProtocolError("unexpectedFrame", `${frame.type} before Resume`);
      receiveStreamFrame(core, attached, frame, now);
  }
}

type StreamFrame = Extract<Frame, { readonly stream: number }>;

function receiveStreamFrame(core: TunnelCore, attached: AttachedLink, frame: StreamFrame, now: number): void {
  switch (frame.type) {
    case "proxyConnect": {
      onlyFor(core, "server", frame);
      const stream = core.streams.accept(frame.stream);
      if (stream === undefined) return;
      core.streams.setHome(stream, attached.link.slot);
      stream.receiving.head();
      if (core.streams.overloaded) return core.respond(stream, "overloaded", now);
      core.events.push({ kind: "connect", stream: stream.id, destination: frame.destination });
      return;
    }
    case "proxyResponse": {
      onlyFor(core, "client", frame);
      const stream = core.streams.find(frame.stream);
      if (stream?.phase.kind !== "open" || !stream.receiving.head()) return;
      core.events.push({ kind: "response", stream: stream.id, result: frame.result });
      if (frame.result !== "connected") core.drop(stream);
      return;
    }
    case "proxyData":
      return receiveData(core, attached, frame, now);
    case "windowUpdate": {
      const stream = core.streams.find(frame.stream);
      if (stream === undefined) return;
      core.streams.settle(stream, () => stream.sending.credit(frame.consumed, frame.limit));
      core.eased(stream);
      core.forgetIfComplete(stream);
      core.wake(stream, now);
      return core.relieve(now);
    }
    case "reset":
      return receiveReset(core, attached, frame);
    case "resetAck": {
      const stream = core.streams.find(frame.stream);
      // The answer to our RESET, or the news that the peer has long forgotten the stream.
      if (stream !== undefined) core.forgotten(stream);
      return;
    }
    default:
      unreachable(frame);
  }
}

function receiveData(core: TunnelCore, attached: AttachedLink, frame: ProxyDataFrame, now: number): void {
  const stream = core.streams.find(frame.stream);
  if (stream?.phase.kind !== "open") return;
  const { receiving } = stream;
  core.streams.settle(stream, () => {
    stream.isApart = false;
    const arrival = receiving.data(frame.firstUnit, frame.bytes, frame.fin);
    if (arrival.bytes.length > 0) core.events.push({ kind: "data", stream: stream.id, bytes: arrival.bytes });
    if (arrival.fin) core.events.push({ kind: "fin", stream: stream.id });
  });
  core.streams.checkOurPool();
  if (frame.fin) attached.noteConsumed(stream, now);
  core.forgetIfComplete(stream);
}

function receiveReset(core: TunnelCore, attached: AttachedLink, frame: ResetFrame): void {
  const id = frame.stream;
  // Resets overtake everything, so one may arrive for a stream whose ProxyConnect never will.
  if (core.role === "server") core.streams.markSeen(id);
  const stream = core.streams.find(id);
  attached.resetAcks.add(id);
  if (stream === undefined || stream.phase.kind === "reset") return;
  core.breakStream(stream, frame.code);
}

type ResetFrame = Extract<Frame, { type: "reset" }>;

function unitsAcknowledged(core: TunnelCore, units: readonly SentUnits[], now: number): void {
  for (const { stream: id, end } of units) {
    const stream = core.streams.get(id);
    if (stream === undefined) continue;
    core.streams.settle(stream, () => stream.sending.ack(end));
    core.eased(stream);
    core.forgetIfComplete(stream);
  }
  core.relieve(now);
}

function onlyFor(core: TunnelCore, role: TunnelCore["role"], frame: Frame): void {
  if (core.role !== role) throw new ProtocolError("unexpectedFrame", `${frame.type} at the ${core.role}`);
}

/** What the application has taken changes the credit to give: now, with the next packet, or not yet. */
export function consumed(core: TunnelCore, stream: Stream, count: number, now: number): void {
  stream.receiving.consume(count);
  core.linkOf(stream)?.noteConsumed(stream, now, core.streams.ourPoolIsScarce);
  core.forgetIfComplete(stream);
}
