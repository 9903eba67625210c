import type { Verdict } from "../../src/server/site/conditions.ts";
import type { Selection } from "../../src/server/site/ranges.ts";
import type { Resource } from "../../src/server/site/resource.ts";

/**
 * The rules of net/http once more, character by character: what `src/server/site` reads with patterns and numbers is read
 * here with neither. Slow and plain on purpose.
 */

const MAX_INT64 = 9_223_372_036_854_775_807n;
const BLANK = " \t";
const DIGITS = "0123456789";

/** Reads from left to right; what is not there is an error. */
class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get next(): string {
    return this.#text.charAt(this.#at);
  }

  get rest(): string {
    return this.#text.slice(this.#at);
  }

  get done(): boolean {
    return this.#at === this.#text.length;
  }

  skip(characters: string): number {
    const from = this.#at;
    while (!this.done && characters.includes(this.next)) this.#at += 1;
    return this.#at - from;
  }

  take(text: string): void {
    if (!this.rest.startsWith(text)) throw new RangeError(`no ${text}`);
    this.#at += text.length;
  }

  spaces(): void {
    if (this.skip(" ") === 0) throw new RangeError("no space");
  }

  digits(least: number, most: number): string {
    let digits = "";
    while (digits.length < most && this.next !== "" && DIGITS.includes(this.next)) {
      digits += this.next;
      this.#at += 1;
    }
    if (digits.length < least) throw new RangeError("too few digits");
    return digits;
  }

  /** The index of the name that stands here, in any case. */
  name(names: readonly string[]): number {
    const index = names.findIndex(
      (name) => this.rest.slice(0, name.length).toLowerCase() === name.toLowerCase(),
    );
    this.#at += names[index]?.length ?? 0;
    if (index < 0) throw new RangeError("no name");
    return index;
  }
}

