import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { connect, createServer, type Server } from "node:net";
import type { RunningClient } from "../../src/client/client.ts";
import type { Log } from "../../src/runtime/log.ts";
import { type Home, useHomes } from "./support/home.ts";

// What a page in a browser on this machine can send to the proxy's port, by its name, an address, or a name that it has
// made point here (DNS rebinding): requests in origin-form, bodies of its own choice, WebSockets, TLS. None of it is a
// request to a proxy, whatever is in it, and none of it may open a stream.

setDefaultTimeout(60_000);

const newHome = useHomes();
const ANSWER =
  "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 74\r\nConnection: close\r\n\r\n" +
  "rvpn: this is a proxy: send an absolute http:// URL, or CONNECT host:port\n";

/** What a browser adds of itself, as for a request of a site's own page: no answer depends on it. */
const FETCH = "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n";

/** Somebody on the machine whom a request would reach if it were forwarded. */
class Victim {
  readonly #server: Server;
  reached = 0;

  constructor() {
    this.#server = createServer((socket) => {
      this.reached += 1;
      socket.end("HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsecret");
    });
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    return address.port;
  }

  close(): void {
    this.#server.close();
  }
}

let victim: Victim;
let target = 0;
afterEach(() => victim?.close());

async function start(options: Parameters<Home["startClient"]>[0] = {}): Promise<RunningClient> {
  victim = new Victim();
  target = await victim.listen();
  return await (await newHome()).startClient(options);
}

/** Sends `parts` one after the other, and returns all that came back until the other side ended. */
async function send(port: number, parts: readonly string[], pauseMs = 20): Promise<string> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  let told = "";
  socket.on("data", (bytes) => {
    told += bytes.toString("latin1");
  });
  const over = Promise.withResolvers<void>();
  socket.on("end", over.resolve);
  socket.on("close", () => over.resolve());
  // A proxy that has closed already resets what comes later.
  socket.on("error", () => over.resolve());
  for (const part of parts) {
    socket.write(part, "latin1");
    await Bun.sleep(pauseMs);
  }
  await over.promise;
  // Whatever it would still do, it does now.
  await Bun.sleep(pauseMs);
  socket.destroy();
  return told;
}

function expectNothingOpened(client: RunningClient): void {
  expect(client.status()).toMatchObject({ streams: 0, bytesUp: 0, bytesDown: 0 });
  expect(victim.reached).toBe(0);
}

const body = (text: string) =>
  `Content-Type: text/plain;charset=UTF-8\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
const socks5 = () =>
  `\x05\x01\x00\x05\x01\x00\x01\x7f\x00\x00\x01${String.fromCharCode(target >> 8, target & 255)}`;
const socks4 = () => `\x04\x01${String.fromCharCode(target >> 8, target & 255)}\x7f\x00\x00\x01\x00`;
const proxied = () => `GET http://127.0.0.1:${target}/ HTTP/1.1\r\nHost: 127.0.0.1:${target}\r\n\r\n`;
const tunnelled = () =>
  `CONNECT 127.0.0.1:${target} HTTP/1.1\r\nHost: 127.0.0.1:${target}\r\n\r\nGET / HTTP/1.0\r\n\r\n`;

