import { unreachable } from "../../proto/index.ts";
import { textOf } from "./bytes.ts";
import { type Framing, uploadFilter } from "./http-body.ts";
import { returnedHead } from "./http-forward.ts";
import {
  HeadReader,
  listOf,
  parseStatusLine,
  type ResponseHead,
  type StatusLine,
  valuesOf,
} from "./http-head.ts";
import { keepMs } from "./http-keep.ts";
import { CONTENT_LENGTH_MAX_DIGITS } from "./limits.ts";
import type { UploadFilter } from "./negotiation.ts";

/**
 * How a response ends (RFC 9112 section 6.3). `unclear` is everything that two recipients could read differently; what
 * an origin sends is passed on all the same, but nothing else ever comes over its connection.
 */
export type ResponseFraming = Framing | { readonly kind: "close" } | { readonly kind: "unclear" };

const UNCLEAR: ResponseFraming = { kind: "unclear" };
const START = "HTTP/1.";

/** Finds how the final response to a request of this method ends. */
export function responseFraming(head: ResponseHead, method: string): ResponseFraming {
  const codings = listOf(head, "transfer-encoding");
  const lengths = valuesOf(head, "content-length");
  const [length] = lengths;
  if (head.status < 200 || (codings.length > 0 && (lengths.length > 0 || head.minor === 0))) return UNCLEAR;
  if (lengths.length > 1 || (length !== undefined && !isLength(length))) return UNCLEAR;
  if (method === "HEAD" || head.status === 204 || head.status === 304) return { kind: "none" };
  // Anything else before chunked is not ours to undo: its end would be found, but nobody asked for such a coding.
  if (codings.length > 0) return codings.join() === "chunked" ? { kind: "chunked" } : UNCLEAR;
  if (length === undefined) return { kind: "close" };
  return Number(length) === 0 ? { kind: "none" } : { kind: "length", bytes: Number(length) };
}

function isLength(text: string): boolean {
  return /^\d+$/.test(text) && text.length <= CONTENT_LENGTH_MAX_DIGITS;
}

type ReaderState =
  | { readonly kind: "head"; readonly reader: HeadReader<StatusLine> }
  | { readonly kind: "body"; readonly body: UploadFilter; readonly keepMs: number }
  /** Until the connection ends; nothing is read any more. */
  | { readonly kind: "rest" }
  | { readonly kind: "done"; readonly keepMs: number };

/**
 * Reads the response to one request as it passes: finds its end, and changes nothing but the head's lines about the
 * connection. What it does not understand without doubt it passes on as it came, up to the connection's end.
 */
export class ResponseReader {
  readonly #method: string;
  #state: ReaderState = { kind: "head", reader: new HeadReader(parseStatusLine) };
  #status: number | undefined;
  #hasBegun = false;
  readonly #mayKeep: () => boolean;
  #keeps = false;

  /** `mayKeep` is asked once, with the final head: whether the application's connection could serve another request. */
  constructor(method: string, mayKeep: () => boolean = () => false) {
    this.#method = method;
    this.#mayKeep = mayKeep;
  }

  /** `head`: of the final response nothing was passed on; `rest`: only the connection's end will end it. */
  get phase(): ReaderState["kind"] {
    return this.#state.kind;
  }

  /** The final response's status, once its head was read. */
  get status(): number | undefined {
    return this.#status;
  }

  /** Something of the origin's has come, of an interim response too. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  /** How long the connection may be kept now; 0 where it must not, and before the response is done. */
  get keepMs(): number {
    return this.#state.kind === "done" ? this.#state.keepMs : 0;
  }

  /** The application was not told that its connection ends with the response, and finds the response's end by itself. */
  get keepsApplication(): boolean {
    return this.#keeps && this.phase !== "rest";
  }

  /** Takes what came from the origin, gives what the application gets. Views of `bytes`, not copies, in bodies. */
  push(bytes: Uint8Array): Uint8Array[] {
    const forward: Uint8Array[] = [];
    if (bytes.length > 0) this.#hasBegun = true;
    for (let rest = bytes; rest.length > 0; ) rest = this.#step(rest, forward);
    return forward;
  }

  /** Takes some of `bytes`; returns those that are left. */
  #step(bytes: Uint8Array, forward: Uint8Array[]): Uint8Array {
    const state = this.#state;
    switch (state.kind) {
      case "head":
        return this.#readHead(state.reader, bytes, forward);
      case "body":
        return this.#readBody(state, bytes, forward);
      case "rest":
        forward.push(bytes);
        return bytes.subarray(bytes.length);
      case "done":
        // Nobody has asked for more: the next request would take it for its answer.
        this.#state = { kind: "done", keepMs: 0 };
        return bytes.subarray(bytes.length);
      default:
        return unreachable(state);
    }
  }

  #readHead(reader: HeadReader<StatusLine>, bytes: Uint8Array, forward: Uint8Array[]): Uint8Array {
    const before = reader.held.length;
    const step = reader.push(bytes);
    if (step.kind === "head") {
      // A head alone does not say what it was: so it is kept until the decision, and passed as it came if unclear.
      if (this.#enter(step.head, forward)) return step.rest;
    } else if (step.kind === "more" && mayBeHttp(reader.held)) return bytes.subarray(bytes.length);
    const taken = reader.held.length - before;
    const head = reader.held.slice();
    this.#state = { kind: "rest" };
    forward.push(head);
    return bytes.subarray(taken);
  }

  /** False where the response is unclear. */
  #enter(head: ResponseHead, forward: Uint8Array[]): boolean {
    if (head.status < 200 && head.status !== 101) {
      // RFC 9110 section 15.2: any number of them may come before the final one.
      this.#state = { kind: "head", reader: new HeadReader(parseStatusLine) };
      forward.push(returnedHead(head, "close"));
      return true;
    }
    this.#status = head.status;
    const framing = responseFraming(head, this.#method);
    switch (framing.kind) {
      case "unclear":
        return false;
      case "close":
        this.#state = { kind: "rest" };
        break;
      case "none":
        this.#state = { kind: "done", keepMs: keepMs(head) };
        break;
      case "length":
      case "chunked":
        this.#state = { kind: "body", body: uploadFilter(framing), keepMs: keepMs(head) };
        break;
      default:
        return unreachable(framing);
    }
    // To an application a response of HTTP/1.0 is the last on its connection (RFC 9112 section 9.3).
    this.#keeps = framing.kind !== "close" && head.minor === 1 && this.#mayKeep();
    forward.push(returnedHead(head, this.#keeps ? "keep" : "close"));
    return true;
  }

  #readBody(
    { body, keepMs }: Extract<ReaderState, { kind: "body" }>,
    bytes: Uint8Array,
    forward: Uint8Array[],
  ): Uint8Array {
    const step = body.push(bytes);
    if (step.forward.length > 0) forward.push(step.forward);
    // Broken chunks: the application may be able to read them; we do not know where they end.
    if (step.fault !== undefined) this.#state = { kind: "rest" };
    else if (step.done) this.#state = { kind: "done", keepMs };
    return bytes.subarray(step.forward.length);
  }
}

/** Whether these first bytes can be an HTTP/1 response; if not, its sender may be waiting for an answer to them. */
function mayBeHttp(held: Uint8Array): boolean {
  const start = textOf(held.subarray(0, START.length));
  return START.startsWith(start);
}
