import { describe, expect, test } from "bun:test";
import { bytes, play, type Summary } from "./harness.ts";

const GET = "GET http://example.com/ HTTP/1.1\r\n";

function status(summary: Summary): string {
  return summary.kind === "reject" ? summary.written.slice(0, 12) : summary.kind;
}

describe("a malformed HTTP head is refused with 400", () => {
  test.each([
    ["a bare LF behind the request line", "GET http://h/ HTTP/1.1\nHost: h\r\n\r\n"],
    ["a bare LF behind a field", `${GET}Host: h\nA: b\r\n\r\n`],
    ["two bare LFs for the end", `${GET}Host: h\r\n\n`],
    ["a bare CR in a field", `${GET}A: b\rC: d\r\n\r\n`],
    ["two CRs behind a field", `${GET}A: b\r\r\n\r\n`],
    ["a bare CR in the target", "GET http://h/\ra HTTP/1.1\r\n\r\n"],
    ["a NUL in a field", `${GET}A: b\x00c\r\n\r\n`],
    ["a DEL in a field", `${GET}A: b\x7fc\r\n\r\n`],
    ["a folded field", `${GET}A: b\r\n c\r\n\r\n`],
    ["a field folded with a tab", `${GET}A: b\r\n\tc\r\n\r\n`],
    ["a field before the first one that starts with a space", `${GET} A: b\r\n\r\n`],
    ["a space before the colon", `${GET}Host : h\r\n\r\n`],
    ["a tab before the colon", `${GET}Transfer-Encoding\t: chunked\r\n\r\n`],
    ["no colon", `${GET}Host\r\n\r\n`],
    ["no field name", `${GET}: h\r\n\r\n`],
    ["a field name that is not a token", `${GET}A(b): c\r\n\r\n`],
    ["a field name above ASCII", `${GET}\xc4: c\r\n\r\n`],
    ["two Hosts", `${GET}Host: a\r\nHost: a\r\n\r\n`],
    ["no version", "GET http://h/\r\n\r\n"],
    ["a version in lower case", "GET http://h/ http/1.1\r\n\r\n"],
    ["a version of two digits", "GET http://h/ HTTP/1.10\r\n\r\n"],
    ["two spaces", "GET  http://h/ HTTP/1.1\r\n\r\n"],
    ["a space in the target", "GET http://h/a b HTTP/1.1\r\n\r\n"],
    ["a tab for a space", "GET\thttp://h/ HTTP/1.1\r\n\r\n"],
    ["a space behind the version", "GET http://h/ HTTP/1.1 \r\n\r\n"],
    ["a control in the target", "GET http://h/\x01 HTTP/1.1\r\n\r\n"],
    ["a method that is not a token", "G(T http://h/ HTTP/1.1\r\n\r\n"],
    ["another protocol's greeting", "SSH-2.0-OpenSSH_9.2\r\n"],
    ["an empty first line", "G\r\n"],
  ])("%s", (_, input) => {
    expect(status(play(bytes(input)))).toBe("HTTP/1.1 400");
  });
});

test("another major version is refused with 505", () => {
  expect(status(play(bytes("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")))).toBe("HTTP/1.1 505");
});

describe("the size of an HTTP head", () => {
  const end = "\r\n\r\n";

  test("may be 64 KiB", () => {
    const input = `${GET}A: ${"b".repeat(65_536 - GET.length - 3 - end.length)}${end}body`;
    expect(play(bytes(input)).kind).toBe("connect");
  });

  test("is refused with 431 one byte later, complete or not", () => {
    const input = `${GET}A: ${"b".repeat(65_537 - GET.length - 3 - end.length)}${end}`;
    expect(status(play(bytes(input)))).toBe("HTTP/1.1 431");
    expect(status(play(bytes(input.slice(0, 65_536))))).toBe("HTTP/1.1 431");
    expect(status(play(bytes(input.slice(0, 65_535))))).toBe("more");
  });

  test("is limited for an endless request line too", () => {
    expect(status(play(bytes("G".repeat(70_000))))).toBe("HTTP/1.1 431");
  });

  test("may be 100 fields, and no more", () => {
    expect(status(play(bytes(`${GET}${"A: b\r\n".repeat(100)}\r\n`)))).toBe("connect");
    expect(status(play(bytes(`${GET}${"A: b\r\n".repeat(101)}\r\n`)))).toBe("HTTP/1.1 431");
  });

  test("does not cost more than it should when it comes byte by byte, or as blanks", () => {
    const blanks = bytes(`${GET}A: ${" ".repeat(60_000)}\r\n\r\n`);
    const cuts = Array.from({ length: blanks.length - 1 }, (_, index) => index + 1);
    const start = performance.now();
    expect(play(blanks, cuts).kind).toBe("connect");
    expect(performance.now() - start).toBeLessThan(2000);
  });
});

test("an error is answered as soon as its line is there, without waiting for the end of the head", () => {
  expect(status(play(bytes(`${GET}Host : h\r\n`)))).toBe("HTTP/1.1 400");
});

test("an error's answer is a whole response that says what was wrong and repeats nothing of the request", () => {
  const { written, reason } = play(
    bytes("GET /<script>alert(1)</script> HTTP/1.1\r\nHost: rebound.example\r\n\r\n"),
  );
  const content = "rvpn: this is a proxy: send an absolute http:// URL, or CONNECT host:port\n";
  expect(written).toBe(
    "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n" +
      `Content-Length: ${content.length}\r\nConnection: close\r\n\r\n${content}`,
  );
  expect(reason).toBe("400 this is a proxy: send an absolute http:// URL, or CONNECT host:port");
});

test("an error's answer to HEAD has no content", () => {
  const { written } = play(bytes("HEAD / HTTP/1.1\r\n\r\n"));
  expect(written).toContain("Content-Length: 74\r\n");
  expect(written).toEndWith("\r\n\r\n");
});