describe("a page that aims a request at the port", () => {
  const hosts = ["localhost", "127.0.0.1", "[::1]", "evil.example", "metadata.google.internal"];

  test("gets one fixed answer, whatever it calls the host, and the connection is closed", async () => {
    const client = await start();
    for (const host of hosts) {
      for (const line of [
        "GET /",
        "POST /json/new",
        "HEAD /x",
        "PUT /",
        "OPTIONS /",
        "OPTIONS *",
        "DELETE //h/",
      ]) {
        const request = `${line} HTTP/1.1\r\nHost: ${host}:${client.port}\r\nOrigin: http://${host}\r\n${FETCH}\r\n`;
        const expected = line.startsWith("HEAD") ? ANSWER.slice(0, ANSWER.indexOf("\r\n\r\n") + 4) : ANSWER;
        expect([line, host, await send(client.port, [request], 1)]).toEqual([line, host, expected]);
      }
    }
    expectNothingOpened(client);
  });

  test("may ask with the Host of a forwarded site, and with X-Forwarded-Host: it is not forwarded", async () => {
    const client = await start();
    const host = `127.0.0.1:${target}`;
    const request = `GET / HTTP/1.1\r\nHost: ${host}\r\nX-Forwarded-Host: ${host}\r\nForwarded: host=${host}\r\n\r\n`;
    expect(await send(client.port, [request])).toBe(ANSWER);
    expectNothingOpened(client);
  });

  test("is told by no header that it may read the answer, in a preflight neither", async () => {
    const client = await start();
    const preflight =
      `OPTIONS / HTTP/1.1\r\nHost: localhost:${client.port}\r\nOrigin: https://evil.example\r\n` +
      "Access-Control-Request-Method: CONNECT\r\nAccess-Control-Request-Headers: proxy-authorization\r\n" +
      "Access-Control-Request-Private-Network: true\r\nAccess-Control-Request-Local-Network: true\r\n\r\n";
    const told = await send(client.port, [preflight]);
    expect(told).toBe(ANSWER);
    expect(told).not.toMatch(/access-control|cross-origin|set-cookie|server:|localhost|127\.0\.0\.1|ws/i);
  });

  test.each<[string, () => string]>([
    ["SOCKS5", socks5],
    ["SOCKS4", socks4],
    ["a proxy request", proxied],
    ["CONNECT", tunnelled],
  ])("and hides %s in a body of text/plain gets the same, and the body is nobody's", async (_, hidden) => {
    const client = await start();
    const head = `POST / HTTP/1.1\r\nHost: localhost:${client.port}\r\nOrigin: https://evil.example\r\n`;
    // In one piece; with the body behind the answer; with it in the middle of a form.
    expect(await send(client.port, [head + body(hidden())])).toBe(ANSWER);
    expect(await send(client.port, [head, body(hidden()), hidden(), hidden()])).toBe(ANSWER);
    expect(await send(client.port, [`${head}Content-Length: 0\r\n\r\n`, hidden(), hidden()])).toBe(ANSWER);
    const form = `--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n${hidden()}\r\n--b--\r\n`;
    expect(await send(client.port, [`${head}Transfer-Encoding: chunked\r\n\r\n`, form])).toBe(ANSWER);
    expectNothingOpened(client);
  });

  test("and tries to bring line breaks into its path or a header gets a 400", async () => {
    const client = await start();
    for (const request of [
      `GET /\n${proxied()}`,
      `GET / HTTP/1.1\nHost: h\n\n${proxied()}`,
      `GET / HTTP/1.1\r\nA: b\n\n${proxied()}`,
      `GET / HTTP/1.1\r\n \r\n${proxied()}`,
      `\r\n${proxied()}`,
    ]) {
      expect(await send(client.port, [request])).toMatch(/^(HTTP\/1\.1 400 |$)/);
    }
    expectNothingOpened(client);
  });
});

test("a WebSocket to the port is not opened, and its frames reach nobody", async () => {
  const client = await start();
  const upgrade =
    `GET /chat HTTP/1.1\r\nHost: localhost:${client.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
    "Origin: https://evil.example\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  expect(await send(client.port, [upgrade, socks5(), proxied()])).toBe(ANSWER);
  const socket = new WebSocket(`ws://127.0.0.1:${client.port}/`);
  const opened = await new Promise<boolean>((resolve) => {
    socket.onopen = () => resolve(true);
    socket.onclose = () => resolve(false);
    socket.onerror = () => resolve(false);
  });
  expect(opened).toBe(false);
  expectNothingOpened(client);
});