/** What `read` makes of all of `text`, or undefined. */
function all<T>(text: string, read: (reader: Reader) => T): T | undefined {
  const reader = new Reader(text);
  try {
    const value = read(reader);
    return reader.done ? value : undefined;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function integer(text: string): bigint | undefined {
  return all(text, (reader) => {
    const isNegative = reader.next === "-";
    if (isNegative || reader.next === "+") reader.take(reader.next);
    const value = BigInt(reader.digits(1, text.length)) * (isNegative ? -1n : 1n);
    if (value < 0n || value > MAX_INT64) throw new RangeError("no number from 0 to 2^63 - 1");
    return value;
  });
}

function trimmed(text: string): string {
  let kept = text;
  while (kept !== "" && BLANK.includes(kept.charAt(0))) kept = kept.slice(1);
  while (kept !== "" && BLANK.includes(kept.charAt(kept.length - 1))) kept = kept.slice(0, -1);
  return kept;
}

type PlainRange = readonly [start: bigint, end: bigint];

export function plainRanges(header: string, size: number): Selection {
  if (header === "") return { kind: "all" };
  const invalid = { kind: "refused", reason: "invalid range" } as const;
  if (header.slice(0, 6) !== "bytes=") return invalid;
  const found: (PlainRange | "beyond")[] = [];
  for (const part of header.slice(6).split(",").map(trimmed)) {
    if (part === "") continue;
    const range = plainRange(part, BigInt(size));
    if (range === undefined) return invalid;
    found.push(range);
  }
  if (found.length === 0) return { kind: "all" };
  const ranges = found.filter((range) => range !== "beyond");
  if (ranges.length === 0) return { kind: "refused", reason: "invalid range: failed to overlap" };
  let sum = 0n;
  for (const [start, end] of ranges) sum += end - start;
  if (sum > BigInt(size)) return { kind: "all" };
  const [first, ...others] = ranges.map(([start, end]) => ({ start: Number(start), end: Number(end) }));
  return first === undefined ? invalid : { kind: "ranges", ranges: [first, ...others] };
}

function plainRange(part: string, size: bigint): PlainRange | "beyond" | undefined {
  const [before = "", ...behind] = part.split("-");
  if (behind.length === 0) return undefined;
  const [first, last] = [trimmed(before), trimmed(behind.join("-"))];
  if (first === "") {
    const length = last.charAt(0) === "-" ? undefined : integer(last);
    if (length === undefined) return undefined;
    return length > size ? [0n, size] : [size - length, size];
  }
  const start = integer(first);
  if (start === undefined) return undefined;
  if (start >= size) return "beyond";
  const end = last === "" ? size - 1n : integer(last);
  if (end === undefined || end < start) return undefined;
  return [start, end >= size ? size : end + 1n];
}

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const SHORT_DAYS = DAYS.map((day) => day.slice(0, 3));
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** Seconds since 1970 of an HTTP date. */
export function plainDate(text: string): number | undefined {
  return all(text, readFixdate) ?? all(text, readObsolete) ?? all(text, readAsctime);
}

function readFixdate(reader: Reader): number {
  reader.name(SHORT_DAYS);
  reader.take(",");
  reader.spaces();
  const day = reader.digits(2, 2);
  reader.spaces();
  const month = reader.name(MONTHS);
  reader.spaces();
  const year = reader.digits(4, 4);
  reader.spaces();
  const seconds = readTime(reader);
  reader.spaces();
  reader.take("GMT");
  return dayNumber(Number(year), month, Number(day)) * 86_400 + seconds;
}

function readObsolete(reader: Reader): number {
  reader.name(DAYS);
  reader.take(",");
  reader.spaces();
  const day = reader.digits(2, 2);
  reader.take("-");
  const month = reader.name(MONTHS);
  reader.take("-");
  const year = Number(reader.digits(2, 2));
  reader.spaces();
  const seconds = readTime(reader);
  reader.spaces();
  const zone = reader.rest;
  const length = reader.skip("ABCDEFGHIJKLMNOPQRSTUVWXYZ");
  if (length < 3 || length > 5 || (length > 3 && zone.charAt(length - 1) !== "T"))
    throw new RangeError("no zone");
  return dayNumber(year >= 69 ? 1900 + year : 2000 + year, month, Number(day)) * 86_400 + seconds;
}

function readAsctime(reader: Reader): number {
  reader.name(SHORT_DAYS);
  reader.spaces();
  const month = reader.name(MONTHS);
  reader.spaces();
  const day = reader.digits(1, 2);
  reader.spaces();
  const seconds = readTime(reader);
  reader.spaces();
  return dayNumber(Number(reader.digits(4, 4)), month, Number(day)) * 86_400 + seconds;
}

function readTime(reader: Reader): number {
  const hour = Number(reader.digits(1, 2));
  reader.take(":");
  const minute = Number(reader.digits(2, 2));
  reader.take(":");
  const second = Number(reader.digits(2, 2));
  if (hour > 23 || minute > 59 || second > 59) throw new RangeError("no time of day");
  if (reader.next === "." || reader.next === ",") {
    reader.take(reader.next);
    if (reader.skip(DIGITS) === 0) throw new RangeError("no fraction");
  }
  return hour * 3_600 + minute * 60 + second;
}

function isLeap(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

function daysOf(month: number, year: number): number {
  if (month === 1) return isLeap(year) ? 29 : 28;
  return [3, 5, 8, 10].includes(month) ? 30 : 31;
}

/** Days since 1970, counted one year after another. */
function dayNumber(year: number, month: number, day: number): number {
  if (day < 1 || day > daysOf(month, year)) throw new RangeError("no day of that month");
  let days = day - 1;
  for (let before = 0; before < month; before++) days += daysOf(before, year);
  for (let before = 1970; before < year; before++) days += isLeap(before) ? 366 : 365;
  for (let after = year; after < 1970; after++) days -= isLeap(after) ? 366 : 365;
  return days;
}

/** The first entity tag of `text`, and what stands behind it. */
function firstTag(text: string): readonly [tag: string, rest: string] | undefined {
  const weak = text.startsWith("W/") ? 2 : 0;
  if (text.charAt(weak) !== '"') return undefined;
  for (let at = weak + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x22) return [text.slice(0, at + 1), text.slice(at + 1)];
    if (code <= 0x20 || code === 0x7f) return undefined;
  }
  return undefined;
}

function isListed(list: string, etag: string, isWeak: boolean): boolean {
  let left = trimmed(list);
  while (left !== "") {
    if (left.startsWith(",")) left = left.slice(1);
    else if (left.startsWith("*")) return true;
    else {
      const [tag, rest] = firstTag(left) ?? [];
      if (tag === undefined || rest === undefined) return false;
      if (tag === etag || (isWeak && tag === `W/${etag}`)) return true;
      left = rest;
    }
    left = trimmed(left);
  }
  return false;
}

export function plainVerdict(headers: Headers, { etag, modifiedMs }: Resource): Verdict {
  const field = (name: string) => headers.get(name) ?? "";
  const modified = Math.floor(modifiedMs / 1_000);
  const since = (name: string) => (modifiedMs === 0 ? undefined : plainDate(field(name)));
  const unmodified = since("if-unmodified-since");
  const isThat =
    field("if-match") === ""
      ? unmodified === undefined || modified <= unmodified
      : isListed(field("if-match"), etag, false);
  if (!isThat) return "failed";
  const later = since("if-modified-since");
  const isKnown =
    field("if-none-match") === ""
      ? later !== undefined && modified <= later
      : isListed(field("if-none-match"), etag, true);
  if (isKnown) return "notModified";
  const range = field("if-range");
  if (range === "") return "go";
  const [tag] = firstTag(range) ?? [];
  const isSame = tag === undefined ? plainDate(range) === modified : tag === etag;
  return isSame ? "go" : "ignoreRange";
}
