import { describe, expect, test } from "bun:test";
import { Patience } from "../../src/client/patience.ts";

const WAIT_MS = 200;

/** How long a request waited, with a link from `upAt` to `downAt`, ms from its beginning; undefined if it still does. */
async function waited(upAt: number, downAt: number, limitMs: number): Promise<number | undefined> {
  const begun = performance.now();
  const over = Promise.withResolvers<number>();
  const downtime = {
    get downMs() {
      const age = performance.now() - begun;
      // Down for an hour before the request.
      if (age < upAt) return 3_600_000 + age;
      return age < downAt ? 0 : age - downAt;
    },
  };
  const patience = new Patience(downtime, WAIT_MS, () => over.resolve(performance.now() - begun));
  const result = await Promise.race([over.promise, Bun.sleep(limitMs).then(() => undefined)]);
  patience.end();
  return result;
}

describe("a request waits", () => {
  const never = Number.POSITIVE_INFINITY;
  test("its own time, however long there was no link before it", async () => {
    expect(await waited(never, never, 2_000)).toBeWithin(WAIT_MS - 1, WAIT_MS + 150);
  });

  test("for the far server as long as a link is up", async () => {
    expect(await waited(100, never, 4 * WAIT_MS)).toBeUndefined();
  });

  test("not at all where that is 0, and for the far server all the same", async () => {
    const over = { count: 0 };
    const downtime = { downMs: 0 };
    const patience = new Patience(downtime, 0, () => void over.count++);
    await Bun.sleep(100);
    expect(over.count).toBe(0);
    downtime.downMs = 1;
    await Bun.sleep(100);
    patience.end();
    expect(over.count).toBe(1);
  });

  test("its whole time again after a link that came and went", async () => {
    expect(await waited(100, 300, 2_000)).toBeWithin(300 + WAIT_MS - 1, 300 + WAIT_MS + 150);
  });
});