test("TLS gets no byte, also with a SOCKS request in its ClientHello", async () => {
  const client = await start();
  const padding = `${socks5()}${socks4()}${proxied()}`;
  const hello = `\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03${padding}`;
  expect(await send(client.port, [hello, socks5(), proxied()])).toBe("");
  // HTTP/2 without TLS, STUN, FTP's first word to a server that should speak first.
  expect(await send(client.port, ["\x00\x01\x00\x08\x21\x12\xa4\x42", socks5()])).toBe("");
  expect(await send(client.port, ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"])).toStartWith("HTTP/1.1 505 ");
  expectNothingOpened(client);
});

describe("a proxy request aimed at the proxy itself", () => {
  test("is refused by the server: there this address is the server's own", async () => {
    victim = new Victim();
    const home = await newHome();
    home.allow = [];
    await home.startServer();
    const client = await home.startClient();
    target = client.port;
    expect(await send(client.port, [proxied()])).toStartWith("HTTP/1.1 403 ");
    expect(await send(client.port, [tunnelled()])).toStartWith("HTTP/1.1 403 ");
    // RFC 1928: 2 is "not allowed by ruleset"; SOCKS4 knows 0x5b alone.
    expect(await send(client.port, [socks5()])).toStartWith("\x05\x00\x05\x02");
    expect(await send(client.port, [socks4()])).toStartWith("\x00\x5b");
  });

  test("ends after one round: what the server would connect back is in origin-form", async () => {
    // The server may reach loopback here, where the client is too; by default its policy refuses that before.
    const client = await start();
    const own = `127.0.0.1:${client.port}`;
    const told = await send(client.port, [
      `GET http://${own}/ HTTP/1.1\r\nHost: ${own}\r\nConnection: close\r\n\r\n`,
    ]);
    expect(told).toBe(ANSWER);
    expect(victim.reached).toBe(0);
  });
});

describe("with a password", () => {
  const credentials = { user: "alice", password: "correct-horse-battery" };
  const encoded = btoa(`${credentials.user}:${credentials.password}`);
  const wrong = btoa("alice:wrong-horse-battery");

  /** Everything that is reported, at every level. */
  function listLog(lines: string[]): Log {
    const add = (message: string, fields: unknown) =>
      void lines.push(`${message} ${JSON.stringify(fields ?? {})}`);
    return { error: add, warn: add, info: add, debug: add };
  }

  test("a page is not asked for it, so that no browser shows a dialogue or tries what it has stored", async () => {
    const client = await start({ credentials });
    const told = await send(client.port, [`GET / HTTP/1.1\r\nHost: localhost:${client.port}\r\n\r\n`]);
    expect(told).toBe(ANSWER);
  });

  test("neither the right one nor a wrong one is in any log line, in the status, or with the origin", async () => {
    const lines: string[] = [];
    const client = await start({ credentials, log: listLog(lines) });
    const request = (token: string) =>
      proxied().replace("\r\n\r\n", `\r\nConnection: close\r\nProxy-Authorization: Basic ${token}\r\n\r\n`);
    const password = (word: string) =>
      `\x05\x01\x02\x01\x05alice${String.fromCharCode(word.length)}${word}${socks5().slice(3)}GET / HTTP/1.0\r\n\r\n`;
    expect(await send(client.port, [request(encoded)])).toContain("secret");
    expect(await send(client.port, [password(credentials.password)])).toContain("secret");
    expect(await send(client.port, [request(wrong)])).toStartWith("HTTP/1.1 407 ");
    expect(await send(client.port, [password("wrong-horse-battery")])).toBe("\x05\x02\x01\x01");
    const inUrl = `GET http://alice:${credentials.password}@127.0.0.1:${target}/ HTTP/1.1\r\n\r\n`;
    expect(await send(client.port, [inUrl])).toStartWith("HTTP/1.1 400 ");
    expect(lines.filter((line) => line.includes("rejected")).length).toBeGreaterThanOrEqual(3);
    const told = [...lines, JSON.stringify(client.status())].join("\n");
    for (const secret of [credentials.password, encoded, wrong, "wrong-horse"])
      expect(told).not.toContain(secret);
  });
});
