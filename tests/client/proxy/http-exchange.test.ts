import { describe, expect, test } from "bun:test";
import { HttpExchange } from "../../../src/client/proxy/http-exchange.ts";
import { createNegotiation } from "../../../src/client/proxy/negotiation.ts";
import type { StreamListener } from "../../../src/runtime/tunnel-stream.ts";
import { at, type Far, NotedSocket, newFar, type Opened, useFars } from "../support/far.ts";
import { bytes, text } from "./harness.ts";

useFars();

/** Sends a request as an application would, in one piece. */
function ask(far: Far, head: string, waitMs = 1_000) {
  const step = createNegotiation({ keepOrigins: true }).push(bytes(`${head}\r\n\r\n`));
  if (step.kind !== "connect" || step.exchange === undefined) throw new Error("not a request to be read");
  const socket = new NotedSocket();
  const kept: [behind: string, inputEnded: boolean][] = [];
  const exchange = new HttpExchange(
    socket,
    { ...step, exchange: step.exchange },
    {
      pool: far.pool,
      waitMs,
      onReject: (reason) => void far.rejected.push(reason),
      onKept: (behind, inputEnded) => void kept.push([text(behind), inputEnded]),
      keeper: far.keeper,
    },
  );
  exchange.start();
  return { socket, exchange, kept };
}

const GET = "GET http://a.example/x HTTP/1.1";
const POST = "POST http://a.example/x HTTP/1.1\r\nContent-Length: 4";
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/** How it is told to an application whose connection is kept, and to one whose is not. */
const SHOWN = OK;
const LAST = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

/** A whole request and its response, after which a connection is kept. */
function warm(far: Far): Opened {
  ask(far, GET);
  const opened = at(far, far.opened.length - 1);
  opened.listener.onResponse("connected");
  opened.listener.onData(bytes(OK));
  expect(far.pool.stats().kept).toBe(1);
  return opened;
}

describe("a request and its response", () => {
  test("then both connections are free for others", () => {
    const far = newFar();
    const { socket, exchange, kept } = ask(far, GET);
    const { listener, stream } = at(far, 0);
    expect(stream.written).toBe("GET /x HTTP/1.1\r\nHost: a.example\r\nConnection: keep-alive\r\n\r\n");
    expect(far.waiting).toBe(1);
    listener.onResponse("connected");
    expect(far.waiting).toBe(0);
    listener.onData(bytes(OK));
    expect(socket.written).toBe(SHOWN);
    expect([socket.calls, kept, exchange.done]).toEqual([["resume"], [["", false]], true]);
    expect(stream).toMatchObject({ calls: [], consumedBytes: OK.length });
    expect(far.pool.stats().kept).toBe(1);
    exchange.socketClose();
    expect(stream.calls).toEqual([]);
  });

  test("the next one goes over the same", () => {
    const far = newFar();
    const { listener, stream } = warm(far);
    const { socket } = ask(far, GET);
    expect([far.opened.length, far.pool.stats()]).toEqual([1, { kept: 0, reused: 1, repeated: 0 }]);
    listener.onData(bytes(OK));
    expect(socket.written).toBe(SHOWN);
    expect(stream.written.match(/GET/g)).toHaveLength(2);
    expect(far.pool.stats().kept).toBe(1);
  });

  test("two at once have two connections", () => {
    const far = newFar();
    const first = warm(far);
    const [one, two] = [ask(far, GET), ask(far, GET)];
    expect(far.opened).toHaveLength(2);
    at(far, 1).listener.onData(bytes(OK.replace("ok", "B!")));
    first.listener.onData(bytes(OK.replace("ok", "A!")));
    expect([one.socket.written.slice(-2), two.socket.written.slice(-2)]).toEqual(["A!", "B!"]);
    expect(far.pool.stats().kept).toBe(2);
  });

  test.each([
    POST,
    "PATCH http://a.example/x HTTP/1.1",
    "PUT http://a.example/x HTTP/1.1\r\nContent-Length: 4",
  ])("%j has a connection of its own, though one is kept, and leaves it to the next", (head) => {
    const far = newFar();
    warm(far);
    const { exchange } = ask(far, head);
    exchange.socketData(bytes("body"));
    expect(far.opened).toHaveLength(2);
    at(far, 1).listener.onData(bytes(OK));
    expect(far.pool.stats()).toEqual({ kept: 2, reused: 0, repeated: 0 });
  });

  test("no kept connection is used while there is no link: a new one can be given up in time", async () => {
    const far = newFar();
    warm(far);
    far.state = "down";
    const { socket } = ask(far, GET, 5);
    expect(far.opened).toHaveLength(2);
    await Bun.sleep(30);
    expect(socket.written).toStartWith("HTTP/1.1 503 ");
    expect(at(far, 1).stream.calls).toEqual(["reset"]);
    expect(far.waiting).toBe(0);
  });
});

