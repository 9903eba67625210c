import { afterEach } from "bun:test";
import { OriginPool } from "../../../src/client/proxy/http-pool.ts";
import type { RequestKeeper } from "../../../src/client/proxy-connection.ts";
import { ProxyConnection, type ProxyOptions } from "../../../src/client/proxy-connection.ts";
import type { RelaySocket } from "../../../src/runtime/relay.ts";
import type { StreamListener } from "../../../src/runtime/tunnel-stream.ts";
import { NotedStream } from "./noted-stream.ts";

/** The two sides of what the proxy does: an application's socket, and a keeper with streams to origins. */

/** An application's socket, of which the test says how much it takes. */
export class NotedSocket implements RelaySocket {
  readonly calls: string[] = [];
  written = "";
  room = Number.POSITIVE_INFINITY;

  // Only this form is used.
  write = ((data: Uint8Array, offset = 0, length = data.length - offset) => {
    if (this.room < 0) return -1;
    const taken = data.subarray(offset, offset + Math.min(length, this.room));
    this.room -= taken.length;
    this.written += Buffer.from(taken).toString("latin1");
    return taken.length;
  }) as RelaySocket["write"];

  pause(): void {
    this.calls.push("pause");
  }
  resume(): void {
    this.calls.push("resume");
  }
  shutdown(): void {
    this.calls.push("shutdown");
  }
  end(): number {
    return this.calls.push("end");
  }
  terminate(): void {
    this.calls.push("terminate");
  }
}

export interface Opened {
  readonly listener: StreamListener;
  readonly stream: NotedStream;
  readonly target: string;
}

export interface Far {
  readonly pool: OriginPool;
  readonly keeper: RequestKeeper;
  /** The streams, in the order in which they were opened. */
  readonly opened: Opened[];
  readonly rejected: string[];
  /** Requests that wait for the far server. */
  waiting: number;
  state: "up" | "connecting" | "down";
  /** The tunnel takes no more streams. */
  isFull: boolean;
}

const pools: OriginPool[] = [];

export function newFar(keeps = true): Far {
  const pool = new OriginPool({ keeps });
  pools.push(pool);
  const far: Far = {
    pool,
    keeper: {
      get state() {
        return far.state;
      },
      get downMs() {
        return far.state === "up" ? 0 : 1e9;
      },
      wait: () => {
        far.waiting += 1;
        return () => {
          far.waiting -= 1;
        };
      },
      open: ({ host, port }, listener) => {
        if (far.isFull) return undefined;
        const stream = new NotedStream();
        far.opened.push({ listener, stream, target: host.kind === "name" ? `${host.name}:${port}` : "" });
        return stream;
      },
    },
    opened: [],
    rejected: [],
    waiting: 0,
    state: "up",
    isFull: false,
  };
  return far;
}

/** Ends the pools of a file's tests. */
export function useFars(): void {
  afterEach(() => {
    for (const pool of pools.splice(0)) pool.close();
  });
}

/** The connection that was opened as the nth. */
export function at(far: Far, index: number): Opened {
  const opened = far.opened[index];
  if (opened === undefined) throw new Error(`only ${far.opened.length} were opened`);
  return opened;
}

/** An application's connection to a proxy whose far side is `far`. */
export function proxyTo(far: Far, socket: NotedSocket, options: Partial<ProxyOptions> = {}): ProxyConnection {
  return new ProxyConnection(socket, {
    keeper: far.keeper,
    origins: far.pool,
    optimistic: false,
    waitMs: 1_000,
    onReject: (reason) => void far.rejected.push(reason),
    ...options,
  });
}
