import { describe, expect, test } from "bun:test";
import { AssertionError } from "../../src/proto/assert.ts";
import { MAX_VARINT, Reader, varintLength, Writer } from "../../src/proto/bytes.ts";
import { hex, toHex } from "./support/bytes.ts";
import { protocolErrorOf } from "./support/errors.ts";
import { below, seededRandom } from "./support/random.ts";

function written(write: (writer: Writer) => void, size = 64): string {
  const writer = new Writer(new Uint8Array(size));
  write(writer);
  return toHex(writer.written());
}

/** RFC 9000 section 16, with big integers: the slow way. */
function varintByTheBook(value: bigint): string {
  const [bits, prefix] =
    value < 64n ? [8n, 0n] : value < 16_384n ? [16n, 1n] : value < 2n ** 30n ? [32n, 2n] : [64n, 3n];
  return ((prefix << (bits - 2n)) | value).toString(16).padStart(Number(bits) / 4, "0");
}

describe("varints", () => {
  test.each([
    // The examples of RFC 9000 appendix A.1, but for the one above 2^53 - 1.
    ["9d7f3e7d", 494_878_333],
    ["7bbd", 15_293],
    ["25", 37],
    ["00", 0],
    ["3f", 63],
    ["4040", 64],
    ["7fff", 16_383],
    ["80004000", 16_384],
    ["bfffffff", 2 ** 30 - 1],
    ["c000000040000000", 2 ** 30],
    ["c0000000ffffffff", 2 ** 32 - 1],
    ["c000000100000000", 2 ** 32],
    ["c01fffffffffffff", MAX_VARINT],
  ])("%s is %d", (text, value) => {
    expect(new Reader(hex(text)).varint()).toBe(value);
    expect(written((writer) => writer.varint(value))).toBe(text);
    expect(varintLength(value)).toBe((text.length / 2) as 1 | 2 | 4 | 8);
  });

  test("agree with the definition for random values of every size", () => {
    const random = seededRandom("varints");
    for (let round = 0; round < 2_000; round++) {
      const bits = below(random, 53) + 1;
      const value = Number(BigInt(`0x${toHex(random(8))}`) >> BigInt(64 - bits));
      const text = written((writer) => writer.varint(value));
      expect(text).toBe(varintByTheBook(BigInt(value)));
      expect(new Reader(hex(text)).varint()).toBe(value);
    }
  });

  test.each(["4000", "403f", "80000000", "80003fff", "c000000000000000", "c00000003fffffff"])(
    "%s is longer than its value needs",
    (text) => {
      expect(protocolErrorOf(() => new Reader(hex(text)).varint())).toBe("notCanonical");
    },
  );

  test.each(["c020000000000000", "ffffffffffffffff"])("%s is above 2^53 - 1", (text) => {
    expect(protocolErrorOf(() => new Reader(hex(text)).varint())).toBe("tooLarge");
  });

  test.each(["", "40", "8000", "800040", "c0000000400000", "c0"])("%s is cut off", (text) => {
    expect(protocolErrorOf(() => new Reader(hex(text)).varint())).toBe("malformed");
  });

  test.each([-1, 0.5, Number.NaN, MAX_VARINT + 1, Number.POSITIVE_INFINITY])("%d is no value", (value) => {
    expect(() => written((writer) => writer.varint(value))).toThrow(AssertionError);
  });
});

describe("fixed integers", () => {
  test("are big-endian", () => {
    const text = written((writer) => {
      writer.u8(0x01);
      writer.u16(0x0203);
      writer.u32(0x8405_0607);
    });
    expect(text).toBe("01020384050607");
    const reader = new Reader(hex(text));
    expect([reader.u8(), reader.u16(), reader.u32(), reader.remaining]).toEqual([1, 0x0203, 0x8405_0607, 0]);
  });

  test.each([
    ["u8", 0x100],
    ["u16", 0x1_0000],
    ["u32", 2 ** 32],
    ["u8", -1],
    ["u32", 1.5],
  ] as const)("%s refuses %d instead of wrapping it", (field, value) => {
    expect(() => written((writer) => writer[field](value))).toThrow(AssertionError);
  });

  test("reading past the end is the peer's fault", () => {
    for (const read of ["u8", "u16", "u32"] as const) {
      const size = { u8: 1, u16: 2, u32: 4 }[read];
      const reader = new Reader(new Uint8Array(size - 1));
      expect(protocolErrorOf(() => reader[read]())).toBe("malformed");
    }
    expect(protocolErrorOf(() => new Reader(hex("0102")).bytes(3))).toBe("malformed");
  });
});

describe("Writer", () => {
  test("knows what is written and what is free, and starts again after clear", () => {
    const writer = new Writer(new Uint8Array(8));
    writer.bytes(hex("aabb"));
    writer.zeros(2);
    expect([writer.length, writer.free, toHex(writer.written())]).toEqual([4, 4, "aabb0000"]);
    writer.clear();
    expect([writer.length, writer.free]).toEqual([0, 8]);
  });

  test("writes zeros over what an earlier packet left", () => {
    const writer = new Writer(new Uint8Array(4));
    writer.bytes(hex("ffffffff"));
    writer.clear();
    writer.zeros(4);
    expect(toHex(writer.written())).toBe("00000000");
  });

  test("writes into a part of a larger buffer", () => {
    const whole = new Uint8Array(6);
    new Writer(whole.subarray(2, 4)).u16(0x0102);
    expect(toHex(whole)).toBe("000001020000");
  });

  test("never writes outside of its bytes", () => {
    for (const write of [
      (writer: Writer) => writer.u8(1),
      (writer: Writer) => writer.u16(1),
      (writer: Writer) => writer.u32(1),
      (writer: Writer) => writer.bytes(new Uint8Array(1)),
      (writer: Writer) => writer.zeros(1),
    ]) {
      const writer = new Writer(new Uint8Array(2));
      writer.u16(0);
      expect(() => write(writer)).toThrow();
      expect(writer.length).toBe(2);
    }
  });
});

describe("Reader", () => {
  test("gives views, not copies", () => {
    const bytes = hex("01020304");
    const reader = new Reader(bytes.subarray(1));
    const view = reader.bytes(2);
    bytes[1] = 0xff;
    expect([toHex(view), reader.remaining]).toEqual(["ff03", 1]);
  });

  test("says whether the rest is zero, and takes it", () => {
    const zero = new Reader(hex("010000"));
    zero.u8();
    expect([zero.restIsZero(), zero.remaining]).toEqual([true, 0]);
    expect(new Reader(hex("000001")).restIsZero()).toBe(false);
    expect(new Reader(hex("")).restIsZero()).toBe(true);
  });
});
