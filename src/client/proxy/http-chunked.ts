import { unreachable } from "../../proto/index.ts";
import { CHUNK_LINE_MAX_BYTES, CHUNK_SIZE_MAX_DIGITS, TRAILERS_MAX_BYTES } from "./limits.ts";
import type { UploadFilter, UploadStep } from "./negotiation.ts";

/**
 * Where in a chunked body (RFC 9112 section 7.1) the next byte is. `lineLf` is the LF behind a chunk's size, `trailer`
 * anywhere in a trailer line but its start, `lastLf` the LF of the empty line that ends all.
 */
type Phase =
  | "size"
  | "extension"
  | "lineLf"
  | "data"
  | "dataCr"
  | "dataLf"
  | "trailerStart"
  | "trailer"
  | "trailerLf"
  | "lastLf"
  | "done"
  | "fault";

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SEMICOLON = 0x3b;

/** Finds the end of a chunked body without changing or keeping a byte of it. Strict where origins differ: bare CR, bare LF. */
export class ChunkedBody implements UploadFilter {
  #phase: Phase = "size";
  #fault = "";
  #digits = 0;
  /** The size while it is read, then what is left of the chunk. */
  #chunkBytes = 0;
  #lineBytes = 0;
  #trailerBytes = 0;

  push(bytes: Uint8Array): UploadStep {
    let used = 0;
    while (used < bytes.length && this.#phase !== "done" && this.#phase !== "fault") {
      used += this.#phase === "data" ? this.#skipData(bytes.length - used) : this.#takeByte(bytes[used] ?? 0);
    }
    const forward = bytes.subarray(0, used);
    if (this.#phase === "fault") return { forward, done: true, fault: this.#fault };
    return { forward, done: this.#phase === "done" };
  }

  #skipData(available: number): number {
    const skipped = Math.min(available, this.#chunkBytes);
    this.#chunkBytes -= skipped;
    if (this.#chunkBytes === 0) this.#phase = "dataCr";
    return skipped;
  }

  /** The number of bytes taken: 1, or 0 for the byte that breaks the framing. */
  #takeByte(byte: number): 0 | 1 {
    this.#phase = this.#next(byte);
    return this.#phase === "fault" ? 0 : 1;
  }

  #next(byte: number): Phase {
    switch (this.#phase) {
      case "size":
        return this.#size(byte);
      case "extension":
        return this.#extension(byte);
      case "lineLf":
        return this.#expect(byte, LF, this.#chunkBytes === 0 ? "trailerStart" : "data");
      case "dataCr":
        return this.#expect(byte, CR, "dataLf");
      case "dataLf":
        this.#digits = 0;
        this.#lineBytes = 0;
        return this.#expect(byte, LF, "size");
      case "trailerStart":
        return byte === CR ? "lastLf" : this.#trailer(byte);
      case "trailer":
        return this.#trailer(byte);
      case "trailerLf":
        return this.#expect(byte, LF, "trailerStart");
      case "lastLf":
        return this.#expect(byte, LF, "done");
      case "data":
      case "done":
      case "fault":
        return this.#phase;
      default:
        return unreachable(this.#phase);
    }
  }

  #size(byte: number): Phase {
    const digit = hexDigit(byte);
    if (digit !== undefined) {
      if (this.#digits === CHUNK_SIZE_MAX_DIGITS) return this.#fail("chunk size has too many digits");
      this.#digits++;
      this.#chunkBytes = this.#chunkBytes * 16 + digit;
      return "size";
    }
    // White space before an extension is for recipients to bear and senders not to send; real clients send neither.
    if (this.#digits === 0 || (byte !== CR && byte !== SEMICOLON)) return this.#fail("malformed chunk size");
    return byte === CR ? "lineLf" : "extension";
  }

  #extension(byte: number): Phase {
    if (byte === CR) return "lineLf";
    if (!isText(byte)) return this.#fail("control character in a chunk extension");
    this.#lineBytes++;
    return this.#lineBytes > CHUNK_LINE_MAX_BYTES ? this.#fail("chunk extension is too long") : "extension";
  }

  #trailer(byte: number): Phase {
    if (byte === CR) return "trailerLf";
    if (!isText(byte)) return this.#fail("control character in a trailer");
    this.#trailerBytes++;
    return this.#trailerBytes > TRAILERS_MAX_BYTES ? this.#fail("trailers are too long") : "trailer";
  }

  #expect(byte: number, expected: number, next: Phase): Phase {
    return byte === expected ? next : this.#fail("a line of a chunked body does not end in CR LF");
  }

  #fail(reason: string): Phase {
    this.#fault = reason;
    return "fault";
  }
}

function hexDigit(byte: number): number | undefined {
  const value = Number.parseInt(String.fromCharCode(byte), 16);
  return Number.isNaN(value) ? undefined : value;
}

function isText(byte: number): boolean {
  return byte === TAB || (byte >= 0x20 && byte !== 0x7f);
}
