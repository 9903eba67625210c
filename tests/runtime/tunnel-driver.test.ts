import { afterAll, afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { LIMITS, Link, Tunnel } from "../../src/proto/index.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { TunnelDriver } from "../../src/runtime/tunnel-driver.ts";
import { seededRandom } from "../proto/support/random.ts";
import { ratchetPair } from "../proto/support/ratchets.ts";

setDefaultTimeout(30_000);

const realNow = performance.now;
let sleptMs = 0;
performance.now = () => realNow.call(performance) + sleptMs;
afterAll(() => {
  performance.now = realNow;
});
const drivers: TunnelDriver[] = [];
afterEach(() => {
  for (const driver of drivers.splice(0)) driver.close("closed");
  sleptMs = 0;
});

/** A client's driver with a link that stands, and what it sends. The server says nothing more. */
function connected() {
  const random = seededRandom("driver");
  const common = { random, padding: "none" } as const;
  const ends = ratchetPair(random);
  const now = performance.now();
  const place = { padding: "none", jitter: 0.5, now } as const;
  const link = new Link({ ...place, slot: 0, gen: 0, ratchet: ends.client });
  const sent: Uint8Array[] = [];
  const lost: string[] = [];
  const events: string[] = [];
  const driver = new TunnelDriver({
    tunnel: new Tunnel({ ...common, role: "client" }),
    log: silentLog,
    onEvent: ({ kind }) => events.push(kind),
    onLinkLost: (_, reason) => lost.push(reason),
    onFailed: (error) => {
      throw error;
    },
  });
  drivers.push(driver);
  const carrier = { send: (message: Uint8Array) => sent.push(Uint8Array.from(message)) > 0, close() {} };
  driver.attach(link, carrier, (tunnel) => tunnel.offer(link, random(32)));
  const server = new Tunnel({ ...common, role: "server" });
  const plaintext = ends.server.open(sent[0] ?? new Uint8Array(0), undefined, now).frames;
  const first = Link.ofFirstPacket({ ...place, ratchet: ends.server, plaintext });
  server.accept(first.link, first.hello, "created", first.rest, now);
  driver.receive(link, server.pollTransmit(now)?.lead ?? new Uint8Array(0));
  return { driver, sent, lost, events };
}

const listener = { onResponse() {}, onData() {}, onFin() {}, onReset() {}, onFull() {}, onWritable() {} };
const DESTINATION = { host: { kind: "name", name: "a.example" }, port: 80 } as const;

describe("a timer that comes far too late", () => {
  test("does not cost the link, which gets its 3 and 10 s anew and is asked for life", async () => {
    const { driver, sent, lost, events } = connected();
    driver.open(DESTINATION, listener);
    await Bun.sleep(LIMITS.urgentPingDeadlineMs - 500);
    const before = sent.length;
    // Stopped for 20 s, which timers do not know of.
    sleptMs += 20_000;
    await Bun.sleep(700);
    expect({ lost, events }).toEqual({ lost: [], events: ["accepted"] });
    expect(sent.length).toBe(before + 1);
    await Bun.sleep(LIMITS.urgentPingDeadlineMs);
    expect({ lost, events }).toEqual({ lost: [], events: ["accepted", "suspect"] });
  });

  test("and one in time finds the silent link suspect after 3 s", async () => {
    const { driver, lost, events } = connected();
    driver.open(DESTINATION, listener);
    await Bun.sleep(LIMITS.urgentPingDeadlineMs + 200);
    expect({ lost, events }).toEqual({ lost: [], events: ["accepted", "suspect"] });
  });
});
