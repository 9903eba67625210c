import { describe, expect, test } from "bun:test";
import { TunnelPair } from "../support/tunnel-pair.ts";
import { RawPeer } from "./support/raw-peer.ts";

// PROTOCOL.md section 8, "A server that is gone".

describe("Accept", () => {
  const accept = (capabilities: number, resumeWindowMs?: number) => {
    const window = resumeWindowMs === undefined ? {} : { resumeWindowMs };
    const peer = RawPeer.ofServer({ ...window, hello: { capabilities } });
    return peer.frames.find(({ type }) => type === "accept");
  };

  test("states the resume window to a client that understands it, whatever else that says", () => {
    expect(accept(1, 300_000)).toMatchObject({ capabilities: 1, resumeWindowMs: 300_000 });
    expect(accept(2 ** 52 + 1, 0)).toMatchObject({ capabilities: 1, resumeWindowMs: 0 });
  });

  test("has the old form for any other client, and of a server that does not say", () => {
    expect(accept(6, 300_000)).toMatchObject({ capabilities: 0 });
    expect(accept(6, 300_000)).not.toHaveProperty("resumeWindowMs");
    expect(accept(1)).not.toHaveProperty("resumeWindowMs");
  });

  test("tells the client's shell", () => {
    const pair = new TunnelPair({ server: { resumeWindowMs: 7_000 } });
    pair.connect("created");
    expect(pair.clientEvents).toContainEqual({
      kind: "accepted",
      slot: 0,
      result: "created",
      resumeWindowMs: 7_000,
    });
  });
});

describe("a tunnel that is given up", () => {
  const givenUp = () => {
    const pair = new TunnelPair();
    const line = pair.connect("created");
    const started = pair.openStream();
    const broken = pair.openStream();
    pair.cut(line);
    pair.client.reset(broken, "connection");
    const fresh = pair.open();
    pair.client.write(fresh, Uint8Array.of(1, 2, 3), pair.now);
    pair.client.giveUp();
    pair.flush();
    return { pair, started, fresh };
  };

  test("breaks what was started, and nothing else", () => {
    const { pair, started } = givenUp();
    const resets = pair.clientEvents.filter(({ kind }) => kind === "reset");
    expect(resets).toEqual([{ kind: "reset", stream: started, code: "lost" }]);
    expect(pair.client.stats()).toMatchObject({ streams: 1, heldBytes: 3 });
  });

  test("leaves what never left to the next one, which knows nothing of the rest", () => {
    const { pair, fresh } = givenUp();
    pair.server = new TunnelPair().server;
    pair.serverEvents.length = 0;
    pair.connect("created", 0, pair.dice.random(32));
    const connects = pair.serverEvents.filter(({ kind }) => kind === "connect");
    expect(connects).toMatchObject([{ stream: fresh }]);
    expect(pair.received(pair.serverEvents, fresh)).toBe(3);
    expect(pair.server.stats().streams).toBe(1);
    pair.server.respond(fresh, "connected", pair.now);
    pair.client.finish(fresh, pair.now);
    pair.server.finish(fresh, pair.now);
    pair.server.consumed(fresh, 3, pair.now);
    pair.run();
    expect([pair.client.stats(), pair.server.stats()]).toMatchObject([{ streams: 0 }, { streams: 0 }]);
    pair.client.check();
    pair.server.check();
  });
});
