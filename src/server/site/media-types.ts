import { extname } from "node:path";

/** Where Go's table, and so Caddy's, says otherwise than Bun's (mime/type.go). */
const TYPES: Readonly<Record<string, string>> = {
  ".htm": "text/html; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".mjs": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
  ".wasm": "application/wasm",
  ".webmanifest": "application/manifest+json",
  ".xml": "text/xml; charset=utf-8",
};

/** The Content-Type of a file by its name; `application/octet-stream` where the name says nothing. */
export function mediaTypeOf(path: string): string {
  return TYPES[extname(path).toLowerCase()] ?? Bun.file(path).type.replace(/;\s*/, "; ");
}
