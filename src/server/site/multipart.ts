import { type ByteRange, contentRange } from "./ranges.ts";

const BOUNDARY_BYTES = 30;

/** A body of several ranges (RFC 9110 section 14.6), in the layout of Go's mime/multipart. */
export interface Multipart {
  readonly type: string;
  readonly body: Uint8Array<ArrayBuffer>;
}

/** Puts `ranges` of `content` together. The caller sees to it that they are few bytes. */
export function multipart(
  ranges: readonly ByteRange[],
  content: Uint8Array<ArrayBuffer>,
  type: string,
): Multipart {
  const boundary = Buffer.from(crypto.getRandomValues(new Uint8Array(BOUNDARY_BYTES))).toString("hex");
  const parts = ranges.flatMap((range, index) => [
    Buffer.from(`${index === 0 ? "" : "\r\n"}--${boundary}\r\n`),
    Buffer.from(`Content-Range: ${contentRange(range, content.length)}\r\nContent-Type: ${type}\r\n\r\n`),
    content.subarray(range.start, range.end),
  ]);
  const body = Buffer.concat([...parts, Buffer.from(`\r\n--${boundary}--\r\n`)]);
  return { type: `multipart/byteranges; boundary=${boundary}`, body };
}
