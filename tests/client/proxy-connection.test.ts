import { describe, expect, test } from "bun:test";
import { BEHIND_MAX_BYTES, HTTP_HEAD_MAX_BYTES } from "../../src/client/proxy/limits.ts";
import type { ProxyOptions } from "../../src/client/proxy-connection.ts";
import { bytes, CREDENTIALS } from "./proxy/harness.ts";
import { at, type Far, NotedSocket, newFar, proxyTo, useFars } from "./support/far.ts";

useFars();

/** An application at the proxy. */
function connect(far: Far, options: Partial<ProxyOptions> = {}) {
  const socket = new NotedSocket();
  const connection = proxyTo(far, socket, options);
  let seen = 0;
  return {
    socket,
    connection,
    say: (said: string) => connection.data(bytes(said)),
    /** What the application was told since it was asked last. */
    told: () => {
      const news = socket.written.slice(seen);
      seen = socket.written.length;
      return news;
    },
  };
}

const get = (path: string, ...fields: readonly string[]) =>
  [`GET http://a.example/${path} HTTP/1.1`, ...fields, "", ""].join("\r\n");
const post = (path: string, body: string, host = "a.example") =>
  `POST http://${host}/${path} HTTP/1.1\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const ok = (body: string, ...fields: readonly string[]) =>
  ["HTTP/1.1 200 OK", ...fields, `Content-Length: ${body.length}`, "", body].join("\r\n");
const last = (response: string) => response.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
const OK = ok("ok");

/** The origin of the nth stream says this. */
function answer(far: Far, index: number, response = OK): void {
  at(far, index).listener.onResponse("connected");
  at(far, index).listener.onData(bytes(response));
}

/** Answers all requests that have come, each with its method, path and body, until no more come of it. */
function answerAll(far: Far, answered: Map<number, number>): void {
  for (let index = 0; index < far.opened.length; index++) {
    const { stream, listener } = at(far, index);
    const from = answered.get(index) ?? 0;
    const [head = "", method, path] = /^(\w+) (\S+) [\s\S]*?\r\n\r\n/.exec(stream.written.slice(from)) ?? [];
    const length = Number(/^Content-Length: (\d+)/im.exec(head)?.[1] ?? 0);
    const body = stream.written.slice(from + head.length, from + head.length + length);
    if (head === "" || body.length < length) continue;
    answered.set(index, from + head.length + length);
    listener.onResponse("connected");
    listener.onData(bytes(ok(`${method} ${path} ${body}`)));
    index = -1;
  }
}

describe("after a response whose end is clear", () => {
  test.each([
    ["a length", "GET", OK],
    ["a length of nothing", "GET", ok("")],
    ["chunks", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"],
    ["204", "GET", "HTTP/1.1 204 No Content\r\n\r\n"],
    ["304 with a length", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 900\r\n\r\n"],
    ["HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n"],
    ["interim responses first", "GET", `HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${OK}`],
    ["an error of the origin's", "GET", "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone"],
  ])("(%s) the application's connection takes another request", (_, method, response) => {
    const far = newFar();
    const { say, told, socket, connection } = connect(far);
    say(get("1").replace("GET", method));
    answer(far, 0, response);
    expect(told()).toBe(response);
    expect([socket.calls.includes("shutdown"), connection.halfClosedSince]).toEqual([false, undefined]);
    say(get("2"));
    answer(far, 0);
    expect(told()).toBe(OK);
    expect([far.opened.length, far.waiting, far.pool.stats().reused]).toEqual([1, 0, 1]);
  });

  test("it does too where the origin's connection is not kept: closed, authenticated, ended, spoilt", () => {
    for (const [shown, spoil] of [
      [OK, "Connection: close"],
      ["HTTP/1.1 401 No\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n", undefined],
      [OK, "garbage"],
      [OK, "fin"],
    ] as const) {
      const far = newFar();
      const { say, told } = connect(far);
      say(get("1"));
      answer(far, 0, spoil === "Connection: close" ? ok("ok", spoil) : shown);
      if (spoil === "garbage") at(far, 0).listener.onData(bytes(ok("smuggled")));
      if (spoil === "fin") at(far, 0).listener.onFin();
      expect(told()).toBe(shown);
      say(get("2"));
      expect(far.opened).toHaveLength(2);
      answer(far, 1);
      expect(told()).toBe(OK);
    }
  });

  test("garbage that comes in one piece with a response is shown to nobody", () => {
    const far = newFar();
    const { say, told } = connect(far);
    say(get("1"));
    answer(far, 0, `${OK}${ok("smuggled")}`);
    expect(told()).toBe(OK);
    say(get("2"));
    answer(far, 1, ok("second"));
    expect(told()).toBe(ok("second"));
    expect(far.pool.stats()).toEqual({ kept: 1, reused: 0, repeated: 0 });
  });

  test("--pool off: the same, with a connection to the origin for each", () => {
    const far = newFar(false);
    const { say, told } = connect(far);
    for (const index of [0, 1]) {
      say(get(`${index}`));
      expect(at(far, index).stream.written).toContain("Connection: close\r\n");
      // This origin does not heed it.
      answer(far, index);
      expect(told()).toBe(OK);
      expect(at(far, index).stream.calls).toEqual(["finish"]);
    }
    expect(far.pool.stats().kept).toBe(0);
  });

  test("the next request may be for another origin, a POST, a CONNECT or a WebSocket", () => {
    const far = newFar();
    const { say, told, connection } = connect(far);
    say(get("1"));
    answer(far, 0);
    say(post("2", "body", "b.example:81"));
    answer(far, 1);
    say(get("3"));
    answer(far, 0);
    expect(told()).toBe(OK.repeat(3));
    say("CONNECT c.example:443 HTTP/1.1\r\n\r\nearly");
    at(far, 2).listener.onResponse("connected");
    at(far, 2).listener.onData(bytes("\x16\x03"));
    say("\x05raw");
    expect(told()).toBe("HTTP/1.1 200 Connection established\r\n\r\n\x16\x03");
    expect(far.opened.map(({ target }) => target)).toEqual(["a.example:80", "b.example:81", "c.example:443"]);
    expect(at(far, 2).stream.written).toBe("early\x05raw");
    connection.closed();
    expect(at(far, 2).stream.calls).toEqual(["reset", "release"]);

    const other = connect(far);
    other.say(post("1", "x"));
    answer(far, 3);
    other.say(get("ws", "Connection: Upgrade", "Upgrade: websocket"));
    answer(far, 4, "HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x00");
    other.say("\x81\x01x");
    expect(other.told()).toBe(`${OK}HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x00`);
    expect(at(far, 4).stream.written).toEndWith("\r\n\r\n\x81\x01x");
  });

  test.each(["\x05\x01\x00", "\x04\x01\x00\x50", "\x16\x03\x01", " GET", "\r\r", "\r\n\r\n", "\n"])(
    "%j is no request: 400, and a gentle close",
    (said) => {
      const far = newFar();
      const { say, told, socket } = connect(far);
      say(get("1"));
      answer(far, 0);
      told();
      say(said);
      expect(told()).toMatch(/^HTTP\/1\.1 400 [\s\S]*\r\nConnection: close\r\n/);
      expect(socket.calls.at(-1)).toBe("shutdown");
      expect([far.rejected.length, far.opened.length]).toEqual([1, 1]);
    },
  );

  test.each(["GET", "POST"])("one empty line before %s is borne, however it is cut", (method) => {
    for (const cut of [0, 1, 2, 3]) {
      const far = newFar();
      const { say, told } = connect(far);
      say(get("1"));
      answer(far, 0);
      const input = `\r\n${get("2").replace("GET", method)}`;
      say(input.slice(0, cut));
      say(input.slice(cut));
      answer(far, far.opened.length - 1);
      expect(told()).toBe(OK + OK);
    }
  });
});

describe("the application is told that its connection ends, and it does", () => {
  test.each([
    ["it asks for that", get("1", "Connection: close")],
    ["it asks for that among other things", get("1", "Connection: X, CLOSE")],
    ["it asks for that as of old", get("1", "Proxy-Connection: close")],
    ["it speaks HTTP/1.0", get("1").replace("HTTP/1.1", "HTTP/1.0")],
    ["it asks to keep by HTTP/1.0", get("1", "Connection: keep-alive").replace("HTTP/1.1", "HTTP/1.0")],
    ["its credentials belong to a connection", get("1", "Authorization: NTLM TlRM")],
  ])("because %s", (_, request) => {
    for (const keeps of [true, false]) {
      const far = newFar(keeps);
      const { say, told, socket } = connect(far);
      say(`${request}${get("2")}`);
      answer(far, 0);
      expect(told()).toBe(last(OK));
      expect(socket.calls).toContain("shutdown");
      expect(far.opened).toHaveLength(1);
    }
  });

  test("because the origin speaks HTTP/1.0", () => {
    const far = newFar();
    const { say, told, socket } = connect(far);
    say(get("1"));
    answer(far, 0, OK.replace("HTTP/1.1", "HTTP/1.0"));
    expect(told()).toBe(last(OK).replace("HTTP/1.1", "HTTP/1.0"));
    expect(socket.calls).toContain("shutdown");
  });

  test("because only its end ends the response; what came behind the request is not served", () => {
    const far = newFar();
    const { say, told, socket } = connect(far);
    say(get("1") + get("2"));
    answer(far, 0, "HTTP/1.1 200 OK\r\n\r\nuntil ");
    at(far, 0).listener.onData(bytes("the end"));
    expect(socket.calls).not.toContain("shutdown");
    at(far, 0).listener.onFin();
    expect(told()).toBe(last("HTTP/1.1 200 OK\r\n\r\nuntil the end"));
    expect([socket.calls.includes("shutdown"), far.opened.length]).toEqual([true, 1]);
  });

  test("because the response began before all of the request had come", () => {
    const far = newFar();
    const { say, told, socket } = connect(far);
    say(post("1", "body").slice(0, -2));
    answer(far, 0, OK.slice(0, -1));
    say("dy");
    at(far, 0).listener.onData(bytes("k"));
    expect(told()).toBe(last(OK));
    expect(socket.calls).toContain("shutdown");
    // All of the request has come by now, so at least the origin's serves on.
    expect(far.pool.stats().kept).toBe(1);
  });

  test.each([
    ["is malformed", "GET /x HTTP/1.1\r\n\r\n", 400],
    ["has two lengths", get("x", "Content-Length: 1", "Content-Length: 1"), 400],
    ["has a head that is too long", `${get("x").slice(0, -2)}A: ${"b".repeat(HTTP_HEAD_MAX_BYTES)}`, 431],
  ])("because a later request %s", (_, request, status) => {
    const far = newFar();
    const { say, told, socket } = connect(far);
    say(get("1") + request);
    expect(told()).toBe("");
    answer(far, 0);
    const both = told();
    expect(both).toStartWith(`${OK}HTTP/1.1 ${status} `);
    expect(both).toContain("\r\nConnection: close\r\n");
    expect(socket.calls.at(-1)).toBe("shutdown");
  });

  test("because there is no way to the origin of a later request", () => {
    const far = newFar();
    const { say, told, socket } = connect(far);
    say(get("1"));
    answer(far, 0);
    say(post("2", "x"));
    at(far, 1).listener.onResponse("refused");
    expect(told()).toMatch(/^HTTP\/1\.1 200 [\s\S]*HTTP\/1\.1 502 [\s\S]*Connection: close\r\n/);
    expect(socket.calls).toContain("shutdown");
  });
});

describe("requests behind a request", () => {
  const input = [
    get("1"),
    post("2", "b\r\n\r\ny"),
    get("3"),
    "DELETE http://b.example/4 HTTP/1.1\r\n\r\n",
  ].join("");
  const output = ["GET /1 ", "POST /2 b\r\n\r\ny", "GET /3 ", "DELETE /4 "].map((body) => ok(body)).join("");

  test("wait for its answer, and are served one at a time, in order", () => {
    const far = newFar();
    const { say, told } = connect(far);
    const requests = () => far.opened.flatMap(({ stream }) => stream.written.match(/^\w+ \/\d/gm) ?? []);
    say(input);
    expect(requests()).toEqual(["GET /1"]);
    answer(far, 0, ok("a").slice(0, -1));
    expect(requests()).toEqual(["GET /1"]);
    at(far, 0).listener.onData(bytes("a"));
    expect(requests()).toEqual(["GET /1", "POST /2"]);
    answer(far, 1, ok("b"));
    answer(far, 1, ok("c"));
    answer(far, 2, ok("d"));
    expect(told()).toBe(["a", "b", "c", "d"].map((body) => ok(body)).join(""));
  });

  test("are the same however they are cut", () => {
    const all = Array.from({ length: input.length - 1 }, (_, index) => index + 1);
    for (const cuts of [[], all, ...all.map((cut) => [cut])]) {
      for (const answersBetween of [true, false]) {
        const far = newFar();
        const { say, told } = connect(far);
        const answered = new Map<number, number>();
        let start = 0;
        for (const end of [...cuts, input.length]) {
          say(input.slice(start, end));
          start = end;
          if (answersBetween) answerAll(far, answered);
        }
        answerAll(far, answered);
        expect(told()).toBe(output);
      }
    }
  });

  test("are bounded: the socket is paused, and read again for the next", () => {
    const far = newFar();
    const { say, told, socket } = connect(far);
    say(get("1"));
    const body = "b".repeat(BEHIND_MAX_BYTES);
    say(post("2", body).slice(0, 10_000));
    expect(socket.calls).toEqual([]);
    say(post("2", body).slice(10_000));
    expect(socket.calls.at(-1)).toBe("pause");
    // Its own stream does not open the door again.
    at(far, 0).listener.onWritable();
    expect(socket.calls.at(-1)).toBe("pause");
    answer(far, 0);
    expect(socket.calls.at(-1)).toBe("resume");
    expect(at(far, 1).stream.written).toEndWith(`\r\n\r\n${body}`);
    answer(far, 1);
    expect(told()).toBe(OK + OK);
  });

  test("are served although the application has ended its input behind them; then the connection ends", () => {
    for (const pieces of [[input], [get("1"), input.slice(get("1").length)]]) {
      const far = newFar();
      const { say, told, socket, connection } = connect(far);
      const answered = new Map<number, number>();
      for (const piece of pieces) say(piece);
      connection.end();
      expect(at(far, 0).stream.calls).toEqual([]);
      answerAll(far, answered);
      // The last one is that of the last request, where it says something.
      const end = output.lastIndexOf("HTTP/1.1");
      expect(told()).toBe(output.slice(0, end) + last(output.slice(end)));
      expect(socket.calls.slice(-2)).toEqual(["resume", "end"]);
    }
  });
});

describe("each request shows the proxy's password", () => {
  const PASSWORD = `Proxy-Authorization: Basic ${Buffer.from(`${CREDENTIALS.user}:${CREDENTIALS.password}`).toString("base64")}`;

  test("and one that does not is refused, though the one before it did", () => {
    for (const [request, status] of [
      [get("2"), 407],
      ["CONNECT b.example:443 HTTP/1.1\r\n\r\n", 407],
      [get("2", PASSWORD), 200],
      ["CONNECT b.example:443 HTTP/1.1\r\n".concat(PASSWORD, "\r\n\r\n"), 200],
    ] as const) {
      const far = newFar();
      const { say, told } = connect(far, { credentials: CREDENTIALS });
      say(get("1", PASSWORD));
      expect(at(far, 0).stream.written).not.toContain("Proxy-Authorization");
      answer(far, 0);
      told();
      say(request);
      if (status === 200) answer(far, far.opened.length - 1);
      expect(told()).toStartWith(`HTTP/1.1 ${status} `);
    }
  });
});

describe("a slow application", () => {
  test("has taken all of a response before its next request is read; credit is settled by then", () => {
    const far = newFar();
    const { say, told, socket, connection } = connect(far);
    const body = "b".repeat(300_000);
    say(get("1") + get("2"));
    socket.room = 1_000;
    for (const part of [ok(body).slice(0, 200_000), ok(body).slice(200_000)]) answer(far, 0, part);
    const { stream } = at(far, 0);
    expect(stream.consumedBytes).toBe(1_000);
    while (stream.consumedBytes < ok(body).length) {
      expect(stream.written.match(/GET/g)).toHaveLength(1);
      socket.room = 50_000;
      connection.drain();
    }
    expect(stream.consumedBytes).toBe(ok(body).length);
    expect(stream.written.match(/GET/g)).toHaveLength(2);
    socket.room = Number.POSITIVE_INFINITY;
    answer(far, 0);
    expect(told()).toBe(ok(body) + OK);
    expect(stream.consumedBytes).toBe(ok(body).length + OK.length);
  });

  test("is read again although its last request filled the stream, and gets all of a refusal", () => {
    const far = newFar();
    const { say, told, socket, connection } = connect(far);
    say(post("1", "bodybody").slice(0, -4));
    at(far, 0).stream.takesMore = false;
    say("body");
    expect(socket.calls).toEqual(["pause"]);
    answer(far, 0);
    expect(socket.calls).toEqual(["pause", "resume"]);
    told();
    socket.room = 20;
    say("\x05");
    expect(socket.calls).not.toContain("shutdown");
    socket.room = Number.POSITIVE_INFINITY;
    connection.drain();
    expect(told()).toMatch(/^HTTP\/1\.1 400 [\s\S]*rvpn: what follows a request is no HTTP request\n$/);
    expect(socket.calls.at(-1)).toBe("shutdown");
  });
});

describe("between two requests", () => {
  test("the connection is closed gently after a while, and a request that crosses that is dropped", async () => {
    const far = newFar();
    const { say, told, socket, connection } = connect(far, { idleMs: 20 });
    say(get("1"));
    answer(far, 0);
    told();
    expect(far.pool.stats().kept).toBe(1);
    await Bun.sleep(60);
    expect(socket.calls.slice(-1)).toEqual(["shutdown"]);
    say(get("2"));
    expect([told(), far.opened.length, socket.calls.at(-1)]).toEqual(["", 1, "shutdown"]);
    await Bun.sleep(2_100);
    expect(socket.calls.at(-1)).toBe("end");
    connection.closed();
  });

  test("the time is for a request that does not begin, not for one that is under way", async () => {
    const far = newFar();
    const { say, told, socket } = connect(far, { idleMs: 20 });
    say(get("1"));
    await Bun.sleep(40);
    answer(far, 0);
    say("G");
    await Bun.sleep(60);
    expect(socket.calls).not.toContain("shutdown");
    say(get("2").slice(1));
    answer(far, 0);
    expect(told()).toBe(OK + OK);
  });

  test("an application that ends its input, or vanishes, is let go; the origin's connection stays", () => {
    for (const leave of ["end", "closed"] as const) {
      const far = newFar();
      const { say, socket, connection } = connect(far);
      say(get("1"));
      answer(far, 0);
      connection[leave]();
      expect(socket.calls).toEqual(leave === "end" ? ["resume", "end"] : ["resume"]);
      expect([far.pool.stats().kept, at(far, 0).stream.calls]).toEqual([1, []]);
    }
  });

  test("an application that ended its input with its request has its answer, then the connection ends", () => {
    const far = newFar();
    const { say, told, socket, connection } = connect(far);
    say(get("1"));
    answer(far, 0);
    say(get("2"));
    connection.end();
    expect(connection.halfClosedSince).toBeNumber();
    answer(far, 0);
    expect(told()).toBe(OK + last(OK));
    expect(socket.calls.at(-1)).toBe("end");
  });
});

test("an origin that breaks in mid-body of a later response takes the application's connection along", () => {
  for (const response of [OK, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"]) {
    const far = newFar();
    const { say, socket } = connect(far);
    say(get("1"));
    answer(far, 0);
    say(get("2") + get("3"));
    answer(far, 0, response.slice(0, -1));
    at(far, 0).listener.onReset("connection");
    expect(socket.calls.at(-1)).toBe("terminate");
    expect(far.opened).toHaveLength(1);
  }
});

test("what the socket gave is its own again at once, what is kept of it a copy", () => {
  const far = newFar();
  const { connection } = connect(far);
  const piece = bytes(get("1") + post("2", "body"));
  connection.data(piece);
  piece.fill(0);
  answer(far, 0);
  expect(at(far, 1).stream.written).toEndWith("\r\n\r\nbody");
});
