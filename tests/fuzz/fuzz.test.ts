import { afterAll, describe, expect, test } from "bun:test";
import { pick, seededRandom } from "../proto/support/random.ts";
import { FILE_TARGETS, removeFiles } from "./file-targets.ts";
import findings from "./findings.json" with { type: "json" };
import { mutate } from "./mutate.ts";
import { PROTOCOL_TARGETS } from "./protocol-targets.ts";
import { PROXY_TARGETS } from "./proxy-targets.ts";
import { SITE_TARGETS } from "./site-targets.ts";
import type { Target } from "./target.ts";
import { TEXT_TARGETS } from "./text-targets.ts";

/**
 * Every reader of foreign bytes, fuzzed for a time and not for a count: FUZZ_SECONDS in all, 5 unless given. Each run
 * has a seed of its own, which is printed; FUZZ_SEED repeats one. What was found stands in findings.json for good.
 */

const TARGETS = [...PROTOCOL_TARGETS, ...PROXY_TARGETS, ...TEXT_TARGETS, ...SITE_TARGETS, ...FILE_TARGETS];
const SECONDS = Number(process.env.FUZZ_SECONDS ?? 5);
const SEED = process.env.FUZZ_SEED ?? String(Date.now());
/** One input that takes more of the processor is a finding too. Not by the clock: other programs run beside. */
const SLOW_MS = 1_000;

if (!(SECONDS > 0)) throw new RangeError(`FUZZ_SECONDS: not a time: ${process.env.FUZZ_SECONDS}`);

afterAll(removeFiles);

/** An input, as pieces in hex and how often each is repeated, and what it did to which target. */
interface Finding {
  readonly target: string;
  readonly did: string;
  readonly input: readonly { readonly hex: string; readonly times: number }[];
}

const FINDINGS: readonly Finding[] = findings;

function check(target: Target, input: Uint8Array, seed: string): void {
  const before = process.cpuUsage();
  try {
    target.check(input, seededRandom(seed));
    const { user, system } = process.cpuUsage(before);
    const ms = (user + system) / 1_000;
    if (ms > SLOW_MS) throw new Error(`took ${Math.round(ms)} ms`);
  } catch (cause) {
    const hex = input.length > 4_000 ? `${input.subarray(0, 4_000).toHex()}…` : input.toHex();
    throw new Error(`${target.name}, FUZZ_SEED=${SEED}: ${hex}: ${String(cause)}`, { cause });
  }
}

describe("what was found before", () => {
  for (const { target: name, input, did } of FINDINGS) {
    test(`${name}: ${did}`, () => {
      const target = TARGETS.find((each) => each.name === name);
      if (target === undefined) throw new Error(`no target ${name}`);
      const hex = input.map((piece) => piece.hex.repeat(piece.times)).join("");
      check(target, Uint8Array.fromHex(hex), "finding");
    });
  }
  test("is named by targets that there are", () => {
    expect(FINDINGS.filter(({ target }) => !TARGETS.some(({ name }) => name === target))).toEqual([]);
  });
});

describe(`fuzzed for ${SECONDS} s, FUZZ_SEED=${SEED}`, () => {
  for (const target of TARGETS) {
    test(
      target.name,
      () => {
        for (const [index, input] of target.corpus.entries()) check(target, input, `corpus ${index}`);
        const count = run(target);
        process.stderr.write(`fuzz: ${target.name}: ${count} inputs\n`);
        expect(count).toBeGreaterThan(0);
      },
      SECONDS * 1_000 + 30_000,
    );
  }
});

/** How many inputs the time was enough for. */
function run(target: Target): number {
  const random = seededRandom(`${target.name} ${SEED}`);
  const until = performance.now() + (SECONDS * 1_000) / TARGETS.length;
  let count = 0;
  for (; performance.now() < until; count += 1) {
    const input = mutate(pick(random, target.corpus), {
      random,
      corpus: target.corpus,
      words: target.words ?? [],
    });
    check(target, input, `${SEED} ${count}`);
  }
  return count;
}
