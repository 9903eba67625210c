import { expect, test } from "bun:test";
import { Dice } from "../sim/dice.ts";
import { bytes } from "./proxy/harness.ts";
import { type Far, NotedSocket, newFar, type Opened, proxyTo, useFars } from "./support/far.ts";

useFars();

const { FUZZ_ITERATIONS = "20000", SEED: FIRST_SEED = "1" } = process.env;
const ITERATIONS = Math.ceil(Number(FUZZ_ITERATIONS) / 10);

/** Hosts and paths that a damaged request does not come to by chance. */
const REQUESTS = [
  "GET http://one.example/plain HTTP/1.1\r\n\r\n",
  "GET http://two.example/plain HTTP/1.1\r\nCookie: two\r\n\r\n",
  "HEAD http://one.example/plain HTTP/1.1\r\n\r\n",
  "GET http://one.example/chunks HTTP/1.1\r\n\r\n",
  "GET http://two.example/no-length HTTP/1.1\r\n\r\n",
  "POST http://one.example/plain HTTP/1.1\r\nContent-Length: 8\r\n\r\nGET / HT",
  "POST http://two.example/plain HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
  "\r\nGET http://one.example/plain HTTP/1.1\r\nConnection: close\r\n\r\n",
  "GET http://two.example/plain HTTP/1.0\r\n\r\n",
];
const SNIPPETS = [
  ..."\r\n,\n,\r,\r\n\r\n,\0,\xff, ,:,0\r\n\r\n,\x05,00".split(","),
  "Content-Length: 3\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Connection: close\r\n",
];

/** What an origin reads: a head of whole lines, a body by a length or in chunks. Slow and plain. */
function takeRequest(input: string): { method: string; path: string; length: number } | undefined {
  const [head = "", method = "", path = ""] = /^(\S+) (\S+) HTTP\/1\.[\s\S]*?\r\n\r\n/.exec(input) ?? [];
  if (head === "") return undefined;
  const rest = input.slice(head.length);
  if (/^Transfer-Encoding:/im.test(head)) {
    const body = chunkedLength(rest);
    return body === undefined ? undefined : { method, path, length: head.length + body };
  }
  const body = Number(/^Content-Length:\s*(\d+)/im.exec(head)?.[1] ?? 0);
  return rest.length < body ? undefined : { method, path, length: head.length + body };
}

/** How long a body in chunks is, its end included; undefined if it has not come or is broken. */
function chunkedLength(input: string): number | undefined {
  for (let at = 0; ; ) {
    const [line, size] = /^([\da-f]+)(?:;[^\r\n]*)?\r\n/i.exec(input.slice(at)) ?? [];
    if (line === undefined || size === undefined) return undefined;
    at += line.length;
    const bytes = Number.parseInt(size, 16);
    if (bytes === 0) {
      const [end] = /^(?:[^\r\n]+\r\n)*\r\n/.exec(input.slice(at)) ?? [];
      return end === undefined ? undefined : at + end.length;
    }
    if (input.slice(at + bytes, at + bytes + 2) !== "\r\n") return undefined;
    at += bytes + 2;
  }
}

/** Lets every origin answer the whole requests that it has, until no more come of that. */
function answerAll(far: Far, read: Map<Opened, number>): void {
  for (let index = 0; index < far.opened.length; index++) {
    const opened = far.opened[index];
    if (opened === undefined || opened.stream.calls.includes("reset")) continue;
    const from = read.get(opened) ?? 0;
    const request = takeRequest(opened.stream.written.slice(from));
    if (request === undefined) continue;
    read.set(opened, from + request.length);
    const { listener } = opened;
    const reply = `${request.method} ${request.path}`;
    listener.onResponse("connected");
    if (request.path === "/no-length") {
      listener.onData(bytes(`HTTP/1.1 200 OK\r\n\r\n${reply}`));
      listener.onFin();
    } else if (request.path === "/chunks" && request.method !== "HEAD")
      listener.onData(bytes(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`));
    else {
      const body = request.method === "HEAD" ? "" : reply;
      listener.onData(bytes(`HTTP/1.1 200 OK\r\nContent-Length: ${reply.length}\r\n\r\n${body}`));
    }
    index = -1;
  }
}

function play(input: string, cuts: readonly number[], answersBetween: boolean) {
  const far = newFar();
  const socket = new NotedSocket();
  const connection = proxyTo(far, socket);
  const read = new Map<Opened, number>();
  let start = 0;
  for (const end of [...cuts, input.length]) {
    connection.data(bytes(input.slice(start, end)));
    start = end;
    if (answersBetween) answerAll(far, read);
  }
  answerAll(far, read);
  const ends = socket.calls.filter((call) => call === "shutdown" || call === "terminate");
  const origins = far.opened.map(({ target, stream }) => `${target} ${stream.written}`);
  connection.closed();
  far.pool.close();
  return { told: socket.written, origins, ends, rejected: far.rejected };
}

function damaged(dice: Dice): string {
  const pick = <Item>(items: readonly Item[]) => items[dice.int(items.length)];
  let input = Array.from({ length: 1 + dice.int(4) }, () => pick(REQUESTS)).join("");
  for (let count = dice.int(3); count > 0; count--) {
    const at = dice.int(input.length + 1);
    const skip = dice.int(2) * dice.int(8);
    input = input.slice(0, at) + (dice.int(3) === 0 ? "" : pick(SNIPPETS)) + input.slice(at + skip);
  }
  return input;
}

test(`${ITERATIONS} damaged runs of requests: the same however they are cut and whenever they are answered`, () => {
  const dice = new Dice(Number(FIRST_SEED));
  const seen = { several: 0, rejected: 0 };
  for (let iteration = 0; iteration < ITERATIONS; iteration++) {
    const input = damaged(dice);
    const whole = play(input, [], true);
    const cuts = Array.from({ length: 1 + dice.int(4) }, () => dice.int(input.length + 1));
    cuts.sort((a, b) => a - b);
    for (const answersBetween of [true, false])
      expect(play(input, cuts, answersBetween), JSON.stringify([input, cuts])).toEqual(whole);
    for (const origin of whole.origins) {
      // Nothing of a request for one reaches another, where only a body could carry it.
      const [host = ""] = /^\w+/.exec(origin) ?? [];
      for (const [, named] of origin.matchAll(/^Host: (\w+)\.example\r$/gm)) expect(named).toBe(host);
    }
    if ((whole.told.match(/HTTP\/1\.1 200 /g) ?? []).length > 1) seen.several += 1;
    if (whole.rejected.length > 0) seen.rejected += 1;
  }
  expect(seen.several).toBeGreaterThan(ITERATIONS / 10);
  expect(seen.rejected).toBeGreaterThan(ITERATIONS / 10);
}, 600_000);
