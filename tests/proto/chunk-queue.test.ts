import { describe, expect, test } from "bun:test";
import { AssertionError } from "../../src/proto/assert.ts";
import { ChunkQueue } from "../../src/proto/chunk-queue.ts";
import type { Random } from "../../src/proto/random.ts";
import { toHex } from "./support/bytes.ts";
import { fuzzIterations } from "./support/iterations.ts";
import { below, seededRandom } from "./support/random.ts";

/** Every byte ever pushed in one array, and the chunk ends in another: slow and plain. */
class NaiveQueue {
  bytes: number[] = [];
  ends: number[] = [];
  base = 0;

  push(chunk: Uint8Array): void {
    this.bytes.push(...chunk);
    this.ends.push(this.bytes.length);
  }

  get heldBytes(): number {
    return this.bytes.length - this.base;
  }

  slice(offset: number, max: number): Uint8Array {
    const end = this.ends.find((each) => each > offset) ?? offset;
    return Uint8Array.from(this.bytes.slice(offset, Math.min(end, offset + max)));
  }

  discard(offset: number): void {
    this.base = Math.max(this.base, ...this.ends.filter((end) => end <= offset));
  }

  clear(): void {
    this.base = this.bytes.length;
  }
}

function step(random: Random, queue: ChunkQueue, naive: NaiveQueue): void {
  const held = naive.heldBytes;
  switch (below(random, 8)) {
    case 0:
    case 1: {
      const chunk = random(1 + below(random, 40));
      queue.push(chunk);
      return naive.push(chunk);
    }
    case 2: {
      const offset = below(random, naive.bytes.length + 1);
      queue.discard(offset);
      return naive.discard(offset);
    }
    case 3:
      if (below(random, 20) > 0) return;
      queue.clear();
      return naive.clear();
    default: {
      if (held === 0) return;
      const offset = naive.base + below(random, held);
      const max = 1 + below(random, 60);
      expect(toHex(queue.slice(offset, max))).toBe(toHex(naive.slice(offset, max)));
    }
  }
}

describe("ChunkQueue", () => {
  test("does what a naive queue does, whatever the order of operations", () => {
    for (let seed = 0; seed < Math.ceil(Math.min(fuzzIterations(), 20_000) / 50); seed++) {
      const random = seededRandom(`chunk queue ${seed}`);
      const queue = new ChunkQueue();
      const naive = new NaiveQueue();
      for (let round = 0; round < 150; round++) {
        step(random, queue, naive);
        expect([queue.end, queue.heldBytes]).toEqual([naive.bytes.length, naive.heldBytes]);
      }
    }
  });

  test("reads in order, back to an offset that was read before, and in order again", () => {
    const queue = new ChunkQueue();
    for (const text of ["000102", "0304", "05060708"]) queue.push(Uint8Array.fromHex(text));
    const read = (offset: number) => toHex(queue.slice(offset, 100));
    expect([read(0), read(3), read(5)]).toEqual(["000102", "0304", "05060708"]);
    expect([read(1), read(4), read(6)]).toEqual(["0102", "04", "060708"]);
  });

  test("copies nothing", () => {
    const queue = new ChunkQueue();
    const chunk = Uint8Array.of(1, 2, 3, 4);
    queue.push(chunk);
    expect(queue.slice(1, 2).buffer).toBe(chunk.buffer);
  });

  test("keeps a chunk until its last byte is discarded", () => {
    const queue = new ChunkQueue();
    queue.push(new Uint8Array(10));
    queue.push(new Uint8Array(10));
    queue.discard(9);
    expect(queue.heldBytes).toBe(20);
    queue.discard(10);
    expect(queue.heldBytes).toBe(10);
    queue.discard(20);
    expect([queue.heldBytes, queue.end]).toEqual([0, 20]);
  });

  test("knows nothing of bytes that are discarded or not there yet", () => {
    const queue = new ChunkQueue();
    queue.push(new Uint8Array(4));
    queue.push(new Uint8Array(4));
    queue.discard(4);
    for (const offset of [3, 8, -1]) expect(() => queue.slice(offset, 1)).toThrow(AssertionError);
    expect(() => queue.push(new Uint8Array(0))).toThrow(AssertionError);
  });

  test("reads a long queue in a time that grows with its length only", () => {
    const queue = new ChunkQueue();
    const chunk = new Uint8Array(16);
    for (let count = 0; count < 100_000; count++) queue.push(chunk);
    const begun = Bun.nanoseconds();
    for (let offset = 0; offset < queue.end; offset += 16) queue.slice(offset, 16);
    // Walking from the front for each read would take minutes.
    expect((Bun.nanoseconds() - begun) / 1e6).toBeLessThan(2_000);
  });
});
