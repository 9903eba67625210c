import { describe, expect, test } from "bun:test";
import { descriptorWarning, limitsWithin } from "../../src/server/descriptor-limits.ts";
import { DIAL_LIMITS, POOL_LIMITS } from "../../src/server/limits.ts";
import { SERVER_LIMITS } from "../../src/server/server-limits.ts";

describe("the limits of a server", () => {
  test.each([56, 192, 960, 4_032, 19_936, 100_000])("are what %d descriptors can hold", (descriptors) => {
    const { admission, pool, unproven, pendingDials } = limitsWithin(descriptors);
    const { streams, links } = admission;
    const all = streams + links + unproven + pendingDials + pool.inAll;
    expect(all).toBeLessThanOrEqual(descriptors);
    for (const limit of [streams, links, unproven, pendingDials, pool.inAll])
      expect(limit).toBeGreaterThan(0);
  });

  test("let a client have ten thousand streams where 20,000 descriptors are allowed", () => {
    expect(limitsWithin(19_936).admission.streams).toBeGreaterThan(10_000);
  });

  test("are the usual ones where there are enough, or nobody knows how many", () => {
    const usual = {
      admission: SERVER_LIMITS,
      pool: POOL_LIMITS,
      unproven: SERVER_LIMITS.unproven,
      pendingDials: DIAL_LIMITS.pendingDials,
    };
    expect(limitsWithin(524_288)).toEqual(usual);
    expect(limitsWithin(undefined)).toEqual(usual);
  });

  test("are told to the operator where they are low, with what to do", () => {
    expect(descriptorWarning(960)).toBe(
      "few descriptors: 540 streams and 180 links at once; raise the limit (ulimit -n, LimitNOFILE=)",
    );
    expect([descriptorWarning(19_936), descriptorWarning(undefined)]).toEqual([undefined, undefined]);
  });
});
