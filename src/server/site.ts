import { stat } from "node:fs/promises";
import { extname, join, normalize } from "node:path";

/** What a stranger sees: a web site, and nothing else. */
export interface Site {
  respond(request: Request): Promise<Response>;
}

const PAGE = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>It works</title></head>
<body><h1>It works</h1><p>This site has no content yet.</p></body>
</html>
`;
const NOT_FOUND = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>404 Not Found</title></head><body><h1>404 Not Found</h1></body></html>
`;
const HTML = "text/html; charset=utf-8";

/** The built-in site: one page. */
export function builtInSite(): Site {
  const etag = `"${Bun.hash(PAGE).toString(36)}"`;
  return {
    async respond(request) {
      const refusal = refuseMethod(request);
      if (refusal !== undefined) return refusal;
      const pathname = URL.parse(request.url)?.pathname;
      if (pathname === undefined) return badRequest();
      if (pathname !== "/" && pathname !== "/index.html") return notFound();
      if (request.headers.get("if-none-match") === etag)
        return new Response(null, { status: 304, headers: { etag } });
      return new Response(PAGE, { headers: { "content-type": HTML, etag } });
    },
  };
}

/** Serves the files of `directory`. Names that begin with a dot, and everything outside, are not found. */
export function directorySite(directory: string): Site {
  return {
    async respond(request) {
      const refusal = refuseMethod(request);
      if (refusal !== undefined) return refusal;
      const pathname = URL.parse(request.url)?.pathname;
      if (pathname === undefined) return badRequest();
      const path = filePath(directory, pathname);
      const found = path === undefined ? undefined : await findFile(path);
      if (found === undefined) return notFound();
      const etag = `"${found.mtimeMs.toString(36)}-${found.size.toString(36)}"`;
      const headers = { etag, "last-modified": new Date(found.mtimeMs).toUTCString() };
      if (request.headers.get("if-none-match") === etag) return new Response(null, { status: 304, headers });
      const file = Bun.file(found.path);
      return new Response(file, { headers: { ...headers, "content-type": typeOf(found.path, file.type) } });
    },
  };
}

interface FoundFile {
  readonly path: string;
  readonly size: number;
  readonly mtimeMs: number;
}

async function findFile(path: string): Promise<FoundFile | undefined> {
  const info = await stat(path).catch(() => undefined);
  if (info?.isDirectory()) return findFile(join(path, "index.html"));
  return info?.isFile() ? { path, size: info.size, mtimeMs: Math.floor(info.mtimeMs) } : undefined;
}

function filePath(directory: string, pathname: string): string | undefined {
  const decoded = decodePath(pathname);
  if (decoded === undefined || decoded.includes("\0")) return undefined;
  if (decoded.split("/").some((part) => part.startsWith("."))) return undefined;
  return join(directory, normalize(decoded));
}

function decodePath(pathname: string): string | undefined {
  try {
    return decodeURIComponent(pathname);
  } catch {
    return undefined;
  }
}

function typeOf(path: string, guess: string): string {
  return extname(path) === ".html" ? HTML : guess;
}

function refuseMethod(request: Request): Response | undefined {
  if (request.method === "GET" || request.method === "HEAD") return undefined;
  return new Response(null, { status: 405, headers: { allow: "GET, HEAD" } });
}

// What Bun itself says to a head it cannot read: no body.
function badRequest(): Response {
  return new Response(null, { status: 400 });
}

function notFound(): Response {
  return new Response(NOT_FOUND, { status: 404, headers: { "content-type": HTML } });
}
