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

describe.skipIf(process.platform !== "linux")("a socket whose stream may be given a little", () => {
  test.each(["at once", "when the tunnel has a link again"] as const)("gives no more, %s", async (when) => {
    const listener = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { open: (socket) => void socket.write(new Uint8Array(LARGE)), data() {} },
    });
    const relay = new Relay();
    const stream = new NotedStream();
    stream.takesMore = false;
    relay.join(stream);
    const socket = await Bun.connect({
      hostname: "127.0.0.1",
      port: listener.port,
      socket: { open: (socket) => socket.pause(), data: (_, bytes) => relay.socketData(bytes) },
    });
    relay.connect(socket);
    relay.onFull();
    await Bun.sleep(50);
    if (when === "at once") relay.onWritable(8_192);
    else {
      relay.hold();
      relay.onWritable(8_192);
      expect(stream.written.length).toBe(0);
      relay.go();
    }
    await Bun.sleep(50);
    expect(stream.written.length).toBe(8_192);
    socket.terminate();
    listener.stop(true);
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
