import { Link, Tunnel } from "../../src/proto/index.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { TunnelDriver } from "../../src/runtime/tunnel-driver.ts";
import { seededRandom } from "../proto/support/random.ts";
import { ratchetPair } from "../proto/support/ratchets.ts";

/** A client's driver with a link that stands, and what it sends. The server says nothing more. */
export function linkedDriver() {
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
  const carrier = { send: (message: Uint8Array) => sent.push(Uint8Array.from(message)) > 0, close() {} };
  driver.attach(link, carrier, (tunnel) => tunnel.offer(link, random(32)));
  const server = new Tunnel({ ...common, role: "server" });
  const plaintext = ends.server.open(sent[0] ?? new Uint8Array(0), undefined, now).frames;
  const first = Link.ofFirstPacket({ ...place, ratchet: ends.server, plaintext });
  server.accept(first.link, first.hello, "created", first.rest, now);
  driver.receive(link, server.pollTransmit(now)?.lead ?? new Uint8Array(0));
  return { driver, sent, lost, events };
}
