import { expect, test } from "bun:test";
import { HTTP_HEAD_MAX_BYTES, SOCKS4_MAX_BYTES, SOCKS5_MAX_BYTES } from "../../../src/client/proxy/limits.ts";
import { CORPUS, type Sample } from "./corpus.ts";
import { bytes, eachByte, play, type Summary, text } from "./harness.ts";
import { behindFirstRequest } from "./oracle.ts";

const { FUZZ_ITERATIONS = "20000", SEED: FIRST_SEED = "1" } = process.env;
const ITERATIONS = Number(FUZZ_ITERATIONS);
const SEED = Number(FIRST_SEED);

/** What parsers trip over, to be put anywhere. */
const SNIPPETS = [
  "\r\n",
  "\n",
  "\r",
  "\r\n\r\n",
  "\x00",
  "\xff",
  " ",
  "\t",
  ":",
  ",",
  ";",
  "0\r\n\r\n",
  "ffffffff\r\n",
  "Content-Length: 3\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Connection: upgrade, content-length\r\n",
  "Upgrade: websocket\r\n",
  "Host: evil\r\n",
  "http://",
  "@",
  "[::1]",
  "HTTP/1.0",
].map(bytes);

/** Mulberry32: a number in [0, below). */
function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

function pick<T>(items: readonly T[], below: (limit: number) => number): T {
  const item = items[below(items.length)];
  if (item === undefined) throw new Error("nothing to pick from");
  return item;
}

function mutate(input: Uint8Array, below: (limit: number) => number): Uint8Array {
  const at = below(input.length + 1);
  const to = Math.min(input.length, at + below(12));
  const [head, cut, tail] = [input.subarray(0, at), input.subarray(at, to), input.subarray(to)];
  switch (below(7)) {
    case 0:
      return Buffer.concat([head, tail]);
    case 1:
      return Buffer.concat([head, cut, cut, tail]);
    case 2:
      return Buffer.concat([head, cut.map(() => below(256)), tail]);
    case 3:
      return Buffer.concat([head, pick(SNIPPETS, below), cut, tail]);
    case 4:
      return Buffer.concat([head, pick(SNIPPETS, below), tail]);
    case 5: {
      const other = pick(CORPUS, below).input;
      return Buffer.concat([head, other.subarray(below(other.length))]);
    }
    default:
      return below(20) === 0
        ? Buffer.concat([head, Buffer.alloc(70_000, cut.length === 0 ? "x" : cut), tail])
        : head;
  }
}

function limitFor(input: Uint8Array): number {
  if (input[0] === 5) return SOCKS5_MAX_BYTES;
  return input[0] === 4 ? SOCKS4_MAX_BYTES : HTTP_HEAD_MAX_BYTES;
}

/** Undefined, or what is wrong with the result. */
function complaint(input: Uint8Array, summary: Summary): string | undefined {
  if (summary.kind === "more" && input.length >= limitFor(input)) return "waits for more beyond its limit";
  if (summary.kind !== "connect") return undefined;
  const { destination = "", protocol, upload, forwarded = "" } = summary;
  if (!/^(?:name [\w.-]{1,255}|ipv4 [\d.]+|ipv6 [0-9a-f:.]+) [1-9]\d{0,4}$/.test(destination))
    return "destination";
  if (upload === "raw") {
    if (protocol === "http") return undefined;
    return text(input).endsWith(forwarded) ? undefined : "changed the tunnel's bytes";
  }
  const behind = behindFirstRequest(forwarded);
  if (upload === "done") return behind === "" ? undefined : `done, and behind the request is ${behind}`;
  return behind === undefined ? undefined : `not done (${upload}), and the request is complete`;
}

function cutsFor(input: Uint8Array, below: (limit: number) => number): number[] {
  if (below(2) === 0 && input.length < 1000) return eachByte(input);
  const cuts = new Set(Array.from({ length: 1 + below(4) }, () => below(input.length + 1)));
  return [...cuts].sort((a, b) => a - b);
}

function check({ input, credentials }: Sample, below: (limit: number) => number): string | undefined {
  const whole = play(input, [], credentials);
  const wrong = complaint(input, whole);
  if (wrong !== undefined) return wrong;
  const cuts = cutsFor(input, below);
  const split = play(input, cuts, credentials);
  return Bun.deepEquals(split, whole) ? undefined : `cut at ${cuts} it is ${JSON.stringify(split)}`;
}

test(`${ITERATIONS} mutated requests neither throw, nor wait without bound, nor depend on how they are cut`, () => {
  const kinds = { more: 0, connect: 0, reject: 0 };
  for (let seed = SEED; seed < SEED + ITERATIONS; seed++) {
    const below = random(seed);
    const sample = pick(CORPUS, below);
    let { input } = sample;
    for (let left = 1 + below(4); left > 0; left--) input = mutate(input, below);
    try {
      const wrong = check({ ...sample, input }, below);
      if (wrong !== undefined) throw new Error(wrong);
      kinds[play(input, [], sample.credentials).kind]++;
    } catch (cause) {
      throw new Error(
        `SEED=${seed} FUZZ_ITERATIONS=1: ${sample.name}: ${JSON.stringify(text(input).slice(0, 2000))}`,
        {
          cause,
        },
      );
    }
  }
  // A mutator that breaks everything, or nothing, would prove nothing.
  if (ITERATIONS >= 1000)
    for (const count of Object.values(kinds)) expect(count).toBeGreaterThan(ITERATIONS / 20);
}, 600_000);
