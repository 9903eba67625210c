import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { Application, expectEcho, listener, PROTOCOLS } from "./support/application.ts";
import { until, useHomes } from "./support/home.ts";

setDefaultTimeout(60_000);

// A bundle is signed, but whoever ends TLS can keep it and show it again when the server's process is another one.

const newHome = useHomes();
const [{ request, connected }] = PROTOCOLS as [(typeof PROTOCOLS)[0]]; // The list is not empty.
const cleanUp: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const undo of cleanUp.splice(0).toReversed()) await undo();
});

/** Who answers every link with `bundle`, and can do nothing with what it is told. */
function serveBundle(bundle: Uint8Array) {
  const heard: number[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request, server) => (server.upgrade(request) ? undefined : new Response("no")),
    websocket: {
      open: (ws) => void ws.sendBinary(bundle),
      message: (_ws, message) => void heard.push(message.length),
    },
  });
  cleanUp.push(() => server.stop(true));
  return { port: server.port, heard };
}

test.each([1, 3])("an old bundle costs a client of %d links no stream", async (links) => {
  const home = await newHome();
  const old = await home.bundle();
  await home.startServer();
  const echo = await listener(true);
  cleanUp.push(() => echo.close());
  const client = await home.startClient({ links });
  const application = new Application(client, request(echo.port));
  await until(() => application.told.startsWith(connected));
  await expectEcho(application, "before");

  const impostor = serveBundle(old);
  home.wire.target = impostor.port;
  home.wire.cut();
  await until(() => impostor.heard.length >= links);
  application.say("meanwhile");
  await Bun.sleep(100);
  expect([application.ended, application.error]).toEqual([false, undefined]);

  home.reachServer();
  home.wire.cut();
  await until(() => application.told.endsWith("meanwhile"));
  await expectEcho(application, "after");
  expect(echo.sockets.size).toBe(1);
  application.leave();
});
