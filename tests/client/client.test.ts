import { heapStats } from "bun:jsc";
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { generateIdentity } from "../../src/proto/index.ts";
import { secureRandom } from "../../src/runtime/random.ts";
import { Application, expectEcho, listener, PROTOCOLS } from "./support/application.ts";
import { type Home, until, useHomes } from "./support/home.ts";

setDefaultTimeout(60_000);

const newHome = useHomes();

const tunnelTo = (port: number) => `CONNECT 127.0.0.1:${port} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`;

describe.each(PROTOCOLS)("a request by $name", ({ request, connected, noTunnel, lost }) => {
  test("made while there is no link waits, and goes through once there is one", async () => {
    const home = await newHome();
    const echo = await listener(true);
    await home.stopServer();
    const client = await home.startClient({}, false);
    const application = new Application(client, request(echo.port));
    await Bun.sleep(300);
    expect([application.told.startsWith(noTunnel), application.error]).toEqual([false, undefined]);
    await home.startServer();
    await until(() => application.told.includes(connected));
    await until(() => echo.sockets.size === 1);
    application.leave();
    echo.close();
  });

  test("made while the server drains waits for its successor", async () => {
    const home = await newHome();
    home.drainMs = 1_500;
    await home.startServer();
    const echo = await listener(true);
    const client = await home.startClient();
    const running = new Application(client, tunnelTo(echo.port));
    await until(() => echo.sockets.size === 1);
    const drained = home.drainServer();
    await Bun.sleep(100);
    const application = new Application(client, request(echo.port));
    await Bun.sleep(500);
    expect([application.told, application.ended, application.error]).toEqual(["", false, undefined]);
    running.leave();
    await drained;
    await home.startServer();
    await until(() => application.told.includes(connected));
    await until(() => echo.sockets.size === 2);
    application.leave();
    echo.close();
  });

  test("made while the server drains for long is told after --wait that there is no tunnel", async () => {
    const home = await newHome();
    home.drainMs = 4_000;
    await home.startServer();
    const echo = await listener(true);
    const client = await home.startClient({ waitMs: 1_000 });
    const running = new Application(client, tunnelTo(echo.port));
    await until(() => echo.sockets.size === 1);
    const drained = home.drainServer();
    await Bun.sleep(100);
    const begun = performance.now();
    const application = new Application(client, request(echo.port));
    await until(() => application.ended || application.error !== undefined);
    expect(performance.now() - begun).toBeWithin(995, 2_000);
    expect(application.told).toStartWith(noTunnel);
    running.leave();
    await drained;
    echo.close();
  });

  test("is told after --wait that there is no tunnel", async () => {
    const home = await newHome();
    await home.stopServer();
    const client = await home.startClient({ waitMs: 400 }, false);
    const begun = performance.now();
    const application = new Application(client, request(80));
    await until(() => application.ended || application.error !== undefined);
    expect(performance.now() - begun).toBeWithin(395, 3_000);
    expect(application.error).toBeUndefined();
    expect(application.told).toStartWith(noTunnel);
  });

  test("that a restarted server has lost before its answer is told so, not cut off", async () => {
    const home = await newHome();
    const silent = await listener(false);
    const client = await home.startClient();
    home.wire.holding = true;
    const application = new Application(client, request(silent.port));
    await until(() => silent.sockets.size === 1);
    await home.stopServer();
    home.wire.cut();
    home.wire.holding = false;
    await home.startServer();
    await until(() => application.ended || application.error !== undefined);
    expect(application.error).toBeUndefined();
    expect(application.told).toStartWith(lost);
    silent.close();
  });
});

describe("requests without a link", () => {
  test("wait in 1,024s, and the next is refused at once", async () => {
    const home = await newHome();
    await home.stopServer();
    const client = await home.startClient({ waitMs: 30_000 }, false);
    const [{ request, noTunnel }] = PROTOCOLS as [(typeof PROTOCOLS)[0]]; // The list above is not empty.
    const waiting: Application[] = [];
    for (let count = 0; count < 1_024; count++) {
      waiting.push(new Application(client, request(80)));
      if (count % 64 === 63) await until(() => client.status().streams === count + 1);
    }
    const oneMore = new Application(client, request(80));
    await until(() => oneMore.ended);
    expect(oneMore.told).toStartWith(noTunnel);
    expect(waiting.filter(({ ended, error }) => ended || error !== undefined)).toEqual([]);
    for (const application of waiting) application.leave();
    await until(() => client.status().streams === 0);
    const again = new Application(client, request(80));
    await until(() => client.status().streams === 1);
    expect(again.ended).toBe(false);
    again.leave();
  });
});

