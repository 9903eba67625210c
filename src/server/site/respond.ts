import { SITE_LIMITS } from "../limits.ts";
import { judge } from "./conditions.ts";
import { multipart } from "./multipart.ts";
import { type ByteRange, contentRange, type Selection, selectRanges } from "./ranges.ts";
import type { Found, Resource, SiteFiles } from "./resource.ts";
import { queryOf } from "./target.ts";

type Fields = Readonly<Record<string, string>>;
type Body = Uint8Array<ArrayBuffer> | Blob | ReadableStream | string;

/** Answers one request for what was found under its path, as Caddy's file server does. */
export async function respond(request: Request, found: Found, files: SiteFiles): Promise<Response> {
  const isHead = request.method === "HEAD";
  switch (found.kind) {
    case "missing":
      return missing(await files.missingPage(), isHead);
    case "failed":
      return answer(found.status, {}, isHead);
    case "redirect":
      return redirect(`${found.to}${queryOf(request.url)}`, request.method);
    case "resource":
      return serve(request, found.resource);
  }
}

async function serve(request: Request, resource: Resource): Promise<Response> {
  const isHead = request.method === "HEAD";
  if (!isHead && request.method !== "GET") return answer(405, { allow: "GET, HEAD" }, isHead);
  const validators = { etag: resource.etag, ...lastModified(resource) };
  const verdict = judge(request.headers, resource);
  if (verdict === "notModified") return answer(304, { etag: resource.etag }, isHead);
  if (verdict === "failed") return answer(412, { "content-type": resource.type, ...validators }, isHead);
  const header = verdict === "ignoreRange" ? null : request.headers.get("range");
  const selection = selectRanges(header, resource.size);
  if (selection.kind === "refused") return refuseRange(selection.reason, resource.size, validators, isHead);
  const hasRange = request.headers.has("range");
  return select(selection, resource, { hasRange, isHead, validators });
}

interface Asked {
  /** Bun cuts files by itself where the request has a Range, whatever we made of it. */
  readonly hasRange: boolean;
  readonly isHead: boolean;
  readonly validators: Fields;
}

async function select(selection: Selection, resource: Resource, asked: Asked): Promise<Response> {
  const { validators, isHead, hasRange } = asked;
  const { content, size, type } = resource;
  const fields = (contentType: string) => ({
    "accept-ranges": "bytes",
    "content-type": contentType,
    ...validators,
  });
  const ranges = selection.kind === "ranges" ? selection.ranges : [];
  const [first, ...others] = ranges;
  const isSmall = size <= SITE_LIMITS.bytesInMemory;
  if (first !== undefined && others.length === 0) {
    const length = first.end - first.start;
    const body = isHead ? length : await cut(content, first);
    return answer(206, { ...fields(type), "content-range": contentRange(first, size) }, isHead, body);
  }
  // More of a large file than one range would be many bytes in memory: the whole is an answer as good.
  if (first !== undefined && isSmall) {
    const parts = multipart(ranges, await bytesOf(content), type);
    return answer(206, fields(parts.type), isHead, isHead ? parts.body.length : parts.body);
  }
  if (isHead) return answer(200, fields(type), isHead, size);
  if (isSmall) return answer(200, fields(type), isHead, await bytesOf(content));
  return answer(200, fields(type), isHead, hasRange ? streamOf(content) : blobOf(content));
}

/** Reads small parts: Bun adds Content-Disposition to some types of files. Large ones go from disk to socket. */
async function cut(content: Resource["content"], { start, end }: ByteRange): Promise<Body> {
  if (content instanceof Uint8Array) return content.subarray(start, end);
  const part = content.slice(start, end);
  return end - start <= SITE_LIMITS.bytesInMemory ? await part.bytes() : part;
}

async function bytesOf(content: Resource["content"]): Promise<Uint8Array<ArrayBuffer>> {
  return content instanceof Uint8Array ? content : await content.bytes();
}

function blobOf(content: Resource["content"]): Blob {
  return content instanceof Uint8Array ? new Blob([content]) : content;
}

/** The same bytes in a form that Bun does not cut. */
function streamOf(content: Resource["content"]): ReadableStream {
  const source = blobOf(content).stream();
  return source.pipeThrough(new TransformStream());
}

async function missing(page: Resource | undefined, isHead: boolean): Promise<Response> {
  if (page === undefined) return answer(404, {}, isHead);
  const isSmall = page.size <= SITE_LIMITS.bytesInMemory;
  const body = isHead ? page.size : isSmall ? await bytesOf(page.content) : streamOf(page.content);
  return answer(404, { "content-type": page.type }, isHead, body);
}

function redirect(to: string, method: string): Response {
  // net/http gives the page to GET, its type to HEAD as well, and neither to anything else.
  const html = method === "GET" || method === "HEAD" ? { "content-type": "text/html; charset=utf-8" } : {};
  const page = `<a href="${Bun.escapeHTML(to)}">Permanent Redirect</a>.\n\n`;
  const isHead = method === "HEAD";
  return answer(308, { ...html, location: to }, isHead, method === "GET" ? page : isHead ? page.length : "");
}

function refuseRange(reason: string, size: number, validators: Fields, isHead: boolean): Response {
  const fields = {
    ...(reason.endsWith("overlap") ? { "content-range": `bytes */${size}` } : {}),
    "content-type": "text/plain; charset=utf-8",
    ...validators,
    "x-content-type-options": "nosniff",
  };
  const text = `${reason}\n`;
  return answer(416, fields, isHead, isHead ? text.length : text);
}

/** `body` as a number is the length of what a GET would have got. Bun gives HEAD no Date. */
function answer(status: number, fields: Fields, isHead: boolean, body: Body | number = ""): Response {
  const headers = { ...fields, date: httpDate(Date.now()) };
  if (typeof body === "number") {
    return new Response(null, { status, headers: { ...headers, "content-length": String(body) } });
  }
  // An empty text would get a Content-Type.
  return new Response(isHead || body === "" ? null : body, { status, headers });
}

/** None for a file of 1970: that is how a date is spelt that nobody knows. */
function lastModified({ modifiedMs }: Resource): Fields {
  return modifiedMs === 0 ? {} : { "last-modified": httpDate(modifiedMs) };
}

function httpDate(ms: number): string {
  return new Date(ms).toUTCString();
}
