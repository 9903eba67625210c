import { describe, expect, test } from "bun:test";
import { lookup as getaddrinfo } from "node:dns/promises";
import { formatIp } from "../../src/runtime/address.ts";
import { RESOLVE_LIMITS } from "../../src/server/limits.ts";
import { DestinationPolicy } from "../../src/server/policy.ts";
import {
  createResolver,
  type Lookup,
  ResolveError,
  type ResolverOptions,
} from "../../src/server/resolver.ts";

function systemError(code: string): Error {
  return Object.assign(new Error(`getaddrinfo ${code}`), { code });
}

async function failureOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return error instanceof ResolveError ? error.failure : `not a ResolveError: ${error}`;
}

function resolverOver(
  lookup: Lookup,
  options: Partial<ResolverOptions> = {},
): (name: string, client?: string) => Promise<string[]> {
  const resolve = createResolver({ lookup, ...options });
  return async (name, client = "ann") => (await resolve(name, client)).map(formatIp);
}

describe("addresses", () => {
  test("come in the order of the answer, each once, both families", async () => {
    const resolve = resolverOver(async () => [
      "2001:4860::1",
      "8.8.8.8",
      "8.8.8.8",
      "2001:4860:0::1",
      "1.1.1.1",
    ]);
    expect(await resolve("a.example")).toEqual(["2001:4860::1", "8.8.8.8", "2001:4860::1", "1.1.1.1"]);
  });

  test("with a zone id are left out", async () => {
    expect(await resolverOver(async () => ["fe80::1%eth0", "8.8.8.8"])("a.example")).toEqual(["8.8.8.8"]);
    expect(await failureOf(resolverOver(async () => ["fe80::1%eth0"])("a.example"))).toBe("nameNotFound");
  });

  test("beyond the limit are left out", async () => {
    const many = Array.from({ length: 1000 }, (_, index) => `8.8.${index >> 8}.${index & 255}`);
    expect(await resolverOver(async () => many)("a.example")).toHaveLength(RESOLVE_LIMITS.addressesPerName);
  });
});

describe("a failed look-up", () => {
  test.each([
    ["DNS_ENOTFOUND", "nameNotFound"],
    ["ENOTFOUND", "nameNotFound"],
    ["DNS_ENODATA", "nameNotFound"],
    ["DNS_ESERVFAIL", "nameServerFailed"],
    ["DNS_ECONNREFUSED", "nameServerFailed"],
    ["DNS_ETIMEOUT", "nameServerFailed"],
    ["EAI_AGAIN", "nameServerFailed"],
  ])("%s is %s", async (code, failure) => {
    expect(await failureOf(resolverOver(() => Promise.reject(systemError(code)))("a.example"))).toBe(failure);
  });

  test("without addresses is nameNotFound", async () => {
    expect(await failureOf(resolverOver(async () => [])("a.example"))).toBe("nameNotFound");
  });

  test("that never ends is nameServerFailed at the deadline", async () => {
    const resolve = resolverOver(() => new Promise(() => {}), { deadlineMs: 30 });
    const start = performance.now();
    expect(await failureOf(resolve("a.example"))).toBe("nameServerFailed");
    expect(performance.now() - start).toBeLessThan(1_000);
  });

  test("that fails after its deadline disturbs nobody", async () => {
    const { promise, reject } = Promise.withResolvers<string[]>();
    expect(await failureOf(resolverOver(() => promise, { deadlineMs: 5 })("a.example"))).toBe(
      "nameServerFailed",
    );
    reject(systemError("DNS_ETIMEOUT"));
    await Bun.sleep(5);
  });
});

