import { expect, test } from "bun:test";
import { ResponseReader } from "../../../src/client/proxy/http-response.ts";
import { Dice } from "../../sim/dice.ts";
import { bytes, text } from "./harness.ts";

const { FUZZ_ITERATIONS = "20000", SEED: FIRST_SEED = "1" } = process.env;
const METHODS = ["GET", "HEAD"] as const;

const CORPUS = [
  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\na;x=y\r\n0123456789\r\n0\r\nT: v\r\n\r\n",
  "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
  "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
  "HTTP/1.1 204 No Content\r\n\r\n",
  "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
  "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=9\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n",
];
/** What parsers trip over, to be put anywhere. */
const SNIPPETS = [
  ..."\r\n,\n,\r,\r\n\r\n,\0,\xff, ,\t,:,;,0\r\n\r\n,ffffffff\r\n,00".split(","),
  "Content-Length: 3\r\n",
  "Content-Length: 0\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Connection: close\r\n",
  "Connection: content-length, transfer-encoding\r\n",
  "HTTP/1.1 100 Continue\r\n\r\n",
  "HTTP/1.1 101 Switching Protocols\r\n\r\n",
];

/** A reading of the whole text at once, slow and plain: whether exactly one final response is in it, up to its end. */
function isOneWhole(input: string, method: string): boolean {
  const end = input.indexOf("\r\n\r\n");
  if (end < 0) return false;
  const [status = "", ...lines] = input.slice(0, end).split("\r\n");
  const code = Number(/^HTTP\/1\.\d (\d{3})(?: |$)/.exec(status)?.[1]);
  const rest = input.slice(end + 4);
  if (code >= 100 && code < 200 && code !== 101) return isOneWhole(rest, method);
  const values = (name: string) =>
    lines
      .filter((line) => line.toLowerCase().startsWith(`${name}:`))
      .map((line) => line.slice(name.length + 1).trim());
  const [lengths, codings] = [values("content-length"), values("transfer-encoding")];
  if (lengths.length + codings.length > 1) return false;
  if (method === "HEAD" || code === 204 || code === 304) return rest === "";
  if (codings.length === 1) return codings[0]?.toLowerCase() === "chunked" && isChunkedWhole(rest);
  return lengths.length === 1 && /^\d+$/.test(lengths[0] ?? "") && Number(lengths[0]) === rest.length;
}

function isChunkedWhole(input: string): boolean {
  const [line, size] = /^([\da-f]+)(?:;[^\r\n]*)?\r\n/i.exec(input) ?? [];
  if (line === undefined || size === undefined) return false;
  const rest = input.slice(line.length);
  const length = Number.parseInt(size, 16);
  if (length === 0) return /^(?:[^\r\n]+\r\n)*\r\n$/.test(rest);
  return rest.slice(length, length + 2) === "\r\n" && isChunkedWhole(rest.slice(length + 2));
}

function mutate(input: string, dice: Dice): string {
  const at = dice.int(input.length + 1);
  const to = Math.min(input.length, at + dice.int(12));
  const [head, cut, tail] = [input.slice(0, at), input.slice(at, to), input.slice(to)];
  const snippet = SNIPPETS[dice.int(SNIPPETS.length)] ?? "";
  switch (dice.int(5)) {
    case 0:
      return head + tail;
    case 1:
      return head + cut + cut + tail;
    case 2:
      return head + snippet + tail;
    case 3:
      return head + snippet + cut + tail;
    default:
      return head + String.fromCharCode(dice.int(256)) + tail;
  }
}

function read(input: string, method: string, cuts: readonly number[]) {
  const reader = new ResponseReader(method);
  let forward = "";
  let start = 0;
  for (const end of [...cuts, input.length]) {
    for (const part of reader.push(bytes(input.slice(start, end)))) forward += text(part);
    start = end;
  }
  return { forward, phase: reader.phase, keepMs: reader.keepMs };
}

test(`${FUZZ_ITERATIONS} damaged responses: one reading for every split, and none kept that another reads otherwise`, () => {
  const dice = new Dice(Number(FIRST_SEED));
  const seen = { kept: 0, other: 0 };
  for (let iteration = 0; iteration < Number(FUZZ_ITERATIONS); iteration++) {
    let input = CORPUS[dice.int(CORPUS.length)] ?? "";
    for (let count = dice.int(4); count > 0; count--) input = mutate(input, dice);
    const method = METHODS[dice.int(METHODS.length)] ?? "GET";
    const whole = read(input, method, []);
    const cuts = [dice.int(input.length + 1), dice.int(input.length + 1)].sort((a, b) => a - b);
    expect(read(input, method, cuts), JSON.stringify([input, method, cuts])).toEqual(whole);
    if (whole.phase === "done" && whole.keepMs > 0) {
      seen.kept += 1;
      expect(isOneWhole(input, method), JSON.stringify([input, method])).toBe(true);
    } else seen.other += 1;
  }
  expect(seen.kept).toBeGreaterThan(Number(FUZZ_ITERATIONS) / 20);
  expect(seen.other).toBeGreaterThan(Number(FUZZ_ITERATIONS) / 20);
}, 600_000);
