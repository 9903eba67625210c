import { describe, expect, test } from "bun:test";
import { LinkBuckets } from "../../src/server/link-buckets.ts";
import { SERVER_LIMITS } from "../../src/server/server-limits.ts";

const { linksPerAddress, linksPerAddressPerSecond, addressesCounted } = SERVER_LIMITS;
const [HERE, THERE] = ["192.0.2.1", "192.0.2.2"];

/** How many links `address` can begin at `now`. */
function drain(buckets: LinkBuckets, address: string, now: number): number {
  let taken = 0;
  while (buckets.take(address, now)) taken++;
  return taken;
}

describe("link buckets", () => {
  test("an address that floods does not take from its neighbour", () => {
    const buckets = new LinkBuckets();
    expect(drain(buckets, HERE, 0)).toBe(linksPerAddress);
    expect(buckets.take(HERE, 0)).toBe(false);
    expect(drain(buckets, THERE, 0)).toBe(linksPerAddress);
  });

  test("an empty bucket fills with time, and no further than full", () => {
    const buckets = new LinkBuckets();
    drain(buckets, HERE, 0);
    expect(drain(buckets, HERE, 1_000)).toBe(linksPerAddressPerSecond);
    expect(drain(buckets, HERE, 3_600_000)).toBe(linksPerAddress);
  });

  test("an admitted client gives its token back, so that one address may have any number of clients", () => {
    const buckets = new LinkBuckets();
    for (let client = 0; client < 10 * linksPerAddress; client++) {
      expect(buckets.take(HERE, 0)).toBe(true);
      buckets.giveBack(HERE, 0);
    }
    expect(buckets.size).toBe(0);
  });

  test("more addresses than are counted cost no more memory, and lock nobody out", () => {
    const buckets = new LinkBuckets();
    drain(buckets, HERE, 0);
    for (let address = 0; address < addressesCounted + 10; address++) buckets.take(`2001:db8::${address}`, 1);
    expect(buckets.size).toBe(addressesCounted);
    expect(buckets.take(THERE, 1)).toBe(true);
    expect(buckets.size).toBe(addressesCounted);
  });
});
