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

/**
 * Reads a Range header (RFC 9110 section 14.2) as Go's net/http does, Caddy's file server with it: what is malformed is
 * refused, ranges beyond the end are left out, and ranges that come to more than the whole are an attack or a mistake
 * and are ignored.
 */
export function selectRanges(header: string | null, size: number): Selection {
  if (header === null || header === "") return { kind: "all" };
  if (!header.startsWith("bytes=")) return INVALID;
  const parts = header
    .slice("bytes=".length)
    .split(",")
    .map((part) => part.trim());
  const ranges: ByteRange[] = [];
  let beyond = false;
  for (const part of parts.filter((text) => text !== "")) {
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
  const [, first = "", last = ""] = /^(\d*)\s*-\s*(\d*)$/.exec(text) ?? [];
  if (first === "") {
    if (last === "") return undefined;
    return { start: size - Math.min(Number(last), size), end: size };
  }
  const start = Number(first);
  if (last !== "" && Number(last) < start) return start >= size ? "beyond" : undefined;
  if (start >= size) return "beyond";
  return { start, end: last === "" ? size : Math.min(Number(last) + 1, size) };
}

/** `bytes 0-9/100` (RFC 9110 section 14.4). */
export function contentRange({ start, end }: ByteRange, size: number): string {
  return `bytes ${start}-${end - 1}/${size}`;
}
