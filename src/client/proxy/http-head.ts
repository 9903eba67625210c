import { Input, textOf } from "./bytes.ts";
import { HttpRefusal } from "./http-reply.ts";
import { HTTP_HEAD_MAX_BYTES, HTTP_MAX_FIELDS } from "./limits.ts";

/** Text is one character per byte (Latin-1), so that a field goes on as it came. */
export interface FieldSection {
  readonly fields: readonly Field[];
}

export type RequestHead = RequestLine & FieldSection;
export type ResponseHead = StatusLine & FieldSection;

export interface RequestLine {
  readonly method: string;
  readonly target: string;
  /** The digit after `HTTP/1.`; everything above 1 counts as 1 (RFC 9110 section 2.5). */
  readonly minor: 0 | 1;
}

export interface StatusLine {
  readonly minor: 0 | 1;
  readonly status: number;
  /** As received, without its line end. */
  readonly statusLine: string;
}

export interface Field {
  /** In lower case. */
  readonly name: string;
  /** Without the white space around it. */
  readonly value: string;
  /** As received, without its line end. */
  readonly line: string;
}

export type HeadStep<Line> =
  | { readonly kind: "more" }
  | { readonly kind: "refused"; readonly refusal: HttpRefusal }
  | { readonly kind: "head"; readonly head: Line & FieldSection; readonly rest: Uint8Array };

const MORE = { kind: "more" } as const;
const CR = 0x0d;
const LF = 0x0a;
/** RFC 9110 section 5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/i;
/** No spaces and no controls. Bytes above 0x7f are against RFC 3986, but curl sends what it is given. */
const TARGET = /^[!-~\x80-\xff]+$/;
/** RFC 9110 section 5.5: CR, LF and NUL are dangerous and the other controls invalid; only the tab may stay. */
const FIELD_VALUE = /^[\t -~\x80-\xff]*$/;

/**
 * Reads the head of a message (RFC 9112 sections 2 to 5) line by line, strictly: whatever two parsers could read in two
 * ways (bare LF, folded lines, space before a colon) is refused, since somebody else reads it again. The first error in
 * byte order decides, and is reported as soon as its line is complete. `parseStart` reads the first line.
 */
export class HeadReader<Line> {
  readonly #parseStart: (text: string) => Line | HttpRefusal;
  readonly #input = new Input(HTTP_HEAD_MAX_BYTES);
  readonly #fields: Field[] = [];
  #startLine: Line | undefined;
  #lineStart = 0;

  constructor(parseStart: (text: string) => Line | HttpRefusal) {
    this.#parseStart = parseStart;
  }

  /** What was pushed and is held, as it came; a view. All but what did not fit. */
  get held(): Uint8Array {
    return this.#input.bytes;
  }

  push(bytes: Uint8Array): HeadStep<Line> {
    const before = this.#input.length;
    this.#input.append(bytes);
    const held = this.#input.bytes;
    for (let from = before; ; from = this.#lineStart) {
      const end = held.indexOf(LF, from);
      if (end === -1) break;
      const line = held.subarray(this.#lineStart, end);
      this.#lineStart = end + 1;
      const result = this.#readLine(line);
      if (result instanceof HttpRefusal) return { kind: "refused", refusal: result };
      if (result !== undefined) {
        const head = { ...result, fields: this.#fields };
        return { kind: "head", head, rest: bytes.subarray(this.#lineStart - before) };
      }
    }
    return this.#input.full ? { kind: "refused", refusal: tooLarge("request head is above 64 KiB") } : MORE;
  }

  /** Takes a line without its LF. The first line comes back with the empty line that ends the head. */
  #readLine(line: Uint8Array): Line | HttpRefusal | undefined {
    // RFC 9112 section 2.2 lets a recipient take a bare LF; then a proxy and an origin may disagree on where lines end.
    if (line.at(-1) !== CR) return malformed("a line ends without CR");
    const text = textOf(line.subarray(0, -1));
    if (this.#startLine === undefined) {
      const parsed = this.#parseStart(text);
      if (parsed instanceof HttpRefusal) return parsed;
      this.#startLine = parsed;
      return undefined;
    }
    if (text === "") return this.#startLine;
    if (this.#fields.length === HTTP_MAX_FIELDS)
      return tooLarge(`more than ${HTTP_MAX_FIELDS} header fields`);
    const field = parseField(text);
    if (field instanceof HttpRefusal) return field;
    this.#fields.push(field);
    return undefined;
  }
}

/** The values of all fields of one (lower case) name. */
export function valuesOf(head: FieldSection, name: string): string[] {
  return head.fields.filter((field) => field.name === name).map((field) => field.value);
}

/** The elements of a comma-separated field, in lower case (RFC 9110 section 5.6.1). Empty elements stay. */
export function listOf(head: FieldSection, name: string): string[] {
  return valuesOf(head, name).flatMap((value) => value.split(",").map((item) => trim(item).toLowerCase()));
}

/** RFC 9112 section 4. A reason phrase, and even the space before it, is missing in what some origins send. */
export function parseStatusLine(text: string): StatusLine | HttpRefusal {
  const match = /^HTTP\/1\.(\d) ([1-5]\d\d)(?: ([\t -~\x80-\xff]*))?$/.exec(text);
  if (match === null) return malformed("malformed status line");
  return { minor: match[1] === "0" ? 0 : 1, status: Number(match[2]), statusLine: text };
}

/** RFC 9112 section 3. */
export function parseRequestLine(text: string): RequestLine | HttpRefusal {
  const [method = "", target = "", version = "", ...more] = text.split(" ");
  if (more.length > 0 || !TOKEN.test(method) || !TARGET.test(target))
    return malformed("malformed request line");
  if (!/^HTTP\/\d\.\d$/.test(version)) return malformed("malformed request line");
  if (version[5] !== "1") return new HttpRefusal(505, "this proxy speaks HTTP/1.1");
  return { method, target, minor: version[7] === "0" ? 0 : 1 };
}

/** RFC 9112 section 5. */
function parseField(line: string): Field | HttpRefusal {
  // RFC 9112 section 5.2: what continues a field for one parser is a field of its own for another.
  if (line.startsWith(" ") || line.startsWith("\t")) return malformed("folded header field");
  const colon = line.indexOf(":");
  if (colon === -1) return malformed("header field without a colon");
  const name = line.slice(0, colon);
  // Section 5.1: white space before the colon has led to smuggled requests. A token has none.
  if (!TOKEN.test(name)) return malformed("malformed header field name");
  const value = line.slice(colon + 1);
  if (!FIELD_VALUE.test(value)) return malformed("control character in a header field");
  return { name: name.toLowerCase(), value: trim(value), line };
}

/** Spaces and tabs only: `trim()` would take a Latin-1 no-break space with it. By index, as a pattern may backtrack. */
function trim(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text[start])) start++;
  while (end > start && isBlank(text[end - 1])) end--;
  return text.slice(start, end);
}

function isBlank(character: string | undefined): boolean {
  return character === " " || character === "\t";
}

function malformed(sentence: string): HttpRefusal {
  return new HttpRefusal(400, sentence);
}

function tooLarge(sentence: string): HttpRefusal {
  return new HttpRefusal(431, sentence);
}
