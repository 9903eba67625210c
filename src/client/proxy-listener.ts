import type { TCPSocketListener } from "bun";
import { LIMITS } from "../proto/index.ts";
import { listenError } from "../runtime/listen-error.ts";
import { unpaceListener } from "../runtime/loopback.ts";
import { ProxyConnection, type ProxyOptions } from "./proxy-connection.ts";

const SWEEP_MS = 60_000;

/** The local proxy port. */
export class ProxyListener {
  readonly #listener: TCPSocketListener<ProxyConnection | undefined>;
  readonly #connections = new Set<ProxyConnection>();
  readonly #sweeper: ReturnType<typeof setInterval>;
  readonly #keeper: ProxyOptions["keeper"];
  /** When a sweep found no link last, on performance.now(). */
  #noLinkAt = 0;

  /** Listens at once; port 0 takes any free one. @throws UsageError when the port is taken */
  constructor(hostname: string, port: number, options: ProxyOptions) {
    this.#keeper = options.keeper;
    this.#listener = this.#listen(hostname, port, options);
    unpaceListener(this.port);
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS);
  }

  get port(): number {
    return this.#listener.port;
  }

  close(): void {
    clearInterval(this.#sweeper);
    this.#listener.stop(true);
  }

  #listen(
    hostname: string,
    port: number,
    options: ProxyOptions,
  ): TCPSocketListener<ProxyConnection | undefined> {
    const connections = this.#connections;
    try {
      return Bun.listen<ProxyConnection | undefined>({
        hostname,
        port,
        allowHalfOpen: true,
        data: undefined,
        socket: {
          binaryType: "uint8array",
          open(socket) {
            socket.data = new ProxyConnection(socket, options);
            connections.add(socket.data);
          },
          data: (socket, bytes) => socket.data?.data(bytes),
          drain: (socket) => socket.data?.drain(),
          end: (socket) => socket.data?.end(),
          close(socket, error) {
            if (socket.data === undefined) return;
            connections.delete(socket.data);
            socket.data.closed(error ?? undefined);
          },
          error: (socket, error) => socket.data?.closed(error),
        },
      });
    } catch (error) {
      throw listenError(error, { hostname, port, flag: "--proxy" });
    }
  }

  #sweep(): void {
    const now = performance.now();
    // Nothing can move meanwhile, and the server does not count that time either.
    if (this.#keeper.state !== "up") this.#noLinkAt = now;
    for (const connection of [...this.#connections]) {
      const since = Math.max(connection.halfClosedSince ?? now, this.#noLinkAt);
      if (now - since > LIMITS.halfClosedIdleMs) connection.abort("idle");
    }
  }
}
