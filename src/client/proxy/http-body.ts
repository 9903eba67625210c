import { unreachable } from "../../proto/index.ts";
import { EMPTY } from "./bytes.ts";
import { ChunkedBody } from "./http-chunked.ts";
import { listOf, type RequestHead, valuesOf } from "./http-head.ts";
import { HttpRefusal } from "./http-reply.ts";
import { CONTENT_LENGTH_MAX_DIGITS } from "./limits.ts";
import type { UploadFilter, UploadStep } from "./negotiation.ts";

/** How long a request's body is (RFC 9112 section 6.3). A request without either field has none. */
export type Framing =
  | { readonly kind: "none" }
  | { readonly kind: "length"; readonly bytes: number }
  | { readonly kind: "chunked" };

/** Refuses everything that proxy and origin could read differently: that is how requests are smuggled. */
export function framingOf(head: RequestHead): Framing | HttpRefusal {
  const codings = listOf(head, "transfer-encoding");
  const lengths = valuesOf(head, "content-length");
  if (codings.length > 0) return chunkedFraming(head, codings, lengths);
  const [length] = lengths;
  if (length === undefined) return { kind: "none" };
  // Section 6.3 case 5 lets equal values pass as one; no client sends them.
  if (lengths.length > 1) return new HttpRefusal(400, "more than one Content-Length");
  if (!/^\d+$/.test(length)) return new HttpRefusal(400, "malformed Content-Length");
  if (length.length > CONTENT_LENGTH_MAX_DIGITS) return new HttpRefusal(400, "Content-Length is too large");
  return Number(length) === 0 ? { kind: "none" } : { kind: "length", bytes: Number(length) };
}

/** RFC 9112 section 6.1. */
function chunkedFraming(head: RequestHead, codings: string[], lengths: string[]): Framing | HttpRefusal {
  if (lengths.length > 0) return new HttpRefusal(400, "Content-Length together with Transfer-Encoding");
  if (head.minor === 0) return new HttpRefusal(400, "Transfer-Encoding in an HTTP/1.0 request");
  if (codings.length === 1 && codings[0] === "chunked") return { kind: "chunked" };
  if (codings.at(-1) !== "chunked" || codings.indexOf("chunked") !== codings.length - 1) {
    return new HttpRefusal(400, "Transfer-Encoding must end in chunked, once");
  }
  return new HttpRefusal(501, "chunked is the only transfer coding this proxy knows");
}

export function uploadFilter(framing: Framing): UploadFilter {
  switch (framing.kind) {
    case "none":
      return new LengthBody(0);
    case "length":
      return new LengthBody(framing.bytes);
    case "chunked":
      return new ChunkedBody();
    default:
      return unreachable(framing);
  }
}

class LengthBody implements UploadFilter {
  #left: number;

  constructor(bytes: number) {
    this.#left = bytes;
  }

  push(bytes: Uint8Array): UploadStep {
    const forward = this.#left === 0 ? EMPTY : bytes.subarray(0, this.#left);
    this.#left -= forward.length;
    return { forward, done: this.#left === 0 };
  }
}