describe("a client with three links", () => {
  const request = (port: number) => PROTOCOLS[0]?.request(port) ?? "";

  async function threeLinks(home: Home) {
    const echo = await listener(true);
    const client = await home.startClient({ links: 3 });
    await until(() => client.status().links.every(({ state }) => state === "up"));
    const applications = Array.from({ length: 6 }, () => new Application(client, request(echo.port)));
    await until(() => applications.every(({ told }) => told.startsWith("\x05\x00\x05\x00")));
    return { echo, client, applications };
  }

  test("spreads its streams over them, and tells each in its status", async () => {
    const home = await newHome();
    const { echo, client, applications } = await threeLinks(home);
    const { links, reconnects, link } = client.status();
    expect(links.map(({ slot, streams }) => [slot, streams])).toEqual([
      [0, 2],
      [1, 2],
      [2, 2],
    ]);
    for (const { ageSeconds, rttMs, since } of links) {
      expect([ageSeconds, rttMs]).toEqual([expect.any(Number), expect.any(Number)]);
      expect(Date.parse(since ?? "")).toBeWithin(Date.now() - 60_000, Date.now() + 1);
    }
    expect([link, reconnects, home.wire.connections]).toEqual(["up", 0, 3]);
    for (const application of applications) application.leave();
    echo.close();
  });

  test("loses nothing when one of them, and when all of them are cut", async () => {
    const home = await newHome();
    const { echo, client, applications } = await threeLinks(home);
    for (const cut of [() => home.wire.cutNewest(), () => home.wire.cut()]) {
      const { reconnects } = client.status();
      cut();
      await Promise.all(
        applications.map((application, at) => expectEcho(application, `hello ${at} after ${reconnects}`)),
      );
      await until(() => client.status().links.every(({ state }) => state === "up"));
      expect(client.status().reconnects).toBeGreaterThan(reconnects);
    }
    expect(client.status().links.map(({ streams }) => streams)).toEqual([2, 2, 2]);
    for (const application of applications) application.leave();
    echo.close();
  });

  test("takes a restarted server as one, and goes on with new requests", async () => {
    const home = await newHome();
    const { echo, client, applications } = await threeLinks(home);
    await home.startServer();
    home.wire.cut();
    await until(() => applications.every(({ error, ended }) => error !== undefined || ended));
    await until(() => client.status().links.every(({ state }) => state === "up"));
    const application = new Application(client, request(echo.port));
    await until(() => application.told.startsWith("\x05\x00\x05\x00"));
    await expectEcho(application, "after the restart");
    application.leave();
    echo.close();
  });
});

describe("what a client keeps", () => {
  /** WebSockets alive in this process, of client and server, once those that can be collected are. */
  function webSockets(): number {
    Bun.gc(true);
    return heapStats().objectTypeCounts["WebSocket"] ?? 0;
  }

  test("after 20 reconnects is what it kept before", async () => {
    const home = await newHome();
    const client = await home.startClient({ links: 2 });
    const allUp = () => client.status().links.every(({ state }) => state === "up");
    const reconnect = async () => {
      const { reconnects } = client.status();
      // Links that die younger would be dialled less and less often.
      await Bun.sleep(250);
      home.wire.cut();
      await until(() => client.status().reconnects >= reconnects + 2 && allUp());
    };
    await until(allUp);
    for (let round = 0; round < 5; round++) await reconnect();
    const before = webSockets();
    for (let round = 0; round < 20; round++) await reconnect();
    await until(() => webSockets() <= before + 2);
    const { links, reconnects } = client.status();
    expect(links.map(({ state, streams }) => [state, streams])).toEqual([
      ["up", 0],
      ["up", 0],
    ]);
    expect(reconnects).toBeGreaterThanOrEqual(50);
    expect(home.wire.open).toBe(4);
  });
});

describe("a wire that swallows everything", () => {
  test("is left for a new dial, which a request need not wait for longer than the wire is silent", async () => {
    const home = await newHome();
    const echo = await listener(true);
    const client = await home.startClient();
    const first = new Application(client, PROTOCOLS[0]?.request(echo.port) ?? "");
    await until(() => first.told.startsWith("\x05\x00\x05\x00"));
    home.wire.freeze();
    first.say("held");
    const begun = performance.now();
    await until(() => first.told.endsWith("held"), 15_000);
    // Suspect after 3 s; the second link carries it.
    expect(performance.now() - begun).toBeLessThan(8_000);
    first.leave();
    echo.close();
  });
});

describe("a server whose Accept is lost, and whose older link is gone by then", () => {
  test("is no tunnel: a request is told so after --wait, not after the deadline of Accept too", async () => {
    const home = await newHome();
    const echo = await listener(true);
    const client = await home.startClient({ waitMs: 1_000 });
    const [protocol] = PROTOCOLS;
    const first = new Application(client, protocol?.request(echo.port) ?? "");
    await until(() => first.told.startsWith("\x05\x00\x05\x00"));
    home.wire.unaccepting = true;
    home.wire.freeze();
    first.say("held");
    await until(() => home.wire.connections > 1);
    await Bun.sleep(200);
    home.wire.cutOldest();
    await until(() => client.status().link !== "up");
    const begun = performance.now();
    const second = new Application(client, protocol?.request(echo.port) ?? "");
    await until(() => second.ended || second.error !== undefined, 20_000);
    expect(performance.now() - begun).toBeWithin(700, 4_000);
    expect(second.told).toStartWith(protocol?.noTunnel ?? "nothing");
    first.leave();
    echo.close();
  });
});

describe("a server with another identity than the expected one", () => {
  test("is named as such in the log, and not as one out of reach", async () => {
    const home = await newHome();
    const lines: string[] = [];
    const note = (level: string) => (message: string) => void lines.push(`${level} ${message}`);
    const log = { error: note("error"), warn: note("warn"), info: note("info"), debug: () => {} };
    const serverKey = generateIdentity(secureRandom).publicKey;
    const client = await home.startClient({ serverKey, log }, false);
    expect(await client.finished).toEqual({ kind: "wrongServer" });
    expect(lines.filter((line) => !line.startsWith("info proxy"))).toEqual([
      "warn another server answered: its identity is not the one of the link",
    ]);
  });
});