describe("of many look-ups", () => {
  test("only so many are under way at once, and the others follow in order", async () => {
    const asked: string[] = [];
    const answers = new Map<string, () => void>();
    const lookup: Lookup = (name) => {
      asked.push(name);
      return new Promise((resolve) => answers.set(name, () => resolve(["8.8.8.8"])));
    };
    const resolve = resolverOver(lookup, { lookupsAtOnce: 4, waitingLookups: 4 });
    const results = ["a", "b", "c", "d"].map((name) => resolve(name));
    await Bun.sleep(1);
    expect(asked).toEqual(["a", "b"]);
    answers.get("b")?.();
    await results[1];
    await Bun.sleep(1);
    expect(asked).toEqual(["a", "b", "c"]);
    answers.get("a")?.();
    await results[0];
    await Bun.sleep(1);
    for (const answer of answers.values()) answer();
    await Promise.all(results);
    expect(asked).toEqual(["a", "b", "c", "d"]);
  });

  test("those for whom there is no room are told so at once", async () => {
    const resolve = resolverOver(() => new Promise(() => {}), {
      lookupsAtOnce: 1,
      waitingLookups: 1,
      deadlineMs: 40,
    });
    const held = [failureOf(resolve("a")), failureOf(resolve("b"))];
    expect(await failureOf(resolve("c"))).toBe("overloaded");
    expect(await Promise.all(held)).toEqual(["nameServerFailed", "nameServerFailed"]);
  });

  test("one client's flood of dead names keeps nobody else waiting, and only that client is refused", async () => {
    const lookup: Lookup = (name) => (name === "live" ? Promise.resolve(["8.8.8.8"]) : new Promise(() => {}));
    const resolve = resolverOver(lookup, { deadlineMs: 500 });
    const { lookupsAtOnce, waitingLookups } = RESOLVE_LIMITS;
    const flood = Array.from({ length: lookupsAtOnce + waitingLookups }, (_, index) =>
      failureOf(resolve(`dead${index}`, "mallory")),
    );
    const start = performance.now();
    const pages = Array.from({ length: 40 }, () => resolve("live", "ann"));
    expect((await Promise.all(pages)).flat()).toEqual(new Array(40).fill("8.8.8.8"));
    expect(performance.now() - start).toBeLessThan(250);
    const refused = (await Promise.all(flood)).filter((failure) => failure === "overloaded");
    expect(refused.length).toBe((lookupsAtOnce + waitingLookups) / 2);
  });

  test("those of several clients that wait are served in rotation", async () => {
    const asked: string[] = [];
    const lookup: Lookup = async (name) => {
      asked.push(name);
      await Bun.sleep(2);
      return ["8.8.8.8"];
    };
    const resolve = resolverOver(lookup, { lookupsAtOnce: 1, waitingLookups: 64 });
    const names = ["a1", "a2", "a3", "b1", "b2", "c1"];
    await Promise.all(names.map((name) => resolve(name, name.slice(0, 1))));
    expect(asked).toEqual(["a1", "a2", "b1", "c1", "a3", "b2"]);
  });

  test("a hundred dead names do not keep the turns of live ones", async () => {
    const lookup: Lookup = (name) => (name === "live" ? Promise.resolve(["8.8.8.8"]) : new Promise(() => {}));
    const resolve = resolverOver(lookup, { lookupsAtOnce: 4, deadlineMs: 20 });
    const dead = Array.from({ length: 100 }, (_, index) => failureOf(resolve(`dead${index}`)));
    expect(new Set(await Promise.all(dead))).toEqual(new Set(["nameServerFailed"]));
    const live = Array.from({ length: 100 }, () => resolve("live"));
    expect((await Promise.all(live)).flat()).toEqual(new Array(100).fill("8.8.8.8"));
  });
});

test("inet_aton forms that getaddrinfo turns into loopback are judged as loopback", async () => {
  const policy = new DestinationPolicy({ allow: [], deny: [] });
  const resolve = createResolver({
    lookup: async (name) => (await getaddrinfo(name, { all: true })).map(({ address }) => address),
  });
  for (const name of ["0x7f.1", "2130706433", "127.1", "0177.0.0.1", "localhost", "127.0.0.1"]) {
    const addresses = await resolve(name, "ann");
    expect([name, addresses.map((address) => policy.decide(address, 80).permitted)]).toEqual([
      name,
      addresses.map(() => false),
    ]);
  }
});
