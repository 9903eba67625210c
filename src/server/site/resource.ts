import type { BunFile } from "bun";

/** A file of a site, as it was when it was looked up. */
export interface Resource {
  /** Strong validator, in quotes (RFC 9110 section 8.8.3). */
  readonly etag: string;
  /** Milliseconds since 1970. */
  readonly modifiedMs: number;
  readonly type: string;
  readonly size: number;
  readonly content: Uint8Array<ArrayBuffer> | BunFile;
}

/** What a site has under a path. */
export type Found =
  | { readonly kind: "resource"; readonly resource: Resource }
  /** A directory without its slash: relative links of its page would lead elsewhere. `to` is percent-encoded. */
  | { readonly kind: "redirect"; readonly to: string }
  | { readonly kind: "missing" }
  /** 400: no path; 403: the disk refuses it; 500: it cannot be looked up. */
  | { readonly kind: "failed"; readonly status: 400 | 403 | 500 };

export interface SiteFiles {
  /** What is under `path`, percent-encoded, which begins with "/". */
  find(path: string): Promise<Found>;
  /** The page for what is missing, if the site has one. */
  missingPage(): Promise<Resource | undefined>;
}

/** An ETag as Caddy makes it: time and size, base 36. */
export function etagOf(modifiedNs: bigint, size: bigint): string {
  return `"${modifiedNs.toString(36)}${size.toString(36)}"`;
}
