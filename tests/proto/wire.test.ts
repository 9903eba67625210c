import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { SUITE_CODES } from "../../src/proto/crypto/suites.ts";
import { PROTOCOL_ERRORS } from "../../src/proto/errors.ts";
import { acceptResults, dialResults, refusals, resetCodes } from "../../src/proto/frame-fields.ts";
import { FrameType, RESET_CODES } from "../../src/proto/frames.ts";
import { DIAL_FAILURES, LIMITS, LINK_KINDS, LINK_RATCHET, REFUSALS } from "../../src/proto/index.ts";

// Numbers that another implementation has built in. A change here is another protocol: it needs a new version.

test("PROTOCOL.md lists every error with the code and the sentence that logs show", () => {
  const text = readFileSync(join(import.meta.dir, "../../docs/PROTOCOL.md"), "utf8");
  const [, table = ""] = text.split("| error | code | means |");
  const rows = [...(table.split("\n\n")[0] ?? "").matchAll(/^\| (\w+) \| (\d+) \| (.*) \|$/gm)];
  expect(Object.fromEntries(rows.map(([, name, code, means]) => [name, [Number(code), means]]))).toEqual(
    Object.fromEntries(Object.entries(PROTOCOL_ERRORS).map(([name, entry]) => [name, [...entry]])),
  );
});

describe("wire numbers are frozen", () => {
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

  test("errors", () => {
    const codes = Object.entries(PROTOCOL_ERRORS).map(([name, [code]]) => [name, code]);
    expect(Object.fromEntries(codes)).toEqual({
      malformed: 1,
      notCanonical: 2,
      unknownFrame: 3,
      tooLarge: 4,
      badTag: 5,
      unexpectedPacket: 6,
      unexpectedFrame: 7,
      unknownStream: 8,
      unitGap: 9,
      streamCredit: 10,
      tunnelCredit: 11,
      tooManyStreams: 12,
      badAck: 13,
      badKey: 14,
      badSignature: 15,
      wrongIdentity: 16,
      unsupported: 17,
      overdueStep: 18,
      dataAfterFin: 19,
      chainExhausted: 20,
    });
  });

  test("refusals, and which of them end a client", () => {
    const codes = Object.entries(REFUSALS).map(([name, { code, final }]) => [name, [code, final]]);
    expect(Object.fromEntries(codes)).toEqual({
      unknownClient: [1, true],
      revoked: [2, true],
      inviteUnknown: [3, true],
      inviteExpired: [4, true],
      inviteUsed: [5, true],
      expired: [6, true],
      tooMany: [7, false],
      draining: [8, false],
      staleLink: [9, false],
      internal: [10, false],
    });
    expect(refusals.code("staleLink")).toBe(9);
  });

  test("dial results", () => {
    expect(DIAL_FAILURES).toEqual({
      general: 1,
      policy: 2,
      netUnreachable: 3,
      hostUnreachable: 4,
      refused: 5,
      timeout: 6,
      nameNotFound: 7,
      nameServerFailed: 8,
      overloaded: 9,
    });
    expect(dialResults.code("connected")).toBe(0);
    expect(dialResults.code("refused")).toBe(5);
  });

  test("reset codes", () => {
    expect(RESET_CODES).toEqual({ connection: 1, cancelled: 2, idle: 3, lost: 4, closed: 5 });
    expect(resetCodes.name(4)).toBe("lost");
  });

  test("accept results", () => {
    expect(["created", "resumed", "dropped"].map((name, index) => [name, index + 1])).toEqual(
      ([1, 2, 3] as const).map((code) => [acceptResults.name(code), code]),
    );
  });

  test("suites and kinds of links", () => {
    expect(SUITE_CODES).toEqual({ "aes-256-gcm": 1, "chacha20-poly1305": 2 });
    expect(LINK_KINDS).toEqual({ address: 0, invite: 1, seat: 2 });
  });
});

describe("limits that both ends must agree on are frozen", () => {
  test("sizes, credit and lists", () => {
    const { maxChunkBytes, minBodyBytes, maxFramesBytes, initialWindowBytes, exemptBytes } = LIMITS;
    expect([maxChunkBytes, minBodyBytes, maxFramesBytes]).toEqual([1_048_576, 16_384, 20_480]);
    expect([initialWindowBytes, exemptBytes]).toEqual([262_144, 8_192]);
    const { maxEarlyBytes, maxEarlyStreams, maxResumeEntries, maxSeenGap } = LIMITS;
    expect([maxEarlyBytes, maxEarlyStreams, maxResumeEntries, maxSeenGap]).toEqual([65_536, 16, 512, 32_768]);
    const { maxMessagesBeforeAccept, maxBytesBeforeAccept } = LIMITS;
    expect([maxMessagesBeforeAccept, maxBytesBeforeAccept]).toEqual([64, 262_144]);
  });

  test("when a peer is late with its ratchet", () => {
    const { stepAfterMs, stepAfterBytes, overdueAfterMs, overdueAfterBytes } = LINK_RATCHET;
    expect([stepAfterMs, stepAfterBytes]).toEqual([120_000, 2 ** 30]);
    expect([overdueAfterMs, overdueAfterBytes]).toEqual([360_000, 2 ** 32]);
  });
});
