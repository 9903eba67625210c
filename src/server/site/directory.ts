import type { BigIntStats } from "node:fs";
import { open, realpath, stat } from "node:fs/promises";
import { join, posix, sep } from "node:path";
import { mediaTypeOf } from "./media-types.ts";
import { etagOf, type Found, type Resource, type SiteFiles } from "./resource.ts";

const INDEX = "index.html";
const MISSING_PAGE = "404.html";
const NS_PER_MS = 1_000_000n;
const MISSING: Found = { kind: "missing" };

/**
 * The files below `directory`. Names that begin with a dot (but `.well-known`, RFC 8615) are missing, and so is
 * whatever a symbolic link leads to outside. Nothing is remembered: a change of the directory shows at once.
 */
export function directoryFiles(directory: string): SiteFiles {
  return {
    async find(path) {
      const name = nameOf(path);
      if (name === undefined)
        return /%(?![\da-f]{2})/i.test(path) ? { kind: "failed", status: 400 } : MISSING;
      if (isHidden(name)) return MISSING;
      try {
        return await look(directory, name, path);
      } catch (error) {
        return failureOf(error);
      }
    },
    async missingPage() {
      const found = await look(directory, `/${MISSING_PAGE}`, `/${MISSING_PAGE}`).catch(failureOf);
      return found.kind === "resource" ? found.resource : undefined;
    },
  };
}

/** The name below the directory: decoded, and without the dot segments that were hidden in `%2f`. */
function nameOf(path: string): string | undefined {
  try {
    return posix.normalize(decodeURIComponent(path));
  } catch {
    return undefined;
  }
}

function isHidden(name: string): boolean {
  const [, first, ...others] = name.split("/");
  if (first?.startsWith(".") === true && first !== ".well-known") return true;
  return others.some((part) => part.startsWith("."));
}

async function look(directory: string, name: string, path: string): Promise<Found> {
  // Anew each time: sites are published by moving a link.
  const root = await realpath(directory);
  const place = await inside(root, join(root, name));
  if (place === undefined) return MISSING;
  if (place.info.isFile())
    return name.endsWith("/") ? MISSING : { kind: "resource", resource: await toResource(place) };
  const index = place.info.isDirectory() ? await inside(root, join(place.real, INDEX)) : undefined;
  if (index?.info.isFile() !== true) return MISSING;
  // One slash, or the next host would be the name of the directory.
  if (!name.endsWith("/")) return { kind: "redirect", to: `${path.replace(/^\/+/, "/")}/` };
  return { kind: "resource", resource: await toResource(index) };
}

interface Place {
  readonly real: string;
  readonly info: BigIntStats;
}

/** Where `path` really is, if that is below `root`. Throws what the file system says but that it is not there. */
async function inside(root: string, path: string): Promise<Place | undefined> {
  try {
    const real = await realpath(path);
    if (real !== root && !real.startsWith(root.endsWith(sep) ? root : `${root}${sep}`)) return undefined;
    return { real, info: await stat(real, { bigint: true }) };
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Throws where the file cannot be opened: later nobody could say so in the answer's status. */
async function toResource({ real, info }: Place): Promise<Resource> {
  await (await open(real)).close();
  return {
    etag: etagOf(info.mtimeNs, info.size),
    modifiedMs: Number(info.mtimeNs / NS_PER_MS),
    type: mediaTypeOf(real),
    size: Number(info.size),
    content: Bun.file(real),
  };
}

function isMissing(error: unknown): boolean {
  const code = codeOf(error);
  return code === "ENOENT" || code === "ENOTDIR";
}

/** As Caddy: a name that is too long or has a NUL is a 500. */
export function failureOf(error: unknown): Found {
  if (isMissing(error)) return MISSING;
  return { kind: "failed", status: codeOf(error) === "EACCES" ? 403 : 500 };
}

/** Whether the file system said no, and not a mistake of ours. */
export function isFileError(error: unknown): boolean {
  return error instanceof Error && "syscall" in error;
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
