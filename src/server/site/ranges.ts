/** Bytes from `start` up to, not including, `end`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** `all`: there is no Range, or one that is better ignored. `refused`: 416, with what Go's file server says of it. */
export type Selection =
  | { readonly kind: "all" }
  | { readonly kind: "ranges"; readonly ranges: readonly [ByteRange, ...ByteRange[]] }
  | { readonly kind: "refused"; readonly reason: "invalid range" | "invalid range: failed to overlap" };

const INVALID: Selection = { kind: "refused", reason: "invalid range" };
const MAX_INT64 = "9223372036854775807";

/**
 * Reads a Range header (RFC 9110 section 14.2) as Go's net/http does, Caddy's file server with it: what is malformed is
 * refused, ranges beyond the end are left out, and ranges that come to more than the whole are an attack or a mistake
 * and are ignored.
 */
export function selectRanges(header: string | null, size: number): Selection {
  if (header === null || header === "") return { kind: "all" };
  if (!header.startsWith("bytes=")) return INVALID;
  const ranges: ByteRange[] = [];
  let beyond = false;
  for (const part of header.slice("bytes=".length).split(",").map(trim)) {
    if (part === "") continue;
    const range = readRange(part, size);
    if (range === undefined) return INVALID;
    if (range === "beyond") beyond = true;
    else ranges.push(range);
  }
  const [first, ...others] = ranges;
  if (first === undefined) {
    return beyond ? { kind: "refused", reason: "invalid range: failed to overlap" } : { kind: "all" };
  }
  const sum = ranges.reduce((total, { start, end }) => total + end - start, 0);
  return sum > size ? { kind: "all" } : { kind: "ranges", ranges: [first, ...others] };
}

/** One `first-last`, `first-` or `-length`; "beyond" if it begins behind the end, undefined if it is malformed. */
function readRange(text: string, size: number): ByteRange | "beyond" | undefined {
  const dash = text.indexOf("-");
  if (dash < 0) return undefined;
  const [first, last] = [trim(text.slice(0, dash)), trim(text.slice(dash + 1))];
  if (first === "") {
    const length = last.startsWith("-") ? undefined : readInteger(last);
    return length === undefined ? undefined : { start: size - Math.min(length, size), end: size };
  }
  const start = readInteger(first);
  if (start === undefined) return undefined;
  // What comes after the dash is not looked at then, whatever it is.
  if (start >= size) return "beyond";
  if (last === "") return { start, end: size };
  const end = readInteger(last);
  return end === undefined || end < start ? undefined : { start, end: Math.min(end + 1, size) };
}

/**
 * A number as Go reads it: with or without a sign, of 64 bits. Undefined for what is none or below 0. Above 2^53 it is
 * no longer exact, but larger than every file all the same.
 */
function readInteger(text: string): number | undefined {
  if (!/^[+-]?\d+$/.test(text)) return undefined;
  const digits = text.replace(/^[+-]?0*/, "");
  const isTooLarge =
    digits.length > MAX_INT64.length || (digits.length === MAX_INT64.length && digits > MAX_INT64);
  return isTooLarge || (text.startsWith("-") && digits !== "") ? undefined : Number(digits);
}

/** Not `String.trim`, which takes more for white space than HTTP does, nor a pattern, which takes n² steps. */
function trim(text: string): string {
  let [start, end] = [0, text.length];
  while (isBlank(text[start])) start++;
  while (end > start && isBlank(text[end - 1])) end--;
  return text.slice(start, end);
}

function isBlank(character: string | undefined): boolean {
  return character === " " || character === "\t";
}

/** `bytes 0-9/100` (RFC 9110 section 14.4). */
export function contentRange({ start, end }: ByteRange, size: number): string {
  return `bytes ${start}-${end - 1}/${size}`;
}
