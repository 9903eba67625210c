import { describe, expect, test } from "bun:test";
import type { Socket } from "bun";
import { readSome } from "../../src/runtime/read-some.ts";
import { Relay } from "../../src/runtime/relay.ts";
import { NotedStream } from "../client/support/noted-stream.ts";

/** A paused socket on which `bytes` have arrived, and what Bun told of it. */
async function arrived(bytes: Uint8Array, end: "fin" | "reset" | "open") {
  const told: string[] = [];
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data() {},
      open(socket) {
        socket.write(bytes);
        if (end === "fin") socket.end();
        if (end === "reset") setTimeout(() => socket.terminate(), 20);
      },
    },
  });
  const socket: Socket & { readonly fd?: number } = await Bun.connect({
    hostname: "127.0.0.1",
    port: listener.port,
    allowHalfOpen: true,
    socket: {
      open: (opened) => void opened.pause(),
      data: (_, read) => void told.push(`${read.length} bytes`),
      end: () => void told.push("end"),
      close: (_, error) => void told.push(error === undefined ? "close" : "error"),
    },
  });
  await Bun.sleep(60);
  return {
    socket,
    told,
    [Symbol.dispose]: () => {
      socket.terminate();
      listener.stop(true);
    },
  };
}

/** Joins a socket whose peer sends `bytes` and ends to `stream`; resolves when the stream has been told of the end. */
async function relayed(bytes: Uint8Array, stream: NotedStream, relay: Relay): Promise<readonly number[]> {
  const reads: number[] = [];
  relay.join(stream);
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    data: { written: 0 },
    socket: {
      data() {},
      open: (socket) => send(socket),
      drain: (socket) => send(socket),
    },
  });
  const send = (socket: Socket<{ written: number }>) => {
    socket.data.written += socket.write(bytes, socket.data.written, bytes.length - socket.data.written);
    if (socket.data.written === bytes.length) socket.shutdown();
  };
  const ended = Promise.withResolvers<void>();
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port: listener.port,
    allowHalfOpen: true,
    socket: {
      data: (_, read) => {
        reads.push(read.length);
        relay.socketData(read);
      },
      end: () => {
        relay.socketEnd();
        ended.resolve();
      },
    },
  });
  relay.connect(socket);
  await ended.promise;
  socket.terminate();
  listener.stop(true);
  return reads;
}

describe.skipIf(process.platform !== "linux")("a socket that sends much", () => {
  const sent = new Uint8Array(48 * 2 ** 20).map((_, index) => index % 251);

  test("is read past Bun, every byte in order, and its end is heard", async () => {
    const stream = new NotedStream();
    const reads = await relayed(sent, stream, new Relay());
    expect(stream.written === Buffer.from(sent).toString("latin1")).toBe(true);
    expect(stream.calls).toEqual(["finish"]);
    expect(reads.reduce((sum, length) => sum + length, 0)).toBeLessThan(sent.length / 2);
  });

  test("is left alone while its stream takes no more", async () => {
    const stream = new NotedStream();
    const relay = new Relay();
    const write = stream.write.bind(stream);
    let writes = 0;
    stream.write = (bytes) => {
      write(bytes);
      writes += 1;
      if (writes % 5 > 0) return true;
      const before = writes;
      setTimeout(() => {
        expect(writes).toBe(before);
        relay.onWritable();
      }, 5);
      return false;
    };
    await relayed(sent, stream, relay);
    expect(stream.written === Buffer.from(sent).toString("latin1")).toBe(true);
  });
});

describe.skipIf(process.platform !== "linux")("a paused socket", () => {
  const sent = crypto.getRandomValues(new Uint8Array(30_000));

  test("is read in pieces, and its end is left for Bun", async () => {
    using open = await arrived(sent, "fin");
    const first = readSome(open.socket, 8_192);
    const second = readSome(open.socket, 1_000_000);
    expect(Buffer.concat([first ?? sent, second ?? sent])).toEqual(Buffer.from(sent));
    expect([first?.length, second?.length]).toEqual([8_192, sent.length - 8_192]);
    expect(readSome(open.socket, 8_192)).toBeUndefined();
    expect(open.told).toEqual([]);
    open.socket.resume();
    await Bun.sleep(20);
    expect(open.told).toEqual(["end"]);
  });

  // Bun then reads what is there, paused or not.
  test("that was reset gives nothing: all of it was told", async () => {
    using open = await arrived(sent, "reset");
    expect(open.told).toEqual([`${sent.length} bytes`, "error"]);
    expect(readSome(open.socket, 8_192)).toBeUndefined();
  });

  test("of which nothing has come, or that is closed, gives nothing", async () => {
    using open = await arrived(new Uint8Array(0), "open");
    expect(readSome(open.socket, 8_192)).toBeUndefined();
    open.socket.terminate();
    expect(readSome(open.socket, 8_192)).toBeUndefined();
  });

  test("of a tunnel whose memory is full gives its relay as much as it may have", async () => {
    using open = await arrived(sent, "open");
    const relay = new Relay();
    const stream = new NotedStream();
    relay.join(stream);
    relay.connect(open.socket);
    stream.takesMore = false;
    relay.onFull();
    for (const most of [8_192, 1_000]) relay.onWritable(most);
    expect(stream.written).toBe(Buffer.from(sent.subarray(0, 9_192)).toString("latin1"));
    await Bun.sleep(20);
    expect(open.told).toEqual([]);
    stream.takesMore = true;
    relay.onWritable(1_000);
    await Bun.sleep(20);
    expect(open.told).toEqual([`${sent.length - 10_192} bytes`]);
  });
});
