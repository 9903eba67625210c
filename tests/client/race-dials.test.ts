import { afterEach, beforeEach, describe, expect, jest, test } from "bun:test";
import { raceDials } from "../../src/client/race-dials.ts";

interface Attempt {
  readonly signal: AbortSignal;
  resolve(value: string): void;
  reject(error: Error): void;
}

const attempts: Attempt[] = [];
const discarded: string[] = [];

function dial(signal: AbortSignal): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  attempts.push({ signal, resolve, reject });
  signal.addEventListener("abort", () => reject(new Error("given up")));
  return promise;
}

const isLate = (error: unknown) => error instanceof Error && error.message === "too late";

function race(signal = new AbortController().signal): Promise<string> {
  return raceDials({ dial, isLate, discard: (late) => discarded.push(late) }, signal);
}

beforeEach(() => {
  attempts.length = 0;
  discarded.length = 0;
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

describe("dials beside each other", () => {
  test("are one where that is answered in time", async () => {
    const result = race();
    jest.advanceTimersByTime(2_400);
    attempts[0]?.resolve("first");
    expect(await result).toBe("first");
    jest.advanceTimersByTime(60_000);
    expect(attempts).toHaveLength(1);
  });

  test("begin while one hangs, up to four; whoever wins ends the others", async () => {
    const result = race();
    jest.advanceTimersByTime(60_000);
    expect(attempts).toHaveLength(4);
    attempts[2]?.resolve("third");
    expect(await result).toBe("third");
    expect(attempts.map(({ signal }) => signal.aborted)).toEqual([true, true, true, true]);
  });

  test("end with the first failure, which is an answer", async () => {
    const result = race();
    jest.advanceTimersByTime(2_500);
    attempts[1]?.reject(new Error("refused"));
    expect(await result.catch((error: Error) => error.message)).toBe("refused");
    expect(attempts[0]?.signal.aborted).toBe(true);
  });

  test("do not end with the deadline of one of them: a later one may be about to succeed", async () => {
    const result = race();
    jest.advanceTimersByTime(7_500);
    attempts[0]?.reject(new Error("too late"));
    await Promise.resolve();
    expect(attempts.map(({ signal }) => signal.aborted)).toEqual([false, false, false, false]);
    attempts[3]?.resolve("fourth");
    expect(await result).toBe("fourth");
  });

  test("end with the deadline of the last one", async () => {
    const result = race();
    jest.advanceTimersByTime(7_500);
    for (const { reject } of attempts) reject(new Error("too late"));
    expect(await result.catch((error: Error) => error.message)).toBe("too late");
  });

  test("that win too late are handed back", async () => {
    const late = Promise.withResolvers<string>();
    let count = 0;
    const result = raceDials(
      {
        dial: () => (count++ === 0 ? late.promise : Promise.resolve("second")),
        isLate,
        discard: (value) => discarded.push(value),
      },
      new AbortController().signal,
    );
    jest.advanceTimersByTime(2_500);
    expect(await result).toBe("second");
    late.resolve("first");
    await late.promise;
    expect(discarded).toEqual(["first"]);
  });

  test("are given up together", async () => {
    const abort = new AbortController();
    const result = race(abort.signal);
    jest.advanceTimersByTime(2_500);
    abort.abort();
    expect(await result.catch((error: Error) => error.message)).toBe("given up");
    expect(attempts.every(({ signal }) => signal.aborted)).toBe(true);
    jest.advanceTimersByTime(60_000);
    expect(attempts).toHaveLength(2);
  });
});
