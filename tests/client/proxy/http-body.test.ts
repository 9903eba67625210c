import { describe, expect, test } from "bun:test";
import { bytes, connectStep, play } from "./harness.ts";

const POST = "POST http://h/ HTTP/1.1\r\n";
const CHUNKED = `${POST}Transfer-Encoding: chunked\r\n\r\n`;
const CHUNKED_SENT = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";

/** What of a chunked body reaches the origin, and how it ends. */
function chunked(body: string): [string | undefined, string | undefined] {
  const { forwarded, upload } = play(bytes(CHUNKED + body));
  return [forwarded?.slice(CHUNKED_SENT.length), upload];
}

describe("a request body of known length", () => {
  test("goes on up to its last byte and no further", () => {
    const summary = play(bytes(`${POST}Content-Length: 5\r\n\r\nhelloGET http://x/`));
    expect(summary.forwarded).toEndWith("\r\n\r\nhello");
    expect(summary.upload).toBe("done");
  });

  test("is open until then", () => {
    expect(play(bytes(`${POST}Content-Length: 6\r\n\r\nhello`)).upload).toBe("open");
  });

  test("of 0 bytes is complete at once", () => {
    expect(play(bytes(`${POST}Content-Length: 0\r\n\r\nx`)).upload).toBe("done");
  });

  test("may be as long as it likes", () => {
    expect(play(bytes(`${POST}Content-Length: 999999999999999\r\n\r\nx`)).upload).toBe("open");
  });
});

describe("a request that could be read in two ways is refused", () => {
  test.each([
    ["400", "two lengths", "Content-Length: 5\r\nContent-Length: 6\r\n"],
    ["400", "the same length twice", "Content-Length: 5\r\nContent-Length: 5\r\n"],
    ["400", "a list of lengths", "Content-Length: 5, 5\r\n"],
    ["400", "a negative length", "Content-Length: -5\r\n"],
    ["400", "a signed length", "Content-Length: +5\r\n"],
    ["400", "a hexadecimal length", "Content-Length: 0x5\r\n"],
    ["400", "an empty length", "Content-Length:\r\n"],
    ["400", "a length before a no-break space", "Content-Length: 5\xa0\r\n"],
    ["400", "a length behind a no-break space", "Content-Length: \xa05\r\n"],
    ["400", "a length beyond counting", "Content-Length: 9999999999999999\r\n"],
    ["400", "a length and a coding", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"],
    ["400", "a coding and a length", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"],
    ["400", "chunked twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"],
    ["400", "chunked before another", "Transfer-Encoding: chunked, gzip\r\n"],
    ["400", "an empty coding", "Transfer-Encoding:\r\n"],
    ["400", "a coding and nothing", "Transfer-Encoding: chunked,\r\n"],
    ["400", "no chunked at the end", "Transfer-Encoding: identity\r\n"],
    ["400", "chunked with a prefix", "Transfer-Encoding: xchunked\r\n"],
    ["400", "chunked in a quote", 'Transfer-Encoding: "chunked"\r\n'],
    ["400", "chunked behind a vertical tab", "Transfer-Encoding: \x0bchunked\r\n"],
    ["501", "an unknown coding", "Transfer-Encoding: gzip, chunked\r\n"],
    [
      "501",
      "an unknown coding in a field of its own",
      "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
    ],
  ])("with %s for %s", (status, _, fields) => {
    expect(play(bytes(`${POST}${fields}\r\n`)).written).toStartWith(`HTTP/1.1 ${status} `);
  });

  test("with 400 for a coding in HTTP/1.0", () => {
    const input = "POST http://h/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    expect(play(bytes(input)).written).toStartWith("HTTP/1.1 400 ");
  });
});

describe("a chunked request body", () => {
  test.each([
    ["empty", "0\r\n\r\n"],
    ["one chunk", "5\r\nhello\r\n0\r\n\r\n"],
    ["sizes in either case", "a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n"],
    ["leading zeros", "005\r\nhello\r\n000\r\n\r\n"],
    ["extensions", '5;a=b;c="d e"\r\nhello\r\n0;x\r\n\r\n'],
    ["trailers", "0\r\nA: b\r\nC: d\r\n\r\n"],
    ["line ends in the data", "6\r\n\r\n0\r\n\r\r\n0\r\n\r\n"],
  ])("with %s is passed on as it is, up to its end", (_, body) => {
    expect(chunked(`${body}GET http://x/ HTTP/1.1\r\n\r\n`)).toEqual([body, "done"]);
  });

  test.each(["", "5", "5\r", "5\r\nhell", "5\r\nhello\r\n", "0\r\n", "0\r\n\r", "0\r\nA: b\r\n"])(
    "that stops after %j is still open",
    (body) => {
      expect(chunked(body)).toEqual([body, "open"]);
    },
  );

  test.each([
    ["no size", "", "\r\n"],
    ["an extension without a size", "", ";a\r\n"],
    ["a size that is no number", "", "xyz"],
    ["a signed size", "", "+5\r\n"],
    ["a prefixed size", "0", "x5\r\n"],
    ["blanks behind the size", "5", " \r\n"],
    ["a bare LF behind the size", "5", "\nhello"],
    ["a bare CR behind the size", "5\r", "hello"],
    ["a bare LF in an extension", "5;a", "\nhello"],
    ["a NUL in an extension", "5;a", "\x00\r\n"],
    ["data longer than the size", "5\r\nhello", "world\r\n"],
    ["a bare LF behind the data", "5\r\nhello", "\n0\r\n\r\n"],
    ["a bare LF for the end", "0\r\n", "\n"],
    ["a bare CR for the end", "0\r\n\r", "GET"],
    ["a bare LF in a trailer", "0\r\nA: b", "\nC: d\r\n\r\n"],
    ["a size with 14 digits", "f".repeat(13), "f\r\n"],
    ["an endless extension", `5;${"x".repeat(4096)}`, "x"],
    ["endless trailers", `0\r\n${"x".repeat(65_536)}`, "x"],
    ["endless short trailers", `0\r\n${"x\r\n".repeat(65_536)}`, "x"],
  ])("is cut off and reported at %s", (_, good, bad) => {
    const [forwarded, upload] = chunked(good + bad);
    expect(forwarded).toBe(good);
    expect(upload).not.toBe("done");
    expect(upload).not.toBe("open");
  });

  test("may have any number of chunks, each with its own extension", () => {
    expect(chunked(`${`1;${"x".repeat(100)}\r\na\r\n`.repeat(100)}0\r\n\r\n`)[1]).toBe("done");
  });

  test("reports its fault again to whoever asks, an error among the first bytes included", () => {
    const upload = connectStep(bytes(`${CHUNKED}zz`)).exchange?.upload;
    const again = upload?.push(new Uint8Array(0));
    expect(again).toEqual({ forward: new Uint8Array(0), done: true, fault: "malformed chunk size" });
  });
});
