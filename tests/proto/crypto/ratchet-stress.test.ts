import { describe, expect, test } from "bun:test";
import { concatBytes, equalBytes } from "../../../src/proto/crypto/octets.ts";
import type { Packet } from "../../../src/proto/crypto/packet.ts";
import type { Suite } from "../../../src/proto/crypto/primitives/index.ts";
import { SplitRatchet } from "../../../src/proto/crypto/ratchet.ts";
import type { Random } from "../../../src/proto/random.ts";
import { flipBit, repeated, toHex } from "../support/bytes.ts";
import { protocolErrorOf } from "../support/errors.ts";
import { below, pick, seededRandom } from "../support/random.ts";
import { ratchetPair } from "../support/ratchets.ts";

interface Sealed extends Packet {
  readonly frames: Uint8Array;
  readonly chunk: Uint8Array | undefined;
}

/** One end of a wire that keeps order, as a WebSocket does. */
class End {
  readonly ratchet: SplitRatchet;
  /** Sealed here, not yet opened over there. */
  readonly underWay: Sealed[] = [];
  readonly opened: Sealed[] = [];
  steps = 0;
  #maySeal: boolean;

  constructor(ratchet: SplitRatchet, maySeal: boolean) {
    this.ratchet = ratchet;
    this.#maySeal = maySeal;
  }

  seal(random: Random, now: number): boolean {
    if (!this.#maySeal) return false;
    const frames = random(below(random, 300));
    const chunk = below(random, 4) === 0 ? random(1 + below(random, 2_000)) : undefined;
    const packet = this.ratchet.seal(frames, chunk, now);
    this.steps += (packet.lead[0] ?? 0) & 1;
    this.underWay.push({ ...packet, frames, chunk });
    return true;
  }

  /** Opens the next packet of the other end, after an attack on it now and then. */
  open(from: End, random: Random, now: number): void {
    const packet = from.underWay[0];
    if (packet === undefined) return;
    if (below(random, 3) === 0) this.#resist(attack(random, packet, from, this), now);
    const opened = this.ratchet.open(packet.lead, packet.body, now);
    expect(equalBytes(opened.frames, packet.frames)).toBe(true);
    expect(opened.chunk?.toHex()).toBe(packet.chunk?.toHex());
    from.underWay.shift();
    this.opened.push(packet);
    this.#maySeal = true;
  }

  #resist(forged: Packet, now: number): void {
    const before = toHex(this.ratchet.fingerprint());
    const reason = protocolErrorOf(() => {
      const follows = SplitRatchet.bodyFollows(forged.lead);
      return this.ratchet.open(forged.lead, follows ? (forged.body ?? repeated(1, 50)) : undefined, now);
    });
    expect(["malformed", "badTag", "unexpectedPacket", "badKey", "chainExhausted"]).toContain(reason);
    expect(toHex(this.ratchet.fingerprint())).toBe(before);
  }
}

/** Something that an attacker on the way may put in the place of `next`. */
function attack(random: Random, next: Sealed, from: End, to: End): Packet {
  const { lead, body } = next;
  const kind = pick(random, [
    "flip",
    "flipBody",
    "truncate",
    "replay",
    "skip",
    "reflect",
    "forge",
    "extend",
  ] as const);
  switch (kind) {
    case "flip":
      return { ...next, lead: flipBit(lead, below(random, lead.length * 8)) };
    case "flipBody":
      if (body === undefined) return { lead: flipBit(lead, lead.length * 8 - 1) };
      return { lead, body: flipBit(body, below(random, body.length * 8)) };
    case "truncate":
      if (body === undefined) return { lead: lead.subarray(0, below(random, lead.length)) };
      return { lead, body: body.subarray(0, below(random, body.length)) };
    case "replay":
      return to.opened.length === 0 ? { lead: random(80) } : pick(random, to.opened);
    case "skip":
      return from.underWay[1 + below(random, 3)] ?? { lead: random(80) };
    case "reflect":
      return to.underWay.length === 0 ? { lead: random(80) } : pick(random, to.underWay);
    case "forge":
      return { lead: concatBytes(lead.subarray(0, 5), random(40 + below(random, 100))), body: random(30) };
    case "extend":
      return { ...next, lead: concatBytes(lead, random(1 + below(random, 20))) };
  }
}

describe("10,000 packets in random interleaving", () => {
  test.each<[Suite, number]>([
    ["aes-256-gcm", 10_000],
    ["chacha20-poly1305", 1_500],
  ])(
    "%s: all open, in order, with a new key every few; no attack changes anything",
    (suite, count) => {
      const random = seededRandom(`stress ${suite}`);
      const pair = ratchetPair(random, { stepAfterMs: 40, overdueAfterMs: 1e9 }, undefined, suite);
      const client = new End(pair.client, true);
      const server = new End(pair.server, false);
      let now = 0;
      let sealed = 0;
      while (sealed < count || client.underWay.length + server.underWay.length > 0) {
        now += below(random, 5);
        const [one, other] = below(random, 2) === 0 ? [client, server] : [server, client];
        // Bursts: packets of both directions are under way across each other and across steps.
        if (sealed < count && one.underWay.length < 20 && below(random, 2) === 0) {
          sealed += Number(one.seal(random, now));
        } else {
          other.open(one, random, now);
        }
      }
      expect(client.opened.length + server.opened.length).toBe(count);
      expect(client.steps).toBeGreaterThanOrEqual(count / 100);
      expect(server.steps).toBeGreaterThanOrEqual(count / 100);
    },
    120_000,
  );
});
