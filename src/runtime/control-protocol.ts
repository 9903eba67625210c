import { ExitCode, messageOf, UsageError } from "./errors.ts";
import { isJsonObject, type Json, JsonFields, type JsonObject, parseJson } from "./json.ts";

export type ControlRequest = { readonly op: string } & JsonObject;

export const CONTROL_LIMITS = {
  /** A request names things; the longest holds an URL. */
  maxRequestBytes: 64 * 1024,
  /** The list of a server full of clients (server/store-limits.ts asserts that it fits). */
  maxReplyBytes: 4 * 1024 * 1024,
  /** Commands are few and short; more connections than this are a loop gone wrong. */
  maxConnections: 32,
  /** From a connection to its whole request, and from the reply to the other side's end. */
  deadlineMs: 5_000,
} as const;

/** How a line of input went on: `incomplete` until the line feed has come, `tooLong` if it did not in time. */
export type LineProgress =
  | { readonly kind: "incomplete" }
  | { readonly kind: "complete"; readonly line: Uint8Array; readonly more: boolean }
  | { readonly kind: "tooLong" };

/** Collects the bytes of one line, never more than its limit. */
export class LineCollector {
  readonly #maxBytes: number;
  readonly #chunks: Uint8Array[] = [];
  #length = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  push(chunk: Uint8Array): LineProgress {
    const lineFeed = chunk.indexOf(0x0a);
    const part = lineFeed < 0 ? chunk : chunk.subarray(0, lineFeed);
    this.#length += part.length;
    if (this.#length > this.#maxBytes) return { kind: "tooLong" };
    this.#chunks.push(part);
    if (lineFeed < 0) return { kind: "incomplete" };
    return { kind: "complete", line: Buffer.concat(this.#chunks), more: lineFeed + 1 < chunk.length };
  }
}

/** Throws UsageError if the request is larger than the other side would take. */
export function encodeRequest(request: ControlRequest): Uint8Array {
  const bytes = encodeLine(request);
  if (bytes.length <= CONTROL_LIMITS.maxRequestBytes) return bytes;
  throw new UsageError(`the request is ${bytes.length} bytes long`, "give shorter arguments");
}

/** The request in a line, or undefined if it is none. */
export function decodeRequest(line: Uint8Array): ControlRequest | undefined {
  const value = decodeLine(line);
  if (!isJsonObject(value)) return undefined;
  const { op } = value;
  return typeof op === "string" ? { ...value, op } : undefined;
}

export function encodeResult(result: Json): Uint8Array {
  const bytes = encodeLine({ ok: true, result });
  if (bytes.length <= CONTROL_LIMITS.maxReplyBytes) return bytes;
  return encodeFailure(new Error(`the reply would be ${bytes.length} bytes long`));
}

export function encodeFailure(error: unknown): Uint8Array {
  const isUsage = error instanceof UsageError;
  const exitCode = isUsage ? error.exitCode : ExitCode.unexpected;
  return encodeLine({
    ok: false,
    error: { message: messageOf(error), hint: isUsage ? error.hint : "", exitCode },
  });
}

/** The result in a reply, or a throw of the error in it: a UsageError if it was one over there. */
export function decodeReply(line: Uint8Array): Json {
  const problem = (text: string): Error => new Error(`the reply on the control socket is damaged: ${text}`);
  const fields = new JsonFields(decodeLine(line), problem);
  if (fields.boolean("ok")) return fields.json("result");
  const error = fields.object("error");
  const message = error.string("message");
  const hint = error.string("hint");
  const exitCode = Object.values(ExitCode).find((code) => code === error.json("exitCode"));
  if (hint === "" || exitCode === undefined) throw new Error(message);
  throw new UsageError(message, hint, { exitCode });
}

function encodeLine(value: Json): Uint8Array {
  // JSON.stringify escapes line feeds in strings, so the only one is ours.
  return Buffer.from(`${JSON.stringify(value)}\n`);
}

function decodeLine(line: Uint8Array): Json | undefined {
  try {
    return parseJson(new TextDecoder("utf-8", { fatal: true }).decode(line));
  } catch {
    return undefined;
  }
}
