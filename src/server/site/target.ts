/** The path of a request, percent-encoded, dot segments resolved. */
export function pathOf(url: string): string {
  return targetOf(url).pathname;
}

/** The query of a request with its "?", or "". */
export function queryOf(url: string): string {
  return targetOf(url).search;
}

/**
 * The target of a request, under a host that means nothing. The authority is left out before anything is parsed: a Host
 * that `URL` refuses (`host:99999`) must not decide what is found. `url` is Bun's: absolute, or without a Host that
 * could be one (HTTP/1.0) the target alone, whose first segment behind "//" is then no host either.
 */
function targetOf(url: string): URL {
  const target = url.replace(/^https?:\/\/[^/?#]*/, "");
  return new URL(`http://host${target.startsWith("/") ? "" : "/"}${target}`);
}
