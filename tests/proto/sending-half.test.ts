import { describe, expect, test } from "bun:test";
import { AssertionError } from "../../src/proto/assert.ts";
import { LIMITS } from "../../src/proto/limits.ts";
import { type HeadFrame, SendingHalf } from "../../src/proto/sending-half.ts";
import { protocolErrorOf } from "./support/errors.ts";

const HEAD: HeadFrame = { type: "proxyResponse", stream: 0, result: "connected" };
const EXEMPT = LIMITS.exemptBytes;

/** A half whose head is out and which has `length` bytes queued. */
function half(length = 100): SendingHalf {
  const sending = new SendingHalf();
  sending.open(HEAD);
  sending.headSent();
  if (length > 0) sending.write(Uint8Array.from({ length }, (_, index) => index));
  return sending;
}

/** Sends the next `count` bytes, and says which they were. */
function send(sending: SendingHalf, count: number): number[] {
  const bytes = sending.peek(count);
  sending.bytesSent(bytes.length);
  return [...bytes];
}

describe("units", () => {
  test("0 is the head, 1 to n the bytes, n + 1 FIN", () => {
    const sending = new SendingHalf();
    expect([sending.started, sending.nextUnit]).toEqual([false, 0]);
    sending.open(HEAD);
    sending.headSent();
    expect([sending.started, sending.nextUnit]).toEqual([true, 1]);
    sending.write(Uint8Array.of(7, 8, 9));
    expect(send(sending, 10)).toEqual([7, 8, 9]);
    expect([sending.nextUnit, sending.finIsNext]).toEqual([4, false]);
    sending.finish();
    expect(sending.finIsNext).toBe(true);
    sending.finSent();
    expect([sending.nextUnit, sending.finIsNext, sending.unsentBytes]).toEqual([5, false, 0]);
  });

  test("FIN waits for the last byte, and a stream without bytes has it as unit 1", () => {
    const sending = half(3);
    sending.finish();
    expect(sending.finIsNext).toBe(false);
    send(sending, 3);
    expect(sending.finIsNext).toBe(true);
    const empty = half(0);
    empty.finish();
    expect([empty.finIsNext, empty.nextUnit]).toEqual([true, 1]);
  });

  test("nothing goes before the head, twice or behind FIN", () => {
    const sending = half();
    expect(() => sending.headSent()).toThrow(AssertionError);
    expect(() => sending.open(HEAD)).toThrow(AssertionError);
    expect(() => sending.finSent()).toThrow(AssertionError);
    sending.finish();
    expect(() => sending.write(Uint8Array.of(1))).toThrow(AssertionError);
  });
});

describe("acknowledgements", () => {
  test("free whole chunks, and only what they name", () => {
    const sending = half(10);
    sending.write(new Uint8Array(10));
    send(sending, 10);
    send(sending, 10);
    expect(sending.heldBytes).toBe(20);
    sending.ack(10); // Units below 10: nine bytes.
    expect(sending.heldBytes).toBe(20);
    sending.ack(11);
    expect(sending.heldBytes).toBe(10);
    sending.ack(21);
    expect(sending.heldBytes).toBe(0);
  });

  test("that go back change nothing", () => {
    const sending = half(10);
    send(sending, 10);
    sending.ack(11);
    sending.ack(3);
    expect([sending.heldBytes, sending.nextUnit]).toEqual([0, 11]);
  });

  test("of any unit make the direction known, of FIN complete", () => {
    const sending = half(1);
    expect(sending.known).toBe(false);
    sending.ack(1);
    expect(sending.known).toBe(true);
    send(sending, 1);
    sending.finish();
    sending.finSent();
    sending.ack(2);
    expect(sending.complete).toBe(false);
    sending.ack(3);
    expect(sending.complete).toBe(true);
  });

  test("complete it only once what still weighs in the peer's pool is within the exemption", () => {
    const sending = half(EXEMPT + 1);
    send(sending, EXEMPT + 1);
    sending.finish();
    sending.finSent();
    sending.ack(EXEMPT + 3);
    expect(sending.complete).toBe(false);
    sending.credit(1, LIMITS.initialWindowBytes);
    expect(sending.complete).toBe(true);
  });
});

