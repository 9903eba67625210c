import { pattern } from "../support/pattern.ts";
import { ASSETS, assetOf, PAGE } from "./page.ts";
import type { Report } from "./ports.ts";

/** A paced download comes in pieces of at most this many milliseconds' worth. */
const PIECE_MS = 50;

/** Serves the web site on the same port of both loopback addresses and returns the port. */
export function serveHttp(reports: () => readonly Report[]): number {
  const seen = new Set<string>();
  const site = new Site(reports, seen);
  for (let attempt = 0; attempt < 20; attempt++) {
    const ipv4 = listen("127.0.0.1", 0, site);
    try {
      listen("::1", ipv4.port ?? 0, site);
      return ipv4.port ?? 0;
    } catch {
      // Somebody has that port of the other address: try the next.
      void ipv4.stop(true);
    }
  }
  throw new Error("no port is free on both loopback addresses");
}

function listen(hostname: string, port: number, site: Site): Bun.Server<undefined> {
  return Bun.serve({
    hostname,
    port,
    idleTimeout: 0,
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    fetch: (request) => site.respond(request),
  });
}

class Site {
  readonly #reports: () => readonly Report[];
  readonly #assetsSeen: Set<string>;

  constructor(reports: () => readonly Report[], assetsSeen: Set<string>) {
    this.#reports = reports;
    this.#assetsSeen = assetsSeen;
  }

  async respond(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const [, kind = "", argument = ""] = pathname.split("/");
    switch (kind) {
      case "":
        return new Response("origin\n");
      case "bytes":
        return download(Number(argument), Number(searchParams.get("rate") ?? 0));
      case "upload":
        return Response.json(await digest(request));
      case "headers":
        return Response.json(Object.fromEntries(request.headers));
      case "reports":
        return Response.json(this.#reports());
      case "page":
        return new Response(PAGE, { headers: { "content-type": "text/html; charset=utf-8" } });
      case "asset":
        this.#assetsSeen.add(argument);
        return assetOf(argument);
      case "assets-seen":
        return Response.json({ seen: this.#assetsSeen.size, of: ASSETS });
      default:
        return new Response("no such page\n", { status: 404 });
    }
  }
}

/** The payload of `size` bytes; `rate` in bytes per second, 0 for as fast as it is taken. */
function download(size: number, rate: number): Response {
  const blocks = rate === 0 ? pattern(size) : slices(size, Math.ceil((rate * PIECE_MS) / 1_000));
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = blocks.next();
      if (done === true) return controller.close();
      if (rate > 0) await Bun.sleep((1_000 * value.length) / rate);
      controller.enqueue(value);
    },
  });
  return new Response(body, { headers: { "content-length": String(size) } });
}

function* slices(size: number, chunk: number): Generator<Uint8Array> {
  for (const block of pattern(size)) {
    for (let offset = 0; offset < block.length; offset += chunk) yield block.slice(offset, offset + chunk);
  }
}

async function digest(request: Request): Promise<{ bytes: number; sha256: string }> {
  const hash = new Bun.CryptoHasher("sha256");
  let bytes = 0;
  for await (const chunk of request.body ?? []) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { bytes, sha256: hash.digest("hex") };
}
