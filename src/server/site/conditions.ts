import type { Resource } from "./resource.ts";

/** What the conditions of a request come to (RFC 9110 section 13.2.2). `ignoreRange`: If-Range names another version. */
export type Verdict = "go" | "notModified" | "failed" | "ignoreRange";

/** Judges the conditions of a GET or HEAD in their order. */
export function judge(headers: Headers, resource: Resource): Verdict {
  if (!isStillThat(headers, resource)) return "failed";
  const noneMatch = headers.get("if-none-match");
  if (noneMatch !== null) {
    if (isListed(noneMatch, resource.etag, "weak")) return "notModified";
  } else {
    const since = parseDate(headers.get("if-modified-since"));
    if (since !== undefined && secondsOf(resource.modifiedMs) <= secondsOf(since)) return "notModified";
  }
  return isRangeFor(headers.get("if-range"), resource) ? "go" : "ignoreRange";
}

function isStillThat(headers: Headers, { etag, modifiedMs }: Resource): boolean {
  const match = headers.get("if-match");
  if (match !== null) return isListed(match, etag, "strong");
  const since = parseDate(headers.get("if-unmodified-since"));
  return since === undefined || secondsOf(modifiedMs) <= secondsOf(since);
}

function isRangeFor(condition: string | null, { etag, modifiedMs }: Resource): boolean {
  if (condition === null || condition === etag) return true;
  const date = parseDate(condition);
  return date !== undefined && secondsOf(date) === secondsOf(modifiedMs);
}

/** Whether a list of entity tags has `etag`, which is a strong one. `*` stands for any. */
function isListed(list: string, etag: string, comparison: "weak" | "strong"): boolean {
  if (list.trim() === "*") return true;
  const tags = list.match(/(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g) ?? [];
  return tags.some((tag) => (comparison === "weak" ? tag.replace(/^W\//, "") : tag) === etag);
}

/** Milliseconds of an HTTP date (RFC 9110 section 5.6.7), or undefined for anything else, which is then ignored. */
function parseDate(text: string | null): number | undefined {
  if (text === null || !/^(?:[A-Z][a-z]{2}, .* GMT|[A-Z][a-z]+, .* GMT|[A-Z][a-z]{2} .* \d{4})$/.test(text))
    return;
  const ms = Date.parse(text.endsWith("GMT") ? text : `${text} GMT`);
  return Number.isNaN(ms) ? undefined : ms;
}

/** Dates of HTTP have no fractions. */
function secondsOf(ms: number): number {
  return Math.floor(ms / 1_000);
}
