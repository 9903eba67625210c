import { parseIp } from "../../../src/runtime/address.ts";

/** Ways to tell the proxy where to, as bytes: curl would read odd forms of addresses by itself. */
export const WAYS = ["socks5 address", "socks5 name", "socks4a", "connect", "http"] as const;
export type Way = (typeof WAYS)[number];

/** What the proxy said: connected, denied by the server's policy, or another failure, as the way's own code. */
export type Verdict = "connected" | "denied" | `failed ${string}`;

const LIMIT_MS = 20_000;

/** Asks for `host` (an address without brackets, or any other text) and `port`; undefined where the way has no form for it. */
export async function askProxy(
  proxyPort: number,
  way: Way,
  host: string,
  port: number,
): Promise<Verdict | undefined> {
  const request = requestOf(way, host, port);
  if (request === undefined) return undefined;
  const reply = await firstReply(proxyPort, request, way.startsWith("socks5"));
  return verdictOf(way, reply);
}

function requestOf(way: Way, host: string, port: number): Uint8Array | undefined {
  const ports = [port >> 8, port & 0xff];
  const text = new TextEncoder().encode(host);
  const authority = host.includes(":") ? `[${host}]` : host;
  switch (way) {
    case "socks5 address": {
      const address = parseIp(host);
      if (address === undefined) return undefined;
      return Uint8Array.from([5, 1, 0, address.length === 4 ? 1 : 4, ...address, ...ports]);
    }
    case "socks5 name":
      return Uint8Array.from([5, 1, 0, 3, text.length, ...text, ...ports]);
    case "socks4a":
      return Uint8Array.from([4, 1, ...ports, 0, 0, 0, 1, 0, ...text, 0]);
    case "connect":
      return new TextEncoder().encode(
        `CONNECT ${authority}:${port} HTTP/1.1\r\nHost: ${authority}:${port}\r\n\r\n`,
      );
    case "http":
      return new TextEncoder().encode(
        `GET http://${authority}:${port}/ HTTP/1.1\r\nHost: ${authority}:${port}\r\nConnection: close\r\n\r\n`,
      );
  }
}

/** The reply to the request proper, behind the greeting of SOCKS5. */
async function firstReply(port: number, request: Uint8Array, greets: boolean): Promise<Buffer> {
  const heard: Buffer[] = [];
  const done = Promise.withResolvers<void>();
  const late = setTimeout(() => done.reject(new Error(`no reply in ${LIMIT_MS} ms`)), LIMIT_MS);
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      open: (opened) => void opened.write(greets ? Uint8Array.of(5, 1, 0) : request),
      data: (asking, bytes) => {
        if (greets && heard.length === 0 && bytes.length === 2) asking.write(request);
        else done.resolve();
        heard.push(Buffer.from(bytes));
      },
      close: () => done.resolve(),
      error: () => done.resolve(),
    },
  });
  try {
    await done.promise;
  } finally {
    clearTimeout(late);
    socket.terminate();
  }
  return Buffer.concat(greets ? heard.slice(1) : heard);
}

function verdictOf(way: Way, reply: Buffer): Verdict {
  if (reply.length === 0) return "failed without a word";
  if (way.startsWith("socks5")) {
    const code = reply[1] ?? -1;
    return code === 0 ? "connected" : code === 2 ? "denied" : `failed ${code}`;
  }
  if (way === "socks4a") {
    const code = reply[1] ?? -1;
    // SOCKS4 has no code for it.
    return code === 90 ? "connected" : `failed ${code}`;
  }
  const status = reply.toString("latin1").split(" ")[1] ?? "";
  return status === "200" ? "connected" : status === "403" ? "denied" : `failed ${status}`;
}
