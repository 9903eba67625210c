import { type Frame, Link } from "../../src/proto/index.ts";

/** What to do to the frames of every link's packets on their way: look at them, or be the peer's bug. */
export interface LinkTap {
  /** The frames that are about to be sealed; the result is sealed instead. */
  readonly seal?: (frames: readonly Frame[], link: Link) => readonly Frame[];
  /** The frames that were opened; the result is acted upon instead. */
  readonly open?: (frames: readonly Frame[], link: Link) => readonly Frame[];
}

/**
 * Taps every link until the result is called. By its prototype, because both ends make their links inside the code
 * under test, which has no switch for being broken.
 */
export function tapLinks(tap: LinkTap): () => void {
  const { seal, receive } = Link.prototype;
  Link.prototype.seal = function (frames, options, now) {
    return seal.call(this, tap.seal?.(frames, this) ?? frames, options, now);
  };
  Link.prototype.receive = function (message, now) {
    const frames = receive.call(this, message, now);
    return tap.open?.(frames, this) ?? frames;
  };
  return () => {
    Link.prototype.seal = seal;
    Link.prototype.receive = receive;
  };
}

/** One line for the frames of a packet. */
export function describeFrames(frames: readonly Frame[]): string {
  return frames.map(describeFrame).join(" ");
}

function describeFrame(frame: Frame): string {
  switch (frame.type) {
    case "hello":
      return `hello(${frame.slot}/${frame.gen} base ${frame.base}, ${frame.entries} entries)`;
    case "accept":
      return `accept(${frame.result}, ${frame.entries} entries)`;
    case "proxyData": {
      const end = frame.firstUnit + frame.bytes.length;
      return `data(${frame.stream}: ${frame.firstUnit}..${end}${frame.fin ? " fin" : ""})`;
    }
    case "windowUpdate":
      return `window(${frame.stream}: ${frame.consumed} of ${frame.limit})`;
    case "packetAck":
      return `ack(${frame.count})`;
    case "resume":
      return `resume(${frame.entries
        .map(
          ({ stream, next, consumed, limit, reset }) =>
            `${stream}: ${next} ${consumed} ${limit} ${reset ?? ""}`,
        )
        .join("; ")})`;
    case "padding":
    case "ping":
    case "pong":
    case "goAway":
    case "gateKey":
      return frame.type;
    case "refuse":
      return `refuse(${frame.refusal})`;
    default:
      return `${frame.type}(${frame.stream}${"code" in frame ? ` ${frame.code}` : ""})`;
  }
}