describe("an application that is slow", () => {
  test("has its origin wait: credit only for what it took, and nothing is kept before", () => {
    const far = newFar();
    const { socket, exchange, kept } = ask(far, GET);
    const { listener, stream } = at(far, 0);
    socket.room = 0;
    const body = "b".repeat(10_000);
    const response = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    listener.onData(bytes(response));
    expect([stream.consumedBytes, far.pool.stats().kept]).toEqual([0, 0]);
    socket.room = 5_000;
    exchange.socketDrain();
    expect(stream.consumedBytes).toBeGreaterThan(4_000);
    expect(stream.consumedBytes).toBeLessThan(6_000);
    expect([far.pool.stats().kept, kept]).toEqual([0, []]);
    socket.room = Number.POSITIVE_INFINITY;
    exchange.socketDrain();
    expect([stream.consumedBytes, far.pool.stats().kept]).toEqual([response.length, 1]);
    expect(socket.written).toEndWith(body);
    expect(kept).toEqual([["", false]]);
  });

  test.each([
    ["ends", (one: StreamListener) => one.onFin(), ["finish", "release"]],
    ["breaks", (one: StreamListener) => one.onReset("connection"), []],
    ["says more", (one: StreamListener) => one.onData(bytes("garbage")), ["finish"]],
  ])("loses nothing if the origin's connection %s meanwhile, which is not kept then", (_, happen, calls) => {
    const far = newFar();
    const { socket, exchange } = ask(far, GET);
    const { listener, stream } = at(far, 0);
    socket.room = 10;
    listener.onData(bytes(OK));
    happen(listener);
    socket.room = Number.POSITIVE_INFINITY;
    exchange.socketDrain();
    expect(socket.written).toBe(SHOWN);
    expect([far.pool.stats().kept, stream.calls]).toEqual([0, calls]);
    expect(socket.calls).not.toContain("terminate");
  });

  test("an upload waits for its stream", () => {
    const far = newFar();
    const { socket, exchange } = ask(far, POST);
    const { listener, stream } = at(far, 0);
    stream.takesMore = false;
    exchange.socketData(bytes("bo"));
    expect(socket.calls).toEqual(["pause"]);
    listener.onWritable();
    expect(socket.calls).toEqual(["pause", "resume"]);
  });
});

describe("an application that leaves", () => {
  test("in mid-response: the origin's connection is reset, not kept", () => {
    const far = newFar();
    const { exchange } = ask(far, GET);
    const { listener, stream } = at(far, 0);
    listener.onData(bytes(OK.slice(0, -1)));
    exchange.socketClose(new Error("gone"));
    expect([stream.calls, far.pool.stats().kept, exchange.done]).toEqual([["reset"], 0, true]);
  });

  test("when it takes no more bytes", () => {
    const far = newFar();
    const { socket } = ask(far, GET);
    socket.room = -1;
    at(far, 0).listener.onData(bytes(OK));
    expect([at(far, 0).stream.calls, socket.calls]).toEqual([["reset"], ["terminate"]]);
  });

  test("an end before the answer goes on as an end; the answer comes all the same, and nothing is kept", () => {
    const far = newFar();
    const { socket, exchange } = ask(far, GET);
    const { listener, stream } = at(far, 0);
    exchange.socketEnd();
    expect(stream.calls).toEqual(["finish"]);
    listener.onData(bytes(OK));
    expect([socket.written, far.pool.stats().kept]).toEqual([LAST, 0]);
    expect(socket.calls.at(-1)).toBe("end");
    expect(exchange.done).toBe(true);
  });

  test("a response before all of the request: it is passed on, and the rest of the upload dropped", () => {
    const far = newFar();
    const { socket, exchange } = ask(far, POST);
    const { listener, stream } = at(far, 0);
    exchange.socketData(bytes("bo"));
    listener.onData(bytes(OK));
    exchange.socketData(bytes("dy"));
    expect([socket.written, stream.calls, far.pool.stats().kept]).toEqual([LAST, ["reset"], 0]);
    expect(stream.written).toEndWith("\r\n\r\nbo");
  });

  test("broken chunks of a request end both sides", () => {
    const far = newFar();
    const { socket, exchange } = ask(far, "POST http://a.example/x HTTP/1.1\r\nTransfer-Encoding: chunked");
    exchange.socketData(bytes("zz\r\n"));
    expect(far.rejected).toEqual(["malformed chunk size"]);
    expect([at(far, 0).stream.calls, socket.calls]).toEqual([["reset"], ["terminate"]]);
  });

  test("a second request on its connection never reaches the origin", () => {
    const far = newFar();
    const { socket, exchange, kept } = ask(far, GET);
    exchange.socketData(bytes(`${GET}\r\n\r\n`));
    expect(at(far, 0).stream.written.match(/GET/g)).toHaveLength(1);
    // Its end is known, so nobody has to wait for the origin's.
    expect(at(far, 0).stream.calls).toEqual([]);
    at(far, 0).listener.onData(bytes("HTTP/1.1 200 OK\r\n\r\nuntil"));
    expect(at(far, 0).stream.calls).toEqual(["finish"]);
    at(far, 0).listener.onFin();
    expect([socket.calls.includes("shutdown"), kept]).toEqual([true, []]);
  });
});

