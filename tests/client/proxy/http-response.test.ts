import { describe, expect, test } from "bun:test";
import { ResponseReader } from "../../../src/client/proxy/http-response.ts";
import { HTTP_HEAD_MAX_BYTES, ORIGIN_IDLE_MS } from "../../../src/client/proxy/limits.ts";
import { bytes, text } from "./harness.ts";

interface Outcome {
  readonly forward: string;
  readonly phase: string;
  readonly keepMs: number;
}

function read(input: string, method = "GET", cuts: readonly number[] = []): Outcome {
  const reader = new ResponseReader(method);
  let forward = "";
  let start = 0;
  for (const end of [...cuts, input.length]) {
    // A copy of its own: what is kept must not be a view of what the caller uses again.
    const piece = bytes(input.slice(start, end));
    for (const part of reader.push(piece)) forward += text(part);
    piece.fill(0);
    start = end;
  }
  return { forward, phase: reader.phase, keepMs: reader.keepMs };
}

/** The same outcome however the input is cut into two, and byte by byte. */
function readAll(input: string, method = "GET"): Outcome {
  const whole = read(input, method);
  for (let cut = 1; cut < input.length; cut++) expect(read(input, method, [cut])).toEqual(whole);
  const everyByte = Array.from({ length: input.length - 1 }, (_, index) => index + 1);
  expect(read(input, method, everyByte)).toEqual(whole);
  return whole;
}

const OK = "HTTP/1.1 200 OK\r\n";
const kept = (forward: string, keepMs = ORIGIN_IDLE_MS): Outcome => ({ forward, phase: "done", keepMs });

describe("the end of a response is found", () => {
  test.each([
    ["a length", `${OK}Content-Length: 5\r\n`, "hello"],
    ["a length of nothing", `${OK}Content-Length: 0\r\n`, ""],
    ["chunks", `${OK}Transfer-Encoding: chunked\r\n`, "3\r\nabc\r\n0\r\n\r\n"],
    [
      "chunks with extensions and trailers",
      `${OK}Transfer-Encoding: Chunked\r\n`,
      "1;a=b\r\nx\r\n0\r\nT: v\r\n\r\n",
    ],
    ["204", "HTTP/1.1 204 No Content\r\n", ""],
    [
      "304 with the length of what it does not send",
      "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n",
      "",
    ],
    ["no reason phrase", "HTTP/1.1 200 \r\nContent-Length: 1\r\n", "x"],
    ["not even its space", "HTTP/1.1 200\r\nContent-Length: 1\r\n", "x"],
  ])("by %s", (_, head, body) => {
    expect(readAll(`${head}\r\n${body}`)).toEqual(kept(`${head}Connection: close\r\n\r\n${body}`));
  });

  test("of HEAD, whatever length it names, chunks included", () => {
    for (const field of ["Content-Length: 500", "Transfer-Encoding: chunked"])
      expect(readAll(`${OK}${field}\r\n\r\n`, "HEAD")).toEqual(
        kept(`${OK}${field}\r\nConnection: close\r\n\r\n`),
      );
  });

  test("after any number of interim responses, which go on without a word about the connection", () => {
    const hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n";
    const input = `${hints}Connection: keep-alive\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n${OK}Content-Length: 2\r\n\r\nok`;
    expect(readAll(input)).toEqual(
      kept(`${hints}\r\nHTTP/1.1 100 Continue\r\n\r\n${OK}Content-Length: 2\r\nConnection: close\r\n\r\nok`),
    );
  });
});

