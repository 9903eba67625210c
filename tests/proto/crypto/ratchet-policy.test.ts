import { describe, expect, test } from "bun:test";
import { concatBytes } from "../../../src/proto/crypto/octets.ts";
import type { SplitRatchet } from "../../../src/proto/crypto/ratchet.ts";
import { ascii, repeated } from "../support/bytes.ts";
import { protocolErrorOf } from "../support/errors.ts";
import { seededRandom } from "../support/random.ts";
import {
  connectedPair,
  openAsLink,
  type RatchetPair,
  ratchetPair,
  send,
  startsChain,
} from "../support/ratchets.ts";

const HOUR = 3_600_000;
const MiB = 1024 * 1024;

describe("the step policy", () => {
  const chains = (pair: RatchetPair, times: readonly number[]) =>
    times.map((now) => [
      startsChain(send(pair.client, pair.server, now)),
      startsChain(send(pair.server, pair.client, now)),
    ]);

  test("renews both keys every 120 s of a link in use", () => {
    const pair = connectedPair();
    expect(chains(pair, [1_000, 119_999, 120_000, 121_000, 239_999, 240_000])).toEqual([
      [false, false],
      [false, false],
      [true, true],
      [false, false],
      [false, false],
      [true, true],
    ]);
  });

  test("takes turns: whoever has stepped waits for the other, however long", () => {
    const { client, server } = connectedPair({ overdueAfterMs: Number.POSITIVE_INFINITY });
    expect(startsChain(send(client, server, HOUR))).toBe(true);
    expect(startsChain(send(client, server, 5 * HOUR))).toBe(false);
    expect(startsChain(send(server, client, 5 * HOUR))).toBe(true);
    expect(startsChain(send(client, server, 5 * HOUR))).toBe(true);
  });

  test("counts what was opened as well as what was sealed, so that a download does not run on one chain", () => {
    const { client, server } = connectedPair({ stepAfterBytes: MiB });
    const chunk = repeated(1, 64 * 1024);
    let clientSteps = 0;
    let serverSteps = 0;
    for (let index = 0; index < 256; index++) {
      const packet = server.seal(ascii("data"), chunk, 0);
      serverSteps += Number(startsChain(packet));
      client.open(packet.lead, packet.body, 0);
      if (index % 4 === 3) clientSteps += Number(startsChain(send(client, server)));
    }
    // 16 MiB down, a key for each MiB or the little more until the client says something.
    for (const steps of [clientSteps, serverSteps]) {
      expect(steps).toBeGreaterThanOrEqual(12);
      expect(steps).toBeLessThanOrEqual(16);
    }
  });

  test("ends a link whose peer keeps an old chain for 360 s of its turn", () => {
    const { client, server } = connectedPair();
    // It is the server's turn from now on; its packets are sealed by a clock that stands still.
    expect(startsChain(send(client, server, 120_000))).toBe(true);
    const seal = () => server.seal(ascii("x"), undefined, 1_000);
    openAsLink(client, seal(), 480_000);
    const late = seal();
    const before = client.fingerprint();
    expect(protocolErrorOf(() => openAsLink(client, late, 480_001))).toBe("overdueStep");
    expect(client.fingerprint()).toEqual(before);
    // A new chain is in time whenever it comes.
    const { server: honest, client: patient } = connectedPair();
    send(patient, honest, 120_000);
    send(honest, patient, 10 * HOUR);
  });

  test("ends a link whose peer keeps an old chain for 4 GiB of its turn", () => {
    const { client, server } = connectedPair({ overdueAfterBytes: 4 * MiB, stepAfterBytes: MiB });
    const lazy = connectedPair({ overdueAfterBytes: 4 * MiB, stepAfterBytes: Number.POSITIVE_INFINITY });
    const chunk = repeated(1, 256 * 1024);
    const download = (from: SplitRatchet, to: SplitRatchet) => {
      for (let index = 0; index < 20; index++) {
        const packet = from.seal(ascii("data"), chunk, 0);
        to.open(packet.lead, packet.body, 0);
        // The other side has stepped: it is the sender's turn.
        if (index === 0) send(to, from, 120_000);
      }
    };
    download(server, client);
    expect(protocolErrorOf(() => download(lazy.server, lazy.client))).toBe("overdueStep");
  });

  test("a second step out of turn is refused", () => {
    const random = seededRandom("out of turn");
    const { client, server } = ratchetPair(random);
    send(client, server);
    const again = client.seal(ascii("x"), undefined, 0);
    const forged = concatBytes(Uint8Array.of(1), repeated(0, 8), random(32), again.lead.subarray(5));
    expect(protocolErrorOf(() => openAsLink(server, { lead: forged }))).toBe("unexpectedPacket");
    openAsLink(server, again);
  });
});
