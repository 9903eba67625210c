/** How often a decoder is fuzzed: FUZZ_ITERATIONS of the environment, or `standard`. */
export function fuzzIterations(standard = 2_000): number {
  return countOf("FUZZ_ITERATIONS") ?? standard;
}

/** The same for whole handshakes, which cost a thousand times as much: HANDSHAKE_FUZZ_ITERATIONS, or `standard`. */
export function handshakeFuzzIterations(standard = 500): number {
  return countOf("HANDSHAKE_FUZZ_ITERATIONS") ?? standard;
}

function countOf(name: string): number | undefined {
  const text = process.env[name];
  if (text === undefined || text === "") return undefined;
  const count = Number(text);
  if (!Number.isSafeInteger(count) || count < 1) throw new RangeError(`${name}: not a count: ${text}`);
  return count;
}
