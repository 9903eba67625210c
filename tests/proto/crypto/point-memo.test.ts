import { describe, expect, test } from "bun:test";
import { PointMemo } from "../../../src/proto/crypto/primitives/point-memo.ts";

function point(index: number): Uint8Array {
  const bytes = new Uint8Array(32);
  new DataView(bytes.buffer).setUint32(0, index);
  return bytes;
}

describe("what was computed of a point", () => {
  test("is computed once, and told apart by every byte", () => {
    const memo = new PointMemo<string>();
    const asked: string[] = [];
    const compute = (bytes: Uint8Array) => {
      asked.push(bytes.toHex());
      return bytes.toHex();
    };
    for (const index of [1, 2, 1, 2, 1]) expect(memo.get(point(index), compute)).toBe(point(index).toHex());
    expect(asked).toEqual([point(1).toHex(), point(2).toHex()]);
  });

  test("is forgotten when strangers' points need the room", () => {
    const memo = new PointMemo<number>();
    let computed = 0;
    const compute = () => ++computed;
    for (let index = 0; index < 10_000; index++) memo.get(point(index), compute);
    expect(computed).toBe(10_000);
    memo.get(point(9_999), compute);
    expect(computed).toBe(10_000);
    memo.get(point(0), compute);
    expect(computed).toBe(10_001);
  });

  test("is computed again after an error", () => {
    const memo = new PointMemo<number>();
    const fail = () => {
      throw new Error("no point");
    };
    expect(() => memo.get(point(1), fail)).toThrow("no point");
    expect(memo.get(point(1), () => 7)).toBe(7);
  });
});
