import { readFileSync } from "node:fs";
import type { Socket } from "bun";
import type { World } from "./world.ts";

/** What a server said to the bytes of one connection, and whether it then closed it. */
export interface RawAnswer {
  readonly text: string;
  readonly end: "open" | "closed";
}

/** The server of a world, and the Caddy before it if there is one. */
export type Target = Pick<World, "caddy" | "server">;

/** How long nothing must come before a connection counts as answered. */
const QUIET_MS = 120;
const DEADLINE_MS = 25_000;

/** A connection to the world's server, or to its Caddy with TLS, that sends bytes as they are. */
export class RawConnection {
  #received: Uint8Array[] = [];
  #socket: Socket<undefined> | undefined;
  #unsent = Buffer.alloc(0);
  #wake = Promise.withResolvers<void>();
  closed = false;

  static async open({ caddy, server }: Target): Promise<RawConnection> {
    const raw = new RawConnection();
    const ready = Promise.withResolvers<void>();
    raw.#socket = await Bun.connect({
      hostname: "127.0.0.1",
      port: caddy?.port ?? server.port,
      ...(caddy === undefined
        ? {}
        : { tls: { ca: readFileSync(caddy.ca, "utf8"), serverName: "localhost" } }),
      allowHalfOpen: true,
      socket: {
        open: () => (caddy === undefined ? ready.resolve() : undefined),
        handshake: (_, success, error) =>
          success ? ready.resolve() : ready.reject(error ?? new Error("no TLS")),
        drain: () => raw.#flush(),
        data: (_, bytes) => raw.#heard(new Uint8Array(bytes)),
        end: () => raw.#ended(),
        close: () => raw.#ended(),
        error: () => raw.#ended(),
      },
    });
    await ready.promise;
    return raw;
  }

  #heard(bytes: Uint8Array): void {
    this.#received.push(bytes);
    this.#wake.resolve();
  }

  #ended(): void {
    this.closed = true;
    this.#wake.resolve();
  }

  send(text: string): void {
    this.#unsent = Buffer.concat([this.#unsent, Buffer.from(text, "latin1")]);
    this.#flush();
  }

  #flush(): void {
    const taken = this.#socket?.write(this.#unsent) ?? 0;
    this.#unsent = this.#unsent.subarray(Math.max(0, taken));
  }

  /** Waits for the next bytes or the end, and takes what there is. */
  async next(limitMs = DEADLINE_MS): Promise<string> {
    if (this.#received.length === 0 && !this.closed)
      await Promise.race([this.#wake.promise, Bun.sleep(limitMs)]);
    const text = Buffer.concat(this.#received.splice(0)).toString("latin1");
    if (!this.closed) this.#wake = Promise.withResolvers();
    return text;
  }

  end(): void {
    this.#socket?.terminate();
  }
}

/** Sends `pieces` one after another with `pauseMs` between them, and waits until nothing more comes. */
export async function exchange(target: Target, pieces: readonly string[], pauseMs = 50): Promise<RawAnswer> {
  const raw = await RawConnection.open(target);
  try {
    for (const [index, piece] of pieces.entries()) {
      if (index > 0) await Bun.sleep(pauseMs);
      raw.send(piece);
    }
    let text = await raw.next();
    while (!raw.closed) {
      const more = await raw.next(isCut(text) ? DEADLINE_MS : QUIET_MS);
      if (more === "") break;
      text += more;
    }
    return { text: withoutChance(text), end: raw.closed ? "closed" : "open" };
  } finally {
    raw.end();
  }
}

/** Whether a body in chunks still lacks its end, however long the pause. */
function isCut(text: string): boolean {
  return /^transfer-encoding: chunked\r$/im.test(text) && !text.endsWith("0\r\n\r\n");
}

/** Everything but what differs from second to second, and the boundary that is drawn for each answer. */
function withoutChance(text: string): string {
  return text.replace(/^date: .*$/gim, "Date: *").replace(/\b[\da-f]{60}\b/g, "*");
}
