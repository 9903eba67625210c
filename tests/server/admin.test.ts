import { describe, expect, test } from "bun:test";
import { formatPublicKey, parseLink, type ServerLink } from "../../src/proto/index.ts";
import { isJsonObject, type Json, type JsonObject } from "../../src/runtime/json.ts";
import { handleAdmin } from "../../src/server/admin.ts";
import { usageErrorOf, useScratch } from "../runtime/state-support.ts";
import { HOUR_MS, newKey, type StoreUnderTest, useStores } from "./store-support.ts";

const openStore = useStores(useScratch());
const URL = "wss://vpn.example.org/";

function asObject(reply: Json): JsonObject {
  if (!isJsonObject(reply)) throw new TypeError("the reply is no object");
  return reply;
}

function ask({ store }: StoreUnderTest, request: { op: string } & JsonObject): JsonObject {
  return asObject(handleAdmin(store, request));
}

function linkIn({ link }: JsonObject): ServerLink {
  return parseLink(String(link));
}

describe("invite", () => {
  test("gives a link that lets one client in", () => {
    const under = openStore();
    const reply = ask(under, { op: "invite", name: "laptop", url: URL });
    expect(reply).toEqual({
      link: expect.stringMatching(/^wss:\/\/vpn\.example\.org\/#/),
      name: "laptop",
      kind: "invite",
      expiresAt: "2025-02-01T12:00:00.000Z",
      notes: [],
    });
    const link = linkIn(reply);
    const [gateKey] = under.store.gateKeys();
    expect(link).toMatchObject({
      url: URL,
      kind: "invite",
      serverKey: under.store.identity.publicKey,
      gateKey,
    });
    expect(under.store.admit(newKey(), link.secret)).toEqual({
      kind: "admitted",
      name: "laptop",
      joined: true,
    });
  });

  test("takes the terms of the request", () => {
    const under = openStore();
    const reply = ask(under, { op: "invite", name: "team", url: URL, expiresInMs: HOUR_MS, uses: 5 });
    expect(reply).toMatchObject({ expiresAt: "2025-01-31T13:00:00.000Z" });
    expect(under.store.invites()).toMatchObject([{ uses: 5, expiresAtMs: under.clock.now + HOUR_MS }]);
  });

  test("gives a seat's link, which has no end unless it is given one", () => {
    const under = openStore();
    const reply = ask(under, { op: "invite", name: "ci", seat: true, url: URL });
    expect(reply).toEqual({ link: expect.any(String), name: "ci", kind: "seat", notes: [] });
    expect(linkIn(reply).kind).toBe("seat");
    const job = ask(under, { op: "invite", name: "job", seat: true, expiresInMs: HOUR_MS });
    expect(job).toMatchObject({ expiresAt: "2025-01-31T13:00:00.000Z" });
  });

  test("notes that the name is in use, and what revoking it will do", () => {
    const under = openStore();
    under.store.add("ada", newKey());
    const { notes } = ask(under, { op: "invite", name: "ada", url: URL });
    expect(notes).toEqual(["ada has 1 on the list already; revoke ada will end all of them"]);
  });

  test("carries the gate key of the day", () => {
    const under = openStore();
    ask(under, { op: "invite", name: "a", url: URL });
    ask(under, { op: "revoke", name: "a" });
    const [gateKey] = under.store.gateKeys();
    expect(linkIn(ask(under, { op: "invite", name: "b" })).gateKey).toEqual(gateKey ?? newKey());
  });
});

describe("the URL of a link", () => {
  test("is remembered when it is given", () => {
    const under = openStore();
    ask(under, { op: "invite", name: "a", url: "WSS://vpn.example.org" });
    expect(linkIn(ask(under, { op: "invite", name: "b", fallbackUrl: "ws://127.0.0.1:8443/" })).url).toBe(
      URL,
    );
    expect(linkIn(asObject(handleAdmin(under.reopen(), { op: "invite", name: "c" }))).url).toBe(URL);
    const other = ask(under, { op: "invite", name: "d", url: "wss://other.example.org/x" });
    expect(linkIn(other).url).toBe("wss://other.example.org/x");
  });

  test("is the server's own until one is given, which is noted and not remembered", () => {
    const under = openStore();
    const reply = ask(under, { op: "invite", name: "a", fallbackUrl: "ws://127.0.0.1:8443/chat" });
    expect(linkIn(reply).url).toBe("ws://127.0.0.1:8443/chat");
    const { notes } = reply;
    expect(notes).toEqual([expect.stringContaining("no --url known, using loopback")]);
    expect(under.store.url).toBeUndefined();
  });

  test.each([undefined, "ws://0.0.0.0:8443/", "ws://::1:8443/", "ws://192.0.2.1/", "nonsense"])(
    "is asked for where the server's own is %p",
    (fallbackUrl) => {
      const under = openStore();
      const error = usageErrorOf(() => ask(under, { op: "invite", name: "a", fallbackUrl }));
      expect(error.message).toBe("the server does not know its public address yet");
      expect(error.hint).toContain("--url wss://");
      expect(under.store.invites()).toEqual([]);
    },
  );

  test.each(["ws://localhost:8443/", "ws://127.9.9.9/", "ws://[::1]:8443/x"])(
    "may be %s, as that is loopback",
    (url) => {
      expect(linkIn(ask(openStore(), { op: "invite", name: "a", url })).url).toBe(url);
    },
  );

  test.each([
    ["ws://vpn.example.org/", "ws:// to vpn.example.org has no TLS"],
    ["ws://192.0.2.1:8443/", "ws:// to 192.0.2.1:8443 has no TLS"],
    ["ws://localhost.example.org/", "has no TLS"],
    ["ws://0.0.0.0/", "has no TLS"],
    ["https://vpn.example.org/", "begins with https://"],
    ["wss://u:p@vpn.example.org/", "user name"],
    ["wss://vpn.example.org/?x", 'behind "?"'],
    ["vpn.example.org", "is not a URL"],
    ["", "is not a URL"],
  ])("may not be %p", (url, problem) => {
    const under = openStore();
    const error = usageErrorOf(() => ask(under, { op: "invite", name: "a", url }));
    expect(error.message).toStartWith("url: ");
    expect(error.message).toContain(problem);
    expect(error.hint).toContain("wss://");
    expect([under.store.url, under.store.invites()]).toEqual([undefined, []]);
  });

  test("is not remembered from a command that fails", () => {
    const under = openStore();
    usageErrorOf(() => ask(under, { op: "invite", name: "lap top", url: URL }));
    expect(under.store.url).toBeUndefined();
  });
});

describe("the other operations", () => {
  test("add enters a key and gives an address link, which carries no secret", () => {
    const under = openStore();
    const key = newKey();
    const reply = ask(under, { op: "add", name: "router", key: formatPublicKey(key), url: URL });
    expect(reply).toEqual({ link: expect.any(String), name: "router", notes: [] });
    expect(linkIn(reply)).toMatchObject({ kind: "address", secret: new Uint8Array(16) });
    expect(under.store.admit(key).kind).toBe("admitted");
  });

  test("add says what is wrong with a key", () => {
    const error = usageErrorOf(() =>
      ask(openStore(), { op: "add", name: "router", key: "rvpn-pk-x", url: URL }),
    );
    expect(error.message).toStartWith("add: key is not a public key: ");
  });

  test("clients lists clients, seats and open invites", () => {
    const under = openStore();
    const key = newKey();
    under.store.add("router", key);
    under.store.invite({ name: "job", seat: true, expiresInMs: HOUR_MS });
    under.store.invite({ name: "laptop", uses: 2 });
    under.store.admit(newKey(), under.store.invite({ name: "used" }).secret);
    const reply = ask(under, { op: "clients", fallbackUrl: "ws://127.0.0.1:8443/" });
    const addedAt = "2025-01-31T12:00:00.000Z";
    const anyKey = expect.stringMatching(/^rvpn-pk-/);
    expect(reply).toEqual({
      clients: [
        { name: "router", key: formatPublicKey(key), kind: "client", addedAt },
        { name: "job", key: anyKey, kind: "seat", addedAt, expiresAt: "2025-01-31T13:00:00.000Z" },
        { name: "used", key: anyKey, kind: "client", addedAt },
      ],
      invites: [
        { name: "laptop", createdAt: addedAt, expiresAt: "2025-02-01T12:00:00.000Z", uses: 2, used: 0 },
      ],
      server: { running: false },
    });
  });

  test("revoke says how many keys and invites are gone", () => {
    const under = openStore();
    under.store.add("ada", newKey());
    under.store.invite({ name: "ada" });
    under.store.invite({ name: "ada" });
    expect(ask(under, { op: "revoke", name: "ada" })).toEqual({ revoked: 1, invites: 2 });
    expect(under.store.clients()).toEqual([]);
  });

  test.each<[JsonObject & { op: string }, string]>([
    [{ op: "invite" }, "invite: name is missing"],
    [{ op: "invite", name: 7 }, "invite: name must be a string, not 7"],
    [{ op: "invite", name: "a", uses: "2" }, "invite: uses must be a number, not another string"],
    [{ op: "invite", name: "a", seat: 1 }, "invite: seat must be true or false, not 1"],
    [{ op: "invite", name: "a", expires: "1h" }, "invite: expires is not a field known here"],
    [{ op: "revoke", name: "a", all: true }, "revoke: all is not a field known here"],
    [{ op: "clients", name: "a" }, "clients: name is not a field known here"],
    [{ op: "dance" }, 'a server does not know "dance"'],
    [{ op: "constructor" }, 'a server does not know "constructor"'],
  ])("refuse %j", (request, problem) => {
    const under = openStore();
    const error = usageErrorOf(() => ask(under, { ...request, fallbackUrl: URL }));
    expect(error.message).toBe(problem);
    expect(error.exitCode).toBe(2);
    expect([under.store.clients(), under.store.invites()]).toEqual([[], []]);
  });
});
