import { describe, expect, test } from "bun:test";
import { Relay } from "../../src/runtime/relay.ts";
import { NotedSocket } from "../client/support/far.ts";
import { NotedStream } from "../client/support/noted-stream.ts";

const LARGE = 512 * 1024;

function joined() {
  const relay = new Relay();
  const stream = new NotedStream();
  const socket = new NotedSocket();
  relay.join(stream);
  relay.connect(socket);
  return { relay, stream, socket };
}

const nextTurn = () => new Promise<void>((resolve) => void setImmediate(resolve));

describe("a socket that gives much", () => {
  test("is read again after the others, not at once", async () => {
    const { relay, socket } = joined();
    relay.socketData(new Uint8Array(LARGE));
    expect(socket.calls).toEqual(["pause"]);
    await nextTurn();
    expect(socket.calls).toEqual(["pause", "resume"]);
  });

  test("is not stopped for little", () => {
    const { relay, socket } = joined();
    relay.socketData(new Uint8Array(1000));
    expect(socket.calls).toEqual([]);
  });

  test("stays unread while its stream takes no more, or has no link", async () => {
    for (const stop of ["full", "held"] as const) {
      const { relay, stream, socket } = joined();
      stream.takesMore = stop !== "full";
      relay.socketData(new Uint8Array(LARGE));
      if (stop === "held") relay.hold();
      await nextTurn();
      expect(socket.calls).not.toContain("resume");
      if (stop === "held") relay.go();
      else relay.onWritable();
      await nextTurn();
      expect(socket.calls.at(-1)).toBe("resume");
    }
  });

  test("is left alone once the relay has let go of it", async () => {
    const { relay, socket } = joined();
    relay.socketData(new Uint8Array(LARGE));
    relay.release();
    await nextTurn();
    expect(socket.calls).toEqual(["pause"]);
  });
});

test("a chunk that the socket takes in parts goes on where it stopped, and is given back at its end", () => {
  const { relay, stream, socket } = joined();
  socket.room = 5;
  const chunk = new Uint8Array(LARGE).map((_, index) => 97 + (index % 26));
  const expected = Buffer.from(chunk).toString("latin1");
  relay.onData(chunk);
  expect([socket.written, chunk.length]).toEqual(["abcde", LARGE]);
  socket.room = LARGE;
  relay.socketDrain();
  expect(socket.written === expected).toBe(true);
  expect([stream.consumedBytes, chunk.length]).toEqual([LARGE, 0]);
});
