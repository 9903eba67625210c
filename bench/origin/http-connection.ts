import type { Socket } from "bun";
import { pieceAt } from "./pattern.ts";

/** The origin's answers. Everything else is 404. */
const ROUTES = /^(GET|PUT) \/(bytes|tiny|sink|hash)(?:\/(\d+))?(?:\?rate=(\d+))? HTTP\/1\.1\r\n/;
const HEAD_END = "\r\n\r\n";
/** Fits into the kernel's buffer of a connection whose last answer has been read. */
const SMALL_BYTES = 64 * 1024;
/** Paced downloads write this often. */
const PACE_MS = 2;

/** One connection to the origin: HTTP/1.1 with keep-alive, as little of it as curl and the bench need. */
export class HttpConnection {
  readonly #socket: Socket<HttpConnection>;
  #head = "";
  /** Of the download under way. */
  #position = 0;
  #size = 0;
  /** Bytes that pacing lets go now; without pacing all. */
  #allowance = Number.POSITIVE_INFINITY;
  #pace: ReturnType<typeof setInterval> | undefined;
  /** Of the upload under way. */
  #uploadLeft = 0;
  #uploaded = 0;
  #hash: Bun.CryptoHasher | undefined;

  constructor(socket: Socket<HttpConnection>) {
    this.#socket = socket;
  }

  received(bytes: Uint8Array): void {
    if (this.#uploadLeft > 0) return this.#takeUpload(bytes);
    this.#head += Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
    const end = this.#head.indexOf(HEAD_END);
    if (end < 0) return;
    const bodyStart = bytes.length - (this.#head.length - end - HEAD_END.length);
    const head = this.#head.slice(0, end + HEAD_END.length);
    this.#head = "";
    this.#answer(head);
    if (bodyStart < bytes.length && this.#uploadLeft > 0) this.#takeUpload(bytes.subarray(bodyStart));
  }

  #answer(head: string): void {
    const [, method, name, number, rate] = head.match(ROUTES) ?? [];
    if (method === "GET" && name === "bytes") this.#startDownload(Number(number), rate);
    else if (method === "GET" && name === "tiny") this.#reply("ok");
    else if (method === "PUT") {
      this.#uploadLeft = Number(head.match(/content-length: (\d+)/i)?.[1] ?? 0);
      this.#uploaded = 0;
      this.#hash = name === "hash" ? new Bun.CryptoHasher("sha256") : undefined;
    } else this.#socket.end("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
  }

  #reply(text: string): void {
    this.#socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text}`);
  }

  #takeUpload(bytes: Uint8Array): void {
    this.#hash?.update(bytes);
    this.#uploadLeft -= bytes.length;
    this.#uploaded += bytes.length;
    if (this.#uploadLeft <= 0) this.#reply(this.#hash?.digest("hex") ?? String(this.#uploaded));
  }

  /** `rate` is in MB/s. */
  #startDownload(size: number, rate: string | undefined): void {
    this.#position = 0;
    this.#size = size;
    this.#allowance = Number.POSITIVE_INFINITY;
    const head = `HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`;
    // In one write with a small body: a head by itself would make a proxy that lets Nagle wait lose 40 ms.
    if (size <= SMALL_BYTES) {
      this.#position = size;
      this.#socket.write(Buffer.concat([Buffer.from(head), pieceAt(0, size)]));
      return;
    }
    this.#socket.write(head);
    if (rate !== undefined) this.#startPacing(Number(rate) * 1_000);
    this.pump();
  }

  /** By the time that has passed, not by the count of ticks: a busy machine skips some. */
  #startPacing(bytesPerMs: number): void {
    const started = performance.now();
    this.#allowance = 0;
    this.#pace = setInterval(() => {
      this.#allowance = Math.floor((performance.now() - started) * bytesPerMs) - this.#position;
      this.pump();
    }, PACE_MS);
  }

  /** Writes until the kernel takes no more; called again when it does. */
  pump(): void {
    while (this.#position < this.#size && this.#allowance >= 1) {
      const piece = pieceAt(this.#position, Math.min(this.#size - this.#position, this.#allowance));
      const count = this.#socket.write(piece);
      if (count <= 0) return;
      this.#position += count;
      this.#allowance -= count;
      if (count < piece.length) return;
    }
    if (this.#position >= this.#size) clearInterval(this.#pace);
  }

  closed(): void {
    clearInterval(this.#pace);
  }
}
