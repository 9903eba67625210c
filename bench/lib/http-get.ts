import type { Wire } from "./wire.ts";

const HEAD_END = "\r\n\r\n";

/** One HTTP/1.1 connection over a wire: requests one after the other, bodies counted and thrown away. */
export class HttpGetter {
  readonly #wire: Wire;
  #head = "";
  /** Of the body under way; undefined while its head is incomplete. */
  #missing: number | undefined;
  #done: PromiseWithResolvers<void> | undefined;
  /** Of all bodies, for whoever looks while a transfer runs. */
  received = 0;
  /** performance.now() of the first byte of the answer under way. */
  firstByteAt: number | undefined;

  constructor(wire: Wire) {
    this.#wire = wire;
    wire.onData = (bytes) => this.#take(bytes);
    void wire.closed.then(() => this.#done?.reject(new Error("the connection broke in mid-transfer")));
  }

  /** Resolves when the whole body has arrived. */
  get(path: string): Promise<void> {
    this.#head = "";
    this.#missing = undefined;
    this.firstByteAt = undefined;
    this.#done = Promise.withResolvers();
    this.#wire.write(`GET ${path} HTTP/1.1\r\nHost: origin\r\n\r\n`);
    return this.#done.promise;
  }

  #take(bytes: Uint8Array): void {
    this.firstByteAt ??= performance.now();
    const body = this.#missing === undefined ? this.#takeHead(bytes) : bytes.length;
    if (this.#missing === undefined) return;
    this.received += body;
    this.#missing -= body;
    if (this.#missing < 0) this.#fail("the origin sent more than it announced");
    else if (this.#missing === 0) this.#finish();
  }

  /** Returns how many of the bytes lie behind the head. */
  #takeHead(bytes: Uint8Array): number {
    const before = this.#head.length;
    this.#head += Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
    const end = this.#head.indexOf(HEAD_END);
    if (end < 0) return 0;
    const head = this.#head.slice(0, end);
    if (!head.startsWith("HTTP/1.1 200 ")) this.#fail(`the origin answered ${head.split("\r\n")[0]}`);
    this.#missing = Number(head.match(/content-length: (\d+)/i)?.[1]);
    return before + bytes.length - (end + HEAD_END.length);
  }

  #finish(): void {
    const done = this.#done;
    this.#done = undefined;
    done?.resolve();
  }

  #fail(reason: string): void {
    const done = this.#done;
    this.#done = undefined;
    done?.reject(new Error(reason));
  }
}
