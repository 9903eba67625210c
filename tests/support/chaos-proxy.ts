import type { TCPSocketListener } from "bun";
import { ChaosConnection } from "./chaos-connection.ts";
import { type Direction, Path } from "./chaos-path.ts";

/** How a connection is cut: as by a router that forgot it, or as by one that closes it in order. */
export type Cut = "reset" | "fin";
export type Which = Direction | "both";

export interface CutPlan {
  readonly minMs: number;
  readonly maxMs: number;
  /** In [0, 1). */
  readonly random: () => number;
}

/** What has happened so far. Bytes are those that came through to the other side. */
export interface ChaosCounts {
  readonly connections: number;
  /** Cuts that broke at least one connection on which both sides had spoken. */
  readonly cuts: number;
  readonly up: number;
  readonly down: number;
  /** Bytes that went into the black hole. */
  readonly swallowed: number;
}

const LOOPBACK = "127.0.0.1";

/**
 * A bad network path in one process: a TCP proxy on loopback that cuts, stalls, delays, throttles or swallows what goes
 * through it when told to. It knows nothing of WebSockets. What it has read and not passed on is bounded per
 * connection, as its readers pause; `close` leaves no socket and no timer.
 */
export class ChaosProxy {
  readonly #listener: TCPSocketListener<ChaosConnection>;
  readonly #connections = new Set<ChaosConnection>();
  readonly #path = new Path(() => this.#pumpAll());
  readonly #targetPort: () => number;
  #cutting: ReturnType<typeof setTimeout> | undefined;
  #accepted = 0;
  #cuts = 0;

  /** `targetPort` of loopback is asked for at every connection, so that what is behind may move. */
  constructor(targetPort: () => number) {
    this.#targetPort = targetPort;
    this.#listener = Bun.listen<ChaosConnection>({
      hostname: LOOPBACK,
      port: 0,
      allowHalfOpen: true,
      socket: {
        ...ChaosConnection.handlers("up"),
        open: (socket) => {
          this.#accepted += 1;
          const connection = new ChaosConnection(this.#path, (one) => this.#connections.delete(one));
          this.#connections.add(connection);
          socket.data = connection;
          connection.accepted(socket, LOOPBACK, this.#targetPort());
        },
      },
    });
  }

  get port(): number {
    return this.#listener.port;
  }

  /** Connections of which a socket is still open, the abandoned ones included. */
  get open(): number {
    return this.#connections.size;
  }

  get counts(): ChaosCounts {
    const { up, down, swallowed } = this.#path;
    return { connections: this.#accepted, cuts: this.#cuts, up, down, swallowed };
  }

  /** Breaks every connection. Returns how many of them were in use. */
  cut(how: Cut): number {
    const inUse = [...this.#connections].filter((connection) => connection.cut(how)).length;
    if (inUse > 0) this.#cuts += 1;
    return inUse;
  }

  /** Cuts again and again, either way by turns of chance, until the result is called. */
  cutAtRandom({ minMs, maxMs, random }: CutPlan): () => void {
    clearTimeout(this.#cutting);
    const next = () => {
      this.#cutting = setTimeout(
        () => {
          this.cut(random() < 0.5 ? "reset" : "fin");
          next();
        },
        minMs + (maxMs - minMs) * random(),
      );
    };
    next();
    return () => clearTimeout(this.#cutting);
  }

  /** Nothing moves in `which`, ends of connections neither, and nothing is lost: it all comes after `flow`. */
  stall(which: Which): void {
    for (const direction of directionsOf(which)) this.#path.stalled[direction] = true;
  }

  flow(): void {
    this.#path.stalled.up = false;
    this.#path.stalled.down = false;
    this.#pumpAll();
  }

  /** Everything arrives this much later, each way. 0 ends it. */
  delay(ms: number): void {
    this.#path.delayMs = ms;
    this.#pumpAll();
  }

  /** All connections together get this many bytes per second, each way. 0 ends it. */
  throttle(bytesPerSecond: number): void {
    this.#path.bytesPerSecond = bytesPerSecond;
    this.#pumpAll();
  }

  /**
   * From now on connections are accepted, and what they send is swallowed; those that exist become such too. Nobody
   * hears of an end. After `false` new connections work; what fell into the hole stays in it.
   */
  blackhole(on: boolean): void {
    this.#path.swallowing = on;
    if (on) for (const connection of this.#connections) connection.abandon();
  }

  close(): void {
    clearTimeout(this.#cutting);
    this.#listener.stop(true);
    for (const connection of [...this.#connections]) connection.destroy();
    this.#path.close();
  }

  // Who got something goes to the end of the line: on a throttled path all get their turn.
  #pumpAll(): void {
    for (const connection of [...this.#connections]) {
      if (!connection.pump() || !this.#connections.delete(connection)) continue;
      this.#connections.add(connection);
    }
  }
}

function directionsOf(which: Which): readonly Direction[] {
  return which === "both" ? ["up", "down"] : [which];
}
