import { expect, test } from "bun:test";
import { DIAL_FAILURES } from "../../src/proto/destination.ts";
import { PROTOCOL_ERRORS } from "../../src/proto/errors.ts";
import { ACCEPT_RESULTS, FrameType, RESET_CODES } from "../../src/proto/frames.ts";
import { REFUSALS } from "../../src/proto/refusals.ts";

/** Numbers on the wire never change their meaning: a new one gets a new number. */

test("frame types", () => {
  expect(FrameType).toEqual({
    padding: 0x00,
    hello: 0x01,
    accept: 0x02,
    refuse: 0x03,
    proxyConnect: 0x04,
    proxyResponse: 0x05,
    proxyData: 0x06,
    windowUpdate: 0x07,
    packetAck: 0x08,
    reset: 0x09,
    resetAck: 0x0a,
    ping: 0x0c,
    pong: 0x0d,
    goAway: 0x0f,
    resume: 0x10,
    gateKey: 0x11,
  });
});

test("codes of dial failures, resets, accept results", () => {
  expect(Object.entries(DIAL_FAILURES).map(String)).toEqual(
    "general,1 policy,2 netUnreachable,3 hostUnreachable,4 refused,5 timeout,6 nameNotFound,7 nameServerFailed,8 overloaded,9".split(
      " ",
    ),
  );
  expect(RESET_CODES).toEqual({ connection: 1, cancelled: 2, idle: 3, lost: 4, closed: 5 });
  expect(ACCEPT_RESULTS).toEqual({ created: 1, resumed: 2, dropped: 3 });
});

test("codes of refusals, and which are final", () => {
  const codes = Object.entries(REFUSALS).map(([name, { code, final }]) => `${code} ${name} ${final}`);
  expect(codes).toEqual([
    "1 unknownClient true",
    "2 revoked true",
    "3 inviteUnknown true",
    "4 inviteExpired true",
    "5 inviteUsed true",
    "6 expired true",
    "7 tooMany false",
    "8 draining false",
    "9 staleLink false",
    "10 internal false",
  ]);
});

test("codes of errors are 1 to 20 in the order of the table", () => {
  const codes: number[] = Object.values(PROTOCOL_ERRORS).map(([code]) => code);
  expect(codes).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  expect(Object.keys(PROTOCOL_ERRORS).join(" ")).toBe(
    "malformed notCanonical unknownFrame tooLarge badTag unexpectedPacket unexpectedFrame unknownStream unitGap " +
      "streamCredit tunnelCredit tooManyStreams badAck badKey badSignature wrongIdentity unsupported overdueStep " +
      "dataAfterFin chainExhausted",
  );
});
