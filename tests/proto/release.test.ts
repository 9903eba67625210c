import { describe, expect, test } from "bun:test";
import { ChunkQueue } from "../../src/proto/chunk-queue.ts";
import { release } from "../../src/proto/release.ts";

const LARGE = 64 * 1024;

describe("release", () => {
  test("gives a large buffer back, and empties every view of it", () => {
    const bytes = new Uint8Array(LARGE);
    const view = bytes.subarray(5, 10);
    release(bytes);
    expect([bytes.length, view.length]).toEqual([0, 0]);
  });

  test("leaves a buffer alone that others may have a part of, and what is not worth it", () => {
    const whole = new Uint8Array(LARGE);
    for (const part of [whole.subarray(1), whole.subarray(0, LARGE - 1)]) release(part);
    const small = new Uint8Array(100);
    release(small);
    release(new Uint8Array(new SharedArrayBuffer(LARGE)));
    expect([whole.length, small.length]).toEqual([LARGE, 100]);
  });

  test("comes for a chunk with its last byte, and for all of a queue that is cleared", () => {
    const queue = new ChunkQueue();
    const [first, second] = [new Uint8Array(LARGE), new Uint8Array(LARGE)];
    queue.push(first);
    queue.push(second);
    queue.discard(LARGE - 1);
    expect(first.length).toBe(LARGE);
    queue.discard(LARGE);
    expect([first.length, second.length]).toEqual([0, LARGE]);
    queue.clear();
    expect(second.length).toBe(0);
  });
});
