import { parseServerUrl, TextFormatError } from "../proto/index.ts";
import { isLoopback, parseIp } from "../runtime/address.ts";
import { UsageError } from "../runtime/errors.ts";

/** The URL for a new link, whether it is to be remembered, and what the operator should know about it. */
export interface LinkUrl {
  readonly url: string;
  readonly isNew: boolean;
  readonly notes: readonly string[];
}

export interface UrlChoices {
  /** What the operator gave now. */
  readonly given: string | undefined;
  /** What was given before. */
  readonly remembered: string | undefined;
  /** Where the server itself listens, for trying it out on one machine. */
  readonly fallback: string | undefined;
}

const URL_HINT = "name the address that your reverse proxy serves: --url wss://vpn.example.org/";

/** The given URL, else the remembered one, else the server's own if that is loopback. Throws UsageError. */
export function linkUrl({ given, remembered, fallback }: UrlChoices): LinkUrl {
  if (given !== undefined) return { url: parseGiven(given), isNew: true, notes: [] };
  if (remembered !== undefined) return { url: remembered, isNew: false, notes: [] };
  const local = fallback === undefined ? undefined : parseFallback(fallback);
  if (local === undefined) throw new UsageError("the server does not know its public address yet", URL_HINT);
  const note = `no --url known, using loopback: this link works on this machine only (${URL_HINT})`;
  return { url: local, isNew: false, notes: [note] };
}

function parseGiven(text: string): string {
  let url: string;
  try {
    url = parseServerUrl(text);
  } catch (error) {
    if (!(error instanceof TextFormatError)) throw error;
    throw new UsageError(`url: ${error.message}`, URL_HINT, { cause: error });
  }
  if (isSafe(url)) return url;
  throw new UsageError(
    `url: ws:// to ${new URL(url).host} has no TLS: anybody on the way would see what this is`,
    "put a reverse proxy with TLS before the server and give its wss:// address; ws:// is for loopback only",
  );
}

/** Not what the operator typed, so one that is of no use is as good as none. */
function parseFallback(text: string): string | undefined {
  try {
    const url = parseServerUrl(text);
    return isSafe(url) ? url : undefined;
  } catch (error) {
    if (!(error instanceof TextFormatError)) throw error;
    return undefined;
  }
}

function isSafe(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  if (protocol === "wss:" || hostname === "localhost") return true;
  const address = parseIp(hostname.replace(/^\[(.*)\]$/, "$1"));
  return address !== undefined && isLoopback(address);
}
