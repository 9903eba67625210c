import { expect, test } from "bun:test";
import { formatIp, parseIp } from "../../src/runtime/address.ts";
import { OwnAddresses, type OwnRange } from "../../src/server/own-addresses.ts";
import { DestinationPolicy, type PolicyTexts } from "../../src/server/policy.ts";
import { SPECIAL_RANGES } from "../../src/server/special-ranges.ts";

function ip(text: string): Uint8Array {
  const bytes = parseIp(text);
  if (bytes === undefined) throw new Error(`the test names no address: ${text}`);
  return bytes;
}

interface OracleRule {
  readonly bits: string;
  readonly low: number;
  readonly high: number;
  readonly permitted: boolean;
  readonly operators: boolean;
  /** Of an address of this machine: it speaks where no other does. */
  readonly isOwn?: boolean;
}

function toBits(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(2).padStart(8, "0")).join("");
}

/** IPv4-mapped, NAT64, and IPv4-compatible without :: and ::1, in hex. */
const HOLDS_IPV4 = /^(?:0{20}ffff|0064ff9b0{16}|0{24}(?!0000000[01]))[0-9a-f]{8}$/;

/** What policy.ts promises, done the slow way: sort every rule that covers the address, take the first. */
function judgeSlowly(rules: readonly OracleRule[], address: Uint8Array, port: number): boolean {
  const judged = toBits(HOLDS_IPV4.test(address.toHex()) ? address.slice(12) : address);
  const family = judged.length;
  const covering = rules.filter(
    (rule) =>
      rule.bits.startsWith(`${family}:`) &&
      `${family}:${judged}`.startsWith(rule.bits) &&
      rule.low <= port &&
      port <= rule.high,
  );
  covering.sort(
    (a, b) =>
      Number(a.isOwn ?? false) - Number(b.isOwn ?? false) ||
      b.bits.length - a.bits.length ||
      Number(b.operators) - Number(a.operators) ||
      Number(a.permitted) - Number(b.permitted),
  );
  return covering[0]?.permitted ?? true;
}

test("a decision equals a naive oracle's, over random rules, addresses and ports", () => {
  const { SEED } = process.env;
  const seed = Number(SEED ?? Date.now() % 2 ** 31);
  const random = seededRandom(seed);
  for (let round = 0; round < 100; round++) {
    const { texts, rules, own } = randomRules(random);
    const policy = new DestinationPolicy(texts, new OwnAddresses(() => own));
    for (let probe = 0; probe < 300; probe++) {
      const address = randomAddress(random);
      const port = 1 + random(8);
      const where = `SEED=${seed} ${formatIp(address)} ${port} ${JSON.stringify(texts)}`;
      expect([where, policy.decide(address, port).permitted]).toEqual([
        where,
        judgeSlowly(rules, address, port),
      ]);
    }
  }
});

type Random = (below: number) => number;

function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const HEADS = [
  "10.0.0.0",
  "127.0.0.0",
  "8.8.8.0",
  "8.8.8.8",
  "::",
  "::8.8.8.0",
  "::ffff:8.8.8.8",
  "::ffff:10.0.0.0",
];
HEADS.push("64:ff9b::8.8.8.8", "64:ff9b::10.0.0.0", "64:ff9b:1::", "2001::", "fd00::", "2600::");

/** Addresses close to each other and to the special ranges, so that prefixes nest and collide often. */
function randomAddress(random: Random): Uint8Array {
  const address = ip(HEADS[random(HEADS.length)] ?? "::").slice();
  const touched = [1, address.length - 3, address.length - 1];
  for (const index of touched) if (random(3) === 0) address[index] = (address[index] ?? 0) ^ (1 << random(8));
  return address;
}

function randomRules(random: Random): { texts: PolicyTexts; rules: OracleRule[]; own: OwnRange[] } {
  const allow: string[] = [];
  const deny: string[] = [];
  const rules: OracleRule[] = SPECIAL_RANGES.map(({ prefix }) => {
    const [text = "", length = ""] = prefix.split("/");
    return { ...oracleRule(ip(text), Number(length), 1, 65_535, false), operators: false };
  });
  const own = Array.from({ length: random(4) }, () => randomAddress(random))
    .filter((address) => !HOLDS_IPV4.test(address.toHex()))
    .map((address) => ({ address, length: address.length * 8 }));
  for (const { address, length } of own)
    rules.push({ ...oracleRule(address, length, 1, 65_535, false), operators: false, isOwn: true });
  for (let count = random(20); count > 0; count--) {
    const address = randomAddress(random);
    const length = [0, 5, 8, 16, 24, 32, 64, 127, 128][random(9)] ?? 0;
    if (length > address.length * 8) continue;
    const bits = toBits(address)
      .slice(0, length)
      .padEnd(address.length * 8, "0");
    const masked = address.map((_, index) => Number.parseInt(bits.slice(index * 8, index * 8 + 8), 2));
    if (length >= 96 && HOLDS_IPV4.test(masked.toHex())) continue;
    const hasPorts = random(2) === 0;
    const low = hasPorts ? 1 + random(8) : 1;
    const high = hasPorts ? low + random(8) : 65_535;
    const permitted = random(2) === 0;
    const host = masked.length === 16 ? `[${formatIp(masked)}]` : formatIp(masked);
    (permitted ? allow : deny).push(`${host}/${length}${hasPorts ? `:${low}-${high}` : ""}`);
    rules.push(oracleRule(masked, length, low, high, permitted));
  }
  return { texts: { allow, deny }, rules, own };
}

function oracleRule(
  address: Uint8Array,
  length: number,
  low: number,
  high: number,
  permitted: boolean,
): OracleRule {
  const bits = `${address.length * 8}:${toBits(address).slice(0, length)}`;
  return { bits, low, high, permitted, operators: true };
}