describe("credit", () => {
  test("starts with 256 KiB and only grows", () => {
    const sending = half(100);
    expect(sending.creditBytes).toBe(LIMITS.initialWindowBytes);
    send(sending, 100);
    expect(sending.creditBytes).toBe(LIMITS.initialWindowBytes - 100);
    sending.credit(50, LIMITS.initialWindowBytes + 50);
    sending.credit(20, 30);
    expect([sending.creditBytes, sending.outstandingBytes]).toEqual([LIMITS.initialWindowBytes - 50, 50]);
  });

  test("for bytes that were never sent is the peer's fault", () => {
    const sending = half(100);
    send(sending, 60);
    expect(protocolErrorOf(() => sending.credit(61, 1_000))).toBe("badAck");
    expect(protocolErrorOf(() => sending.credit(60, 1_000))).toBe("none");
  });
});

describe("a new link", () => {
  test("goes on at the unit the peer expects, and counts what is repeated once", () => {
    const sending = half(100);
    send(sending, 80);
    sending.resume(31);
    expect([sending.nextUnit, sending.unsentBytes, sending.outstandingBytes]).toEqual([31, 70, 80]);
    expect(sending.repeatedBytes).toBe(50);
    expect(send(sending, 3)).toEqual([30, 31, 32]);
    send(sending, 47);
    expect([sending.repeatedBytes, sending.outstandingBytes]).toEqual([0, 80]);
  });

  test("has acknowledged everything below that unit", () => {
    const sending = half(100);
    send(sending, 100);
    sending.resume(101);
    expect(sending.heldBytes).toBe(0);
  });

  test("does not go back behind what the link before it acknowledged", () => {
    const sending = half(100);
    send(sending, 100);
    sending.ack(51);
    sending.resume(20);
    expect(sending.nextUnit).toBe(51);
  });

  test("goes on behind what the peer's application has taken", () => {
    const sending = half(100);
    send(sending, 100);
    sending.resume(20);
    sending.credit(60, LIMITS.initialWindowBytes + 60);
    expect(sending.nextUnit).toBe(61);
  });

  test("cannot expect what was never sent", () => {
    const sending = half(100);
    send(sending, 10);
    expect(protocolErrorOf(() => sending.resume(12))).toBe("badAck");
    expect(protocolErrorOf(() => sending.resume(11))).toBe("none");
  });

  test("sends FIN again where it was not acknowledged", () => {
    const sending = half(2);
    send(sending, 2);
    sending.finish();
    sending.finSent();
    sending.resume(3);
    expect(sending.finIsNext).toBe(true);
    sending.resume(4);
    expect([sending.finIsNext, sending.complete]).toEqual([false, true]);
  });

  test("whose peer says nothing of the stream goes on at what was acknowledged", () => {
    const sending = half(10);
    send(sending, 10);
    sending.ack(4);
    sending.resumeUnlisted();
    expect(send(sending, 2)).toEqual([3, 4]);
  });

  test("whose peer never had the stream starts at the head", () => {
    const sending = half(10);
    send(sending, 10);
    sending.restart();
    expect([sending.nextUnit, sending.started, sending.outstandingBytes]).toEqual([0, false, 0]);
    sending.headSent();
    expect(send(sending, 2)).toEqual([0, 1]);
  });

  test("cannot start again what the peer has had", () => {
    const sending = half(10);
    sending.ack(1);
    expect(() => sending.restart()).toThrow(AssertionError);
  });
});

test("abandon drops the bytes and keeps the count", () => {
  const sending = half(100);
  send(sending, 60);
  sending.abandon();
  expect([sending.heldBytes, sending.outstandingBytes]).toEqual([0, 60]);
});