describe("a kept connection that fails before the first byte", () => {
  test.each([
    ["ends", (one: StreamListener) => one.onFin()],
    ["breaks", (one: StreamListener) => one.onReset("connection")],
    ["was lost with its tunnel", (one: StreamListener) => one.onReset("lost")],
    [
      "says 408 (RFC 9110 section 15.5.9)",
      (one: StreamListener) => one.onData(bytes("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")),
    ],
  ])("%s: the same request goes over a new one, once", (_, fail) => {
    const far = newFar();
    const first = warm(far);
    const { socket } = ask(far, GET);
    fail(first.listener);
    expect(far.opened).toHaveLength(2);
    const second = at(far, 1);
    expect(first.stream.written).toBe(second.stream.written.repeat(2));
    expect([socket.written, socket.calls]).toEqual(["", []]);
    expect(far.pool.stats().repeated).toBe(1);
    second.listener.onResponse("connected");
    fail(second.listener);
    expect(far.opened).toHaveLength(2);
    expect(socket.written).toMatch(/^HTTP\/1.1 (?:502|408) /);
    expect(far.waiting).toBe(0);
  });

  test("after the first byte nothing is sent again", () => {
    const far = newFar();
    const { listener } = warm(far);
    const { socket } = ask(far, GET);
    listener.onData(bytes("HTTP/1.1 2"));
    listener.onFin();
    expect([far.opened.length, far.pool.stats().repeated]).toEqual([1, 0]);
    expect(socket.written).toStartWith("HTTP/1.1 502 ");
  });

  test("an application that is gone by then gets nothing sent again", () => {
    const far = newFar();
    const { listener } = warm(far);
    const { exchange } = ask(far, GET);
    exchange.socketClose(new Error("gone"));
    listener.onFin();
    expect(far.opened).toHaveLength(1);
  });

  test("one that has ended its input is not forgotten on the new connection", () => {
    const far = newFar();
    const { listener } = warm(far);
    const { exchange } = ask(far, GET);
    exchange.socketEnd();
    listener.onFin();
    expect(at(far, 1).stream.calls).toEqual(["finish"]);
  });
});

describe("a new connection that fails", () => {
  test.each([GET, POST])("before the first byte is a 502, and %j is sent once", (head) => {
    const far = newFar();
    const { socket, exchange } = ask(far, head);
    exchange.socketData(bytes("body"));
    at(far, 0).listener.onResponse("connected");
    at(far, 0).listener.onFin();
    expect(far.opened).toHaveLength(1);
    expect(socket.written).toStartWith("HTTP/1.1 502 ");
    expect(socket.written).toContain("the connection was lost before there was an answer");
    expect(socket.calls).toContain("shutdown");
  });

  test.each([
    ["refused", 502],
    ["timeout", 504],
    ["policy", 403],
    ["overloaded", 503],
  ] as const)("to connect (%s) is a %d", (result, status) => {
    const far = newFar();
    const { socket } = ask(far, GET);
    at(far, 0).listener.onResponse(result);
    expect(socket.written).toStartWith(`HTTP/1.1 ${status} `);
    expect(far.waiting).toBe(0);
  });

  test("because the tunnel takes no more is a 503", () => {
    const far = newFar();
    far.isFull = true;
    expect(ask(far, GET).socket.written).toStartWith("HTTP/1.1 503 ");
  });

  test("in mid-body: a reset cuts the application off, an end shows it what is missing", () => {
    for (const [fail, last] of [
      [(one: StreamListener) => one.onReset("connection"), "terminate"],
      [(one: StreamListener) => one.onFin(), "shutdown"],
    ] as const) {
      const far = newFar();
      const { socket } = ask(far, GET);
      at(far, 0).listener.onData(bytes(OK.slice(0, -1)));
      fail(at(far, 0).listener);
      expect(socket.calls).toContain(last);
      expect([socket.written, far.pool.stats().kept]).toEqual([SHOWN.slice(0, -1), 0]);
    }
  });
});
