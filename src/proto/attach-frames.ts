import { assert } from "./assert.ts";
import { type Reader, varintLength, varintsLength, type Writer } from "./bytes.ts";
import { ProtocolError } from "./errors.ts";
import { acceptResults } from "./frame-fields.ts";
import { type AcceptFrame, CAPABILITIES, type HelloFrame, hasCapability } from "./frames.ts";

/** The fields of Hello and Accept, the frames that open a link, as bytes (PROTOCOL.md section 6). */

const TUNNEL_BYTES = 32;
const JOIN_BYTES = 16;

export function helloLength({ join, capabilities, poolBytes, base, entries }: HelloFrame): number {
  const fixed = 1 + TUNNEL_BYTES + 1 + 4 + 1;
  return fixed + (join?.length ?? 0) + varintsLength(capabilities, poolBytes, base, entries);
}

export function acceptLength(frame: AcceptFrame): number {
  const { capabilities, poolBytes, maxStreams, entries, resumeWindowMs } = frame;
  const window = resumeWindowMs === undefined ? 0 : varintLength(resumeWindowMs);
  return 2 + varintsLength(capabilities, poolBytes, maxStreams, entries) + window;
}

export function encodeHello(writer: Writer, frame: HelloFrame): void {
  writer.fixed(frame.tunnel, TUNNEL_BYTES);
  writer.u8(frame.slot);
  writer.u32(frame.gen);
  writer.u8(frame.join === undefined ? 0 : 1);
  if (frame.join !== undefined) writer.fixed(frame.join, JOIN_BYTES);
  writer.varint(frame.capabilities);
  writer.varint(frame.poolBytes);
  writer.varint(frame.base);
  writer.varint(frame.entries);
}

export function decodeHello(reader: Reader): HelloFrame {
  const tunnel = new Uint8Array(reader.bytes(TUNNEL_BYTES));
  const slot = reader.u8();
  const gen = reader.u32();
  const joining = reader.u8();
  if (joining > 1) throw new ProtocolError("malformed", `join flag ${joining}`);
  const join = joining === 1 ? new Uint8Array(reader.bytes(JOIN_BYTES)) : undefined;
  const rest = {
    capabilities: reader.varint(),
    poolBytes: reader.varint(),
    base: reader.varint(),
    entries: reader.varint(),
  };
  const hello = { type: "hello", tunnel, slot, gen, ...rest } as const;
  return join === undefined ? hello : { ...hello, join };
}

export function encodeAccept(writer: Writer, frame: AcceptFrame): void {
  const statesWindow = hasCapability(frame.capabilities, CAPABILITIES.resumeWindow);
  assert((frame.resumeWindowMs !== undefined) === statesWindow, "a resume window and its capability bit");
  writer.u8(acceptResults.code(frame.result));
  writer.varint(frame.capabilities);
  writer.varint(frame.poolBytes);
  writer.varint(frame.maxStreams);
  writer.varint(frame.entries);
  if (frame.resumeWindowMs !== undefined) writer.varint(frame.resumeWindowMs);
}

export function decodeAccept(reader: Reader): AcceptFrame {
  const accept = {
    type: "accept",
    result: acceptResults.name(reader.u8()),
    capabilities: reader.varint(),
    poolBytes: reader.varint(),
    maxStreams: reader.varint(),
    entries: reader.varint(),
  } as const;
  if (!hasCapability(accept.capabilities, CAPABILITIES.resumeWindow)) return accept;
  return { ...accept, resumeWindowMs: reader.varint() };
}
