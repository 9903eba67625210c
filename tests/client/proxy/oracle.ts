/**
 * A slow and literal reader of what an origin was sent: what is left behind the first request, or undefined if that
 * request is not complete. Throws on a head that no proxy should send.
 */
export function behindFirstRequest(sent: string): string | undefined {
  const headEnd = sent.indexOf("\r\n\r\n");
  const [line = "", ...fields] = sent.slice(0, headEnd).split("\r\n");
  check(/^[^ ]+ (?:\/[^ ]*|\*) HTTP\/1\.[01]$/.test(line), "request line");
  for (const field of fields) check(/^[^\s:]+:[^\r\n\0]*$/.test(field), "field");
  check(valuesOf(fields, "host").length === 1, "one Host");
  check(valuesOf(fields, "connection").join() === "close", "Connection: close");
  check(valuesOf(fields, "proxy-authorization").length === 0, "no proxy credentials");
  const body = sent.slice(headEnd + 4);
  const lengths = valuesOf(fields, "content-length");
  const codings = valuesOf(fields, "transfer-encoding");
  check(lengths.length + codings.length <= 1, "one framing");
  if (codings.length === 1) return behindChunks(body);
  const length = Number(lengths[0] ?? 0);
  return body.length < length ? undefined : body.slice(length);
}

function behindChunks(body: string): string | undefined {
  for (let rest = body; ; ) {
    const line = /^([0-9a-f]+)(?:;[^\r\n]*)?\r\n/i.exec(rest);
    if (line === null) return undefined;
    rest = rest.slice(line[0].length);
    const size = Number.parseInt(line[1] ?? "", 16);
    if (size === 0) {
      const trailers = /^(?:[^\r\n]+\r\n)*\r\n/.exec(rest);
      return trailers === null ? undefined : rest.slice(trailers[0].length);
    }
    if (rest.slice(size, size + 2) !== "\r\n") return undefined;
    rest = rest.slice(size + 2);
  }
}

function valuesOf(fields: readonly string[], name: string): string[] {
  const start = `${name}:`;
  return fields
    .filter((field) => field.toLowerCase().startsWith(start))
    .map((field) => field.slice(start.length).trim());
}

function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(`the origin was sent something malformed: ${what}`);
}
