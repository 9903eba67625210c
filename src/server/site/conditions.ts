import { parseHttpDate } from "./http-date.ts";
import type { Resource } from "./resource.ts";

/** What the conditions of a request come to (RFC 9110 section 13.2.2). `ignoreRange`: If-Range names another version. */
export type Verdict = "go" | "notModified" | "failed" | "ignoreRange";

/** One after the other, with or without commas, as net/http reads them; what comes behind anything else is not read. */
const TAGS = /[ \t,]*(\*|(?:W\/)?"[!#-~\u0080-\uffff]*")/gy;
const ONE_TAG = /^(?:W\/)?"[!#-~\u0080-\uffff]*"/;

/** Judges the conditions of a GET or HEAD in their order. An empty header is as good as none. */
export function judge(headers: Headers, resource: Resource): Verdict {
  if (!isStillThat(headers, resource)) return "failed";
  const noneMatch = headers.get("if-none-match");
  if (noneMatch) {
    if (isListed(noneMatch, resource.etag, "weak")) return "notModified";
  } else if (isUnchangedSince(headers.get("if-modified-since"), resource) === true) {
    return "notModified";
  }
  return isRangeFor(headers.get("if-range"), resource) ? "go" : "ignoreRange";
}

function isStillThat(headers: Headers, resource: Resource): boolean {
  const match = headers.get("if-match");
  if (match) return isListed(match, resource.etag, "strong");
  return isUnchangedSince(headers.get("if-unmodified-since"), resource) !== false;
}

/** Undefined if there is nothing to compare: no date, or a file that has none, which is one of 1970. */
function isUnchangedSince(condition: string | null, { modifiedMs }: Resource): boolean | undefined {
  const date = parseHttpDate(condition ?? "");
  if (date === undefined || modifiedMs === 0) return undefined;
  return secondsOf(modifiedMs) <= secondsOf(date);
}

function isRangeFor(condition: string | null, { etag, modifiedMs }: Resource): boolean {
  if (!condition) return true;
  const [tag] = ONE_TAG.exec(condition) ?? [];
  if (tag !== undefined) return tag === etag;
  const date = parseHttpDate(condition);
  return date !== undefined && secondsOf(date) === secondsOf(modifiedMs);
}

/** Whether a list of entity tags has `etag`, which is a strong one. `*`, wherever it stands, is any. */
function isListed(list: string, etag: string, comparison: "weak" | "strong"): boolean {
  for (const [, tag = ""] of list.matchAll(TAGS)) {
    if (tag === "*" || (comparison === "weak" ? tag.replace(/^W\//, "") : tag) === etag) return true;
  }
  return false;
}

/** Dates of HTTP have no fractions. */
function secondsOf(ms: number): number {
  return Math.floor(ms / 1_000);
}
