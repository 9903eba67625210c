import { ResponseReader } from "../../src/client/proxy/http-response.ts";
import { CORPUS } from "../client/proxy/corpus.ts";
import { bytes, play, text } from "../client/proxy/harness.ts";
import { below } from "../proto/support/random.ts";
import { type Target, words } from "./target.ts";

/** What applications send to the proxy port, and origins through it. */

const HTTP_WORDS = words(
  ...[
    "\r\n",
    "\n",
    "\r\n\r\n",
    "\0",
    " ",
    "\t",
    ":",
    ",",
    ";",
    "0\r\n\r\n",
    "ffffffff\r\n",
    "HTTP/1.0",
    "HTTP/1.1",
  ],
  ...[
    "Content-Length: 3\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Connection: close\r\n",
    "Host: evil\r\n",
    "[::1]",
  ],
  ...["http://", "@", "CONNECT ", "GET ", "\x05\x01\x00", "\x04\x01", "\x03"],
);

function cuts(input: Uint8Array, random: (length: number) => Uint8Array): number[] {
  return Array.from({ length: 3 }, () => below(random, input.length + 1)).sort((a, b) => a - b);
}

const requests: Target = {
  name: "SOCKS and HTTP requests",
  corpus: CORPUS.map(({ input }) => input),
  words: HTTP_WORDS,
  check(input, random) {
    const whole = play(input);
    if (!Bun.deepEquals(play(input, cuts(input, random)), whole)) throw new Error("depends on the split");
    const { destination } = whole;
    if (
      destination !== undefined &&
      !/^(?:name [\w.-]{1,255}|ipv4 [\d.]+|ipv6 [0-9a-f:.]+) [1-9]\d{0,4}$/.test(destination)
    )
      throw new Error(`a destination ${destination}`);
  },
};

const responses: Target = {
  name: "HTTP responses",
  corpus: [
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\na;x=y\r\n0123456789\r\n0\r\nT: v\r\n\r\n",
    "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
  ].map(bytes),
  words: HTTP_WORDS,
  check(input, random) {
    const method = below(random, 2) === 0 ? "GET" : "HEAD";
    const whole = read(input, method, []);
    if (!Bun.deepEquals(read(input, method, cuts(input, random)), whole))
      throw new Error("depends on the split");
  },
};

function read(input: Uint8Array, method: string, at: readonly number[]) {
  const reader = new ResponseReader(method);
  let forward = "";
  let start = 0;
  for (const end of [...at, input.length]) {
    for (const part of reader.push(input.slice(start, end))) forward += text(part);
    start = end;
  }
  return { forward, phase: reader.phase, keepMs: reader.keepMs };
}

export const PROXY_TARGETS: readonly Target[] = [requests, responses];