describe("what is about the origin's connection", () => {
  test("is not passed on, and all else is, byte for byte", () => {
    const input =
      `${OK}Connection: keep-alive, X-Hop, content-length\r\nKeep-Alive: timeout=30\r\nX-Hop: 1\r\nUpgrade: h2c\r\n` +
      "Content-Length:1\r\nset-cookie:  a \xe9 \r\n\r\nx";
    expect(readAll(input).forward).toBe(
      `${OK}Content-Length:1\r\nset-cookie:  a \xe9 \r\nConnection: close\r\n\r\nx`,
    );
  });

  const LENGTH = "Content-Length: 1\r\n";
  test.each([
    ["Connection: close", 0],
    ["Connection: Foo, CLOSE", 0],
    ["Connection: keep-alive", ORIGIN_IDLE_MS],
    ["Keep-Alive: timeout=60, max=9", ORIGIN_IDLE_MS],
    ["Keep-Alive: max=9, timeout=3", 2_000],
    ["Keep-Alive: timeout=1", 0],
    ["Keep-Alive: timeout=0", 0],
    ["WWW-Authenticate: NTLM", 0],
    ["WWW-Authenticate: Negotiate", 0],
    ["www-authenticate: negotiate YII=", 0],
    ['WWW-Authenticate: Basic realm="x", ntlm', 0],
    ['WWW-Authenticate: Basic realm="x"', ORIGIN_IDLE_MS],
    ["Persistent-Auth: true", 0],
    ["Proxy-Support: Session-Based-Authentication", 0],
  ])("with %s it is kept for %d ms", (field, keepMs) => {
    expect(readAll(`${OK}${LENGTH}${field}\r\n\r\nx`).keepMs).toBe(keepMs);
  });

  test.each(["HTTP/1.0 200 OK", "HTTP/1.1 421 Misdirected Request", "HTTP/1.1 426 Upgrade Required"])(
    "after %s it is not kept",
    (line) => {
      expect(readAll(`${line}\r\nConnection: keep-alive\r\n${LENGTH}\r\nx`)).toMatchObject({
        phase: "done",
        keepMs: 0,
      });
    },
  );

  test("what follows a response makes it useless, and is shown to nobody", () => {
    for (const more of ["\r\n", `${OK}Content-Length: 6\r\n\r\nsecond`])
      expect(readAll(`${OK}${LENGTH}\r\nx${more}`)).toEqual({
        forward: `${OK}${LENGTH}Connection: close\r\n\r\nx`,
        phase: "done",
        keepMs: 0,
      });
  });
});

describe("what is not clear passes as it came, up to the connection's end", () => {
  test.each([
    [
      "a length and chunks",
      `${OK}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
    ],
    ["two lengths", `${OK}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc`],
    ["a list of lengths", `${OK}Content-Length: 3, 3\r\n\r\nabc`],
    ["a sign", `${OK}Content-Length: +3\r\n\r\nabc`],
    ["a length too large to count", `${OK}Content-Length: 1${"0".repeat(15)}\r\n\r\nabc`],
    ["another coding", `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
    ["chunked twice", `${OK}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n`],
    ["chunks of HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
    ["chunks of a 204", "HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n"],
    ["bare LF", "HTTP/1.1 200 OK\nContent-Length: 3\n\nabc"],
    ["one bare LF", `${OK}A: b\nContent-Length: 3\r\n\r\nabc`],
    ["a folded line", `${OK}A: b\r\n c\r\nContent-Length: 3\r\n\r\nabc`],
    ["a space before the colon", `${OK}Content-Length : 3\r\n\r\nabc`],
    ["a control character", `${OK}A: b\0c\r\nContent-Length: 3\r\n\r\nabc`],
    ["a switch that nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nfree talk"],
    ["HTTP/0.9", "<html>hello"],
    ["a banner", "220 mail.example ready\r\n"],
    ["another protocol's version", "HTTP/2.0 200 OK\r\n\r\n"],
    ["Shoutcast", "ICY 200 OK\r\nicy-name: x\r\n\r\naudio"],
  ])("%s", (_, input) => {
    expect(readAll(input)).toEqual({ forward: input, phase: "rest", keepMs: 0 });
  });

  test("a response without a length ends with its connection, and its application is told so", () => {
    expect(readAll(`${OK}A: b\r\n\r\nbody`)).toEqual({
      forward: `${OK}A: b\r\nConnection: close\r\n\r\nbody`,
      phase: "rest",
      keepMs: 0,
    });
  });

  test("broken chunks, from where they break", () => {
    const head = `${OK}Transfer-Encoding: chunked\r\n`;
    expect(readAll(`${head}\r\n3\r\nabcX0\r\n\r\n`)).toEqual({
      forward: `${head}Connection: close\r\n\r\n3\r\nabcX0\r\n\r\n`,
      phase: "rest",
      keepMs: 0,
    });
  });

  test("a head that is too long, of which no byte is lost", () => {
    const input = `${OK}A: ${"b".repeat(HTTP_HEAD_MAX_BYTES)}\r\nContent-Length: 1\r\n\r\nx`;
    for (const cuts of [
      [],
      [100],
      [HTTP_HEAD_MAX_BYTES - 1],
      [HTTP_HEAD_MAX_BYTES],
      [HTTP_HEAD_MAX_BYTES + 1],
    ])
      expect(read(input, "GET", cuts)).toEqual({ forward: input, phase: "rest", keepMs: 0 });
  });
});

test("the first bytes that can be no response are passed on at once: somebody may wait for them", () => {
  expect(read("2")).toEqual({ forward: "2", phase: "rest", keepMs: 0 });
  expect(read("HTTP/1.")).toEqual({ forward: "", phase: "head", keepMs: 0 });
});
