const OPCODE_TEXT_OR_BINARY = 0x0f;
const LONG = 126;
const VERY_LONG = 127;

/** The head of an upgrade and the payloads of the data messages behind it, unmasked, as a client has sent them. */
export interface ClientSession {
  readonly head: string;
  readonly messages: readonly Buffer[];
}

/** Takes a recording apart (RFC 6455 section 5.2); our clients send every message as one frame. */
export function readSession(recording: Buffer): ClientSession {
  const end = recording.indexOf("\r\n\r\n") + 4;
  const messages: Buffer[] = [];
  for (let at = end; at < recording.length; ) {
    const opcode = (recording[at] ?? 0) & OPCODE_TEXT_OR_BINARY;
    const { length, start } = lengthAt(recording, at + 1);
    const mask = recording.subarray(start, start + 4);
    const payload = Buffer.from(recording.subarray(start + 4, start + 4 + length));
    payload.forEach((byte, index) => {
      payload[index] = byte ^ (mask[index % 4] ?? 0);
    });
    if (opcode === 2) messages.push(payload);
    at = start + 4 + length;
  }
  return { head: recording.toString("latin1", 0, end), messages };
}

function lengthAt(bytes: Buffer, at: number): { readonly length: number; readonly start: number } {
  const short = (bytes[at] ?? 0) & 0x7f;
  if (short === LONG) return { length: bytes.readUInt16BE(at + 1), start: at + 3 };
  if (short === VERY_LONG) return { length: Number(bytes.readBigUInt64BE(at + 1)), start: at + 9 };
  return { length: short, start: at + 1 };
}
