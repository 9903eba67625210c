import { describe, expect, test } from "bun:test";
import type { Packet } from "../../../src/proto/crypto/packet.ts";
import type { SplitRatchet } from "../../../src/proto/crypto/ratchet.ts";
import type { RatchetOptions } from "../../../src/proto/crypto/ratchet-options.ts";
import type { Random } from "../../../src/proto/random.ts";
import { ascii, flipBit, toHex } from "../support/bytes.ts";
import { protocolErrorOf } from "../support/errors.ts";
import { below, seededRandom } from "../support/random.ts";
import { type RatchetPair, ratchetPair } from "../support/ratchets.ts";

// The Double Ratchet as Signal uses it: packets may be lost, late, doubled and out of order.

const SIGNAL: Partial<RatchetOptions> = {
  maxSkip: 1000,
  stepAfterMs: 0,
  overdueAfterMs: Number.POSITIVE_INFINITY,
  overdueAfterBytes: Number.POSITIVE_INFINITY,
};

function open(ratchet: SplitRatchet, { lead }: Packet): string {
  return new TextDecoder().decode(ratchet.open(lead, undefined, 0).frames);
}

/** As many packets as there are texts. */
function seal(ratchet: SplitRatchet, ...texts: string[]): Packet[] {
  return texts.map((text) => ratchet.seal(ascii(text), undefined, 0));
}

function refuse(ratchet: SplitRatchet, packet: Packet): string {
  const before = toHex(ratchet.fingerprint());
  const reason = protocolErrorOf(() => open(ratchet, packet));
  expect(toHex(ratchet.fingerprint())).toBe(before);
  return reason;
}

function connected(options: Partial<RatchetOptions> = {}): RatchetPair {
  const pair = ratchetPair(seededRandom("skip"), { ...SIGNAL, ...options });
  for (const packet of seal(pair.client, "first")) open(pair.server, packet);
  for (const packet of seal(pair.server, "first")) open(pair.client, packet);
  return pair;
}

describe("a ratchet that allows gaps", () => {
  test("opens a chain in any order, its first packet last", () => {
    const { client, server } = ratchetPair(seededRandom("order"), SIGNAL);
    const packets = seal(client, "a", "b", "c", "d");
    const opened = [3, 1, 2, 0].map((index) => open(server, packets[index] ?? { lead: ascii("") }));
    expect(opened).toEqual(["d", "b", "c", "a"]);
    for (const packet of packets) expect(refuse(server, packet)).not.toBe("none");
  });

  test("opens what was left of a chain after the next one has begun", () => {
    const { client, server } = connected();
    const [one, two, three] = seal(client, "one", "two", "three");
    if (!one || !two || !three) throw new Error("three packets");
    expect(open(server, two)).toBe("two");
    for (const packet of seal(server, "reply")) open(client, packet);
    const [next] = seal(client, "next chain");
    if (!next) throw new Error("a packet");
    expect(open(server, next)).toBe("next chain");
    expect(open(server, three)).toBe("three");
    expect(open(server, one)).toBe("one");
    for (const packet of [one, two, three, next]) expect(refuse(server, packet)).not.toBe("none");
  });

  test("refuses a gap above maxSkip, and opens one of exactly maxSkip", () => {
    const { client, server } = connected({ maxSkip: 10 });
    const packets = seal(client, ..."0123456789ab");
    expect(refuse(server, packets[11] ?? { lead: ascii("") })).toBe("unexpectedPacket");
    expect(open(server, packets[10] ?? { lead: ascii("") })).toBe("a");
    expect(open(server, packets[11] ?? { lead: ascii("") })).toBe("b");
  });

  test("keeps a bounded number of keys, the newest", () => {
    const { client, server } = connected({ maxSkip: 10, maxSkippedKeys: 4 });
    const packets = seal(client, ..."0123456789");
    const at = (index: number) => packets[index] ?? { lead: ascii("") };
    expect(open(server, at(9))).toBe("9");
    expect(refuse(server, at(0))).toBe("unexpectedPacket");
    expect(refuse(server, at(4))).toBe("unexpectedPacket");
    expect([5, 6, 7, 8].map((index) => open(server, at(index)))).toEqual(["5", "6", "7", "8"]);
  });

  test("a forged late packet leaves its key where it is", () => {
    const { client, server } = connected();
    const [late, next] = seal(client, "late", "next");
    if (!late || !next) throw new Error("two packets");
    open(server, next);
    expect(refuse(server, { lead: flipBit(late.lead, late.lead.length * 8 - 1) })).toBe("badTag");
    expect(open(server, late)).toBe("late");
    expect(refuse(server, late)).toBe("unexpectedPacket");
  });

  test("2,000 packets with loss, doubles and any order: each opens once", () => {
    const random = seededRandom("a bad network");
    const { client, server } = connected();
    const ends = [new Mailbox(client), new Mailbox(server)] as const;
    let sealed = 0;
    while (sealed < 2_000) {
      const [one, other] = below(random, 2) === 0 ? ends : ([ends[1], ends[0]] as const);
      if (below(random, 2) === 0) one.send(`${sealed++}`, random);
      else other.takeOneOf(one, random);
    }
    for (const [one, other] of [ends, [ends[1], ends[0]]] as const) {
      while (one.underWay.length > 0) other.takeOneOf(one, random);
      expect(other.opened.toSorted()).toEqual(one.sent.toSorted());
      expect(other.refusedDoubles).toBeGreaterThan(50);
      expect(one.chains.size).toBeGreaterThan(40);
    }
  }, 60_000);
});

class Mailbox {
  readonly ratchet: SplitRatchet;
  readonly underWay: { text: string; packet: Packet }[] = [];
  /** Texts that were not lost. */
  readonly sent: string[] = [];
  readonly opened: string[] = [];
  readonly chains = new Set<string>();
  refusedDoubles = 0;
  readonly #seen = new Set<Packet>();

  constructor(ratchet: SplitRatchet) {
    this.ratchet = ratchet;
  }

  send(text: string, random: Random): void {
    const packet = this.ratchet.seal(ascii(text), undefined, 0);
    this.chains.add(toHex(packet.lead.subarray(9, 41)));
    if (below(random, 10) === 0) return;
    this.sent.push(text);
    this.underWay.push({ text, packet });
    if (below(random, 5) === 0) this.underWay.push({ text, packet });
  }

  takeOneOf(from: Mailbox, random: Random): void {
    const [taken] = from.underWay.splice(below(random, Math.max(from.underWay.length, 1)), 1);
    if (taken === undefined) return;
    if (this.#seen.has(taken.packet)) {
      expect(refuse(this.ratchet, taken.packet)).not.toBe("none");
      this.refusedDoubles++;
      return;
    }
    this.#seen.add(taken.packet);
    expect(open(this.ratchet, taken.packet)).toBe(taken.text);
    this.opened.push(taken.text);
  }
}
