import type { Socket, TCPSocketListener } from "bun";

/** One request as an origin got it. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  /** Request line and fields, as text. */
  readonly head: string;
  readonly body: Uint8Array;
  /** Which of the origin's connections it came on, from 0; and the how manieth there, from 0. */
  readonly connection: number;
  readonly nth: number;
}

export interface Reply {
  /** What to send, as it is. */
  readonly send: string | Uint8Array;
  readonly afterMs?: number;
  /** What becomes of the connection then; by default it stays. */
  readonly end?: "close" | "reset";
}

interface Peer {
  readonly number: number;
  count: number;
  input: Buffer;
  output: Uint8Array;
  /** A reply is due or under way: nobody may ask for another thing on this connection. */
  busy: boolean;
  ending: boolean;
}

/** An origin of plain HTTP/1.1 that answers exactly what a test says, and notes who asked what on which connection. */
export class ScriptedOrigin {
  readonly seen: SeenRequest[] = [];
  /** Requests that came before the one ahead of them on their connection was answered. */
  readonly violations: string[] = [];
  connections = 0;
  open = 0;
  /** Requests that waited for their answers at one time, at most. */
  mostAtOnce = 0;
  #atOnce = 0;
  readonly #listener: TCPSocketListener<Peer | undefined>;
  readonly #script: (request: SeenRequest) => Reply;

  constructor(script: (request: SeenRequest) => Reply) {
    this.#script = script;
    this.#listener = Bun.listen<Peer | undefined>({
      hostname: "127.0.0.1",
      port: 0,
      allowHalfOpen: true,
      data: undefined,
      socket: {
        open: (socket) => {
          const number = this.connections++;
          this.open += 1;
          const nothing = new Uint8Array(0);
          socket.data = {
            number,
            count: 0,
            input: Buffer.alloc(0),
            output: nothing,
            busy: false,
            ending: false,
          };
        },
        data: (socket, bytes) => this.#heard(socket, bytes),
        drain: (socket) => this.#flush(socket),
        end: (socket) => void socket.end(),
        close: () => {
          this.open -= 1;
        },
        error() {},
      },
    });
  }

  url(path: string): string {
    return `http://127.0.0.1:${this.#listener.port}${path}`;
  }

  get port(): number {
    return this.#listener.port;
  }

  /** Forgets what it saw; connections keep their numbers. */
  clear(): void {
    this.seen.length = 0;
    this.mostAtOnce = this.#atOnce;
    this.violations.length = 0;
  }

  stop(): void {
    this.#listener.stop(true);
  }

  #heard(socket: Socket<Peer | undefined>, bytes: Uint8Array): void {
    const peer = socket.data;
    if (peer === undefined) return;
    peer.input = Buffer.concat([peer.input, bytes]);
    for (let request = take(peer); request !== undefined; request = take(peer)) {
      if (peer.busy) this.violations.push(`connection ${peer.number}: ${request.path}`);
      peer.busy = true;
      this.seen.push(request);
      this.#atOnce += 1;
      this.mostAtOnce = Math.max(this.mostAtOnce, this.#atOnce);
      const { send, afterMs = 0, end } = this.#script(request);
      const answer = () => {
        this.#atOnce -= 1;
        peer.output = typeof send === "string" ? Buffer.from(send, "latin1") : send;
        if (end === "reset") return void socket.terminate();
        peer.ending = end === "close";
        this.#flush(socket);
      };
      if (afterMs === 0) answer();
      else setTimeout(answer, afterMs);
    }
  }

  #flush(socket: Socket<Peer | undefined>): void {
    const peer = socket.data;
    if (peer === undefined) return;
    const count = peer.output.length === 0 ? 0 : socket.write(peer.output);
    peer.output = peer.output.subarray(Math.max(0, count));
    if (peer.output.length > 0) return;
    peer.busy = false;
    if (peer.ending) socket.shutdown();
  }
}

/** The next complete request of a connection, with a body by Content-Length only. */
function take(peer: Peer): SeenRequest | undefined {
  const end = peer.input.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const head = peer.input.subarray(0, end).toString("latin1");
  const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
  if (peer.input.length < end + 4 + length) return undefined;
  const body = Uint8Array.from(peer.input.subarray(end + 4, end + 4 + length));
  peer.input = peer.input.subarray(end + 4 + length);
  const [method = "", path = ""] = head.split(" ");
  return { method, path, head, body, connection: peer.number, nth: peer.count++ };
}

/** An ordinary response with a length. */
export function ok(body: string, ...fields: readonly string[]): string {
  return ["HTTP/1.1 200 OK", ...fields, `Content-Length: ${body.length}`, "", body].join("\r\n");
}
