import { describe, expect, test } from "bun:test";
import { createNegotiation } from "../../../src/client/proxy/negotiation.ts";
import { AssertionError } from "../../../src/proto/index.ts";
import { CORPUS } from "./corpus.ts";
import { bytes, connectStep, eachByte, play } from "./harness.ts";

describe("the result is the same for every split of", () => {
  test.each(CORPUS.map((sample) => [sample.name, sample] as const))("%s", (_, { input, credentials }) => {
    const whole = play(input, [], credentials);
    expect(play(input, eachByte(input), credentials)).toEqual(whole);
    for (const cut of eachByte(input)) expect(play(input, [cut], credentials)).toEqual(whole);
  });

  test.each([
    ["a head at the limit", 65_536],
    ["a head above the limit", 65_537],
  ])("%s", (_, size) => {
    const start = "GET http://h/ HTTP/1.1\r\nA: ";
    const input = bytes(`${start}${"a".repeat(size - start.length - 4)}\r\n\r\nbehind`);
    const whole = play(input);
    for (let cut = size - 10; cut < input.length; cut++) expect(play(input, [cut])).toEqual(whole);
  });
});

describe("the first byte", () => {
  test.each([
    ["\x05", "more"],
    ["\x04", "more"],
    ["C", "more"],
    ["x", "more"],
    ["\x00", "reject"],
    ["\x06", "reject"],
    ["\x16", "reject"],
    ["\r", "reject"],
    [" ", "reject"],
    ["\xff", "reject"],
  ])("%j leads to %s", (first, kind) => {
    expect<string>(play(bytes(first)).kind).toBe(kind);
  });

  test("of TLS is rejected without an answer that TLS could not read", () => {
    expect(play(bytes("\x16\x03\x01"))).toEqual({
      kind: "reject",
      written: "",
      reason: "first byte 0x16 starts neither SOCKS nor HTTP",
    });
  });

  test("may be waited for: no bytes are no step forward", () => {
    expect(createNegotiation({}).push(new Uint8Array(0))).toEqual({ kind: "more", reply: new Uint8Array(0) });
  });
});

test("a megabyte behind a request is handed back as a view, not copied", () => {
  const request = "CONNECT h:443 HTTP/1.1\r\n\r\n";
  const input = new Uint8Array(request.length + 2 ** 20);
  input.set(bytes(request));
  const { early } = connectStep(input);
  expect(early.length).toBe(2 ** 20);
  expect(early.buffer).toBe(input.buffer);
});

test("bytes pushed before are not read again from the caller's buffer", () => {
  const input = bytes("CONNECT h:443 HTTP/1.1\r\n\r\n");
  const negotiation = createNegotiation({});
  const chunk = input.slice(0, 10);
  negotiation.push(chunk);
  chunk.fill(0);
  expect(negotiation.push(input.subarray(10)).kind).toBe("connect");
});

test("using a negotiation after its end is our own fault", () => {
  const negotiation = createNegotiation({});
  negotiation.push(bytes("\x16"));
  expect(() => negotiation.push(bytes("x"))).toThrow(AssertionError);
});
