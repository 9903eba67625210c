import type { Socket } from "bun";
import { makeGateToken } from "../../../src/proto/index.ts";
import { WEBSOCKET } from "./probes.ts";

export interface Flood {
  /** `strangers` have no gate key; `holders` have one, open a WebSocket, and send garbage for a handshake. */
  readonly kind: "strangers" | "holders";
  /** Of the server, or any for strangers. */
  readonly gateKey: Uint8Array;
  readonly count: number;
  /** Over how long they are spread; 0 means as fast as they go. */
  readonly seconds: number;
}

const AT_ONCE = 32;
/** Version, suite, EK, CT, box and a packet 0 of nothing: the right length, so that it gets as far as the box. */
const HELLO_BYTES = 1_300;

const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));

/** Begins to send `count` garbage handshakes; `done` is how many got the answer that is due. */
export function flood(port: number, options: Flood): { done: Promise<number>; isDone(): boolean } {
  let over = false;
  const done = run(port, options).finally(() => {
    over = true;
  });
  return { done, isDone: () => over };
}

async function run(port: number, { kind, gateKey, count, seconds }: Flood): Promise<number> {
  const started = performance.now();
  let begun = 0;
  let answered = 0;
  const worker = async () => {
    while (begun < count) {
      const due = started + (begun++ / count) * seconds * 1_000;
      if (due > performance.now()) await Bun.sleep(due - performance.now());
      if (await attempt(port, kind, gateKey)) answered++;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return answered;
}

/** One garbage handshake on a connection of its own. True if a stranger got the site, a holder a WebSocket. */
async function attempt(port: number, kind: Flood["kind"], gateKey: Uint8Array): Promise<boolean> {
  const answer = Promise.withResolvers<string>();
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      data: (_, bytes) => answer.resolve(bytes.subarray(0, 16).toString("latin1")),
      close: () => answer.resolve(""),
      error: () => answer.resolve(""),
    },
  });
  socket.write(`${head(makeGateToken(gateKey, random))}\r\n\r\n`);
  const line = await answer.promise;
  if (kind === "holders") {
    socket.write(frame(garbageHello()));
    // It must be there before the end of the connection is, or nobody would read it.
    await Bun.sleep(20);
  }
  socket.terminate();
  return line.startsWith(kind === "holders" ? "HTTP/1.1 101 " : "HTTP/1.1 200 ");
}

/** A WebSocket of somebody with a gate key, who then says nothing. */
export class UnprovenLink {
  #socket: Socket<undefined> | undefined;
  closed = false;

  /** Resolves when it stands. */
  static async open(port: number, gateKey: Uint8Array): Promise<UnprovenLink> {
    const link = new UnprovenLink();
    const answer = Promise.withResolvers<void>();
    const close = () => {
      link.closed = true;
      answer.resolve();
    };
    const handlers = { data: () => answer.resolve(), end: close, close, error() {} };
    link.#socket = await Bun.connect({ hostname: "127.0.0.1", port, socket: handlers });
    link.#socket.write(`${head(makeGateToken(gateKey, random))}\r\n\r\n`);
    await answer.promise;
    return link;
  }

  end(): void {
    this.#socket?.terminate();
  }
}

/** From an address of its own: one address would have an empty bucket after the first hundred. */
function head(token: string): string {
  const address = `X-Forwarded-For: 203.${random(3).join(".")}`;
  return ["GET / HTTP/1.1", "Host: localhost", ...WEBSOCKET, `Cookie: sid=${token}`, address].join("\r\n");
}

function garbageHello(): Uint8Array {
  const hello = random(HELLO_BYTES);
  hello.set([2, 1]);
  // Flags of packet 0, behind version, suite, EK, CT and box: a new chain, no body.
  hello[2 + 32 + 1_088 + 48] = 1;
  return hello;
}

/** A binary WebSocket frame of a client with a mask of zeros (RFC 6455 section 5.2). */
function frame(payload: Uint8Array): Uint8Array {
  const length = payload.length;
  return Buffer.concat([Uint8Array.of(0x82, 0x80 | 126, length >> 8, length & 0xff, 0, 0, 0, 0), payload]);
}

/** Connections that send nothing, or half of a request, and come back whenever the server has had enough of them. */
export class IdleCrowd {
  readonly #port: number;
  readonly #sockets = new Set<Socket<undefined>>();
  #over = false;

  static async gather(port: number, count: number): Promise<IdleCrowd> {
    const crowd = new IdleCrowd(port);
    for (let index = 0; index < count; index++) await crowd.#join(index % 2 === 1);
    return crowd;
  }

  private constructor(port: number) {
    this.#port = port;
  }

  async #join(isHalf: boolean): Promise<void> {
    const close = (socket: Socket<undefined>) => {
      this.#sockets.delete(socket);
      if (!this.#over) void this.#join(isHalf);
    };
    const handlers = { data() {}, error() {}, close };
    const socket = await Bun.connect({ hostname: "127.0.0.1", port: this.#port, socket: handlers });
    if (this.#over) return socket.terminate();
    this.#sockets.add(socket);
    if (isHalf) socket.write("GET / HTTP/1.1\r\nHost: loc");
  }

  get size(): number {
    return this.#sockets.size;
  }

  disperse(): void {
    this.#over = true;
    for (const socket of [...this.#sockets]) socket.terminate();
  }
}
