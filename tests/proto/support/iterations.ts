/** How often a fuzz test runs: FUZZ_ITERATIONS of the environment, or `standard`. */
export function fuzzIterations(standard = 2_000): number {
  const { FUZZ_ITERATIONS: text } = process.env;
  if (text === undefined || text === "") return standard;
  const count = Number(text);
  if (!Number.isSafeInteger(count) || count < 1)
    throw new RangeError(`FUZZ_ITERATIONS: not a count: ${text}`);
  return count;
}
