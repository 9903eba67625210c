import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ClientStore } from "../../src/client/store.ts";
import { formatSecretKey, generateIdentity, type ServerLink, seatIdentity } from "../../src/proto/index.ts";
import { seededRandom } from "../proto/support/random.ts";
import { modeOf, startChild, usageErrorOf, useScratch, withUmask } from "../runtime/state-support.ts";

// A process starts in 0.1 s, and in seconds on a busy machine.
setDefaultTimeout(60_000);

const scratch = useScratch();
const random = seededRandom("client store");
const NO_SECRET = new Uint8Array(16);
const open = new Set<ClientStore>();
afterAll(() => {
  for (const store of open) store.close();
});

function openStore(dir = scratch()): { dir: string; store: ClientStore; reopen(): ClientStore } {
  let store = ClientStore.open({ dir, random });
  open.add(store);
  const reopen = (): ClientStore => {
    store.close();
    store = ClientStore.open({ dir, random });
    open.add(store);
    return store;
  };
  return { dir, store, reopen };
}

const serverKey = generateIdentity(random).publicKey;

function linkOf(fields: Partial<ServerLink> = {}): ServerLink {
  const secret = fields.kind === "address" ? NO_SECRET : random(16);
  return { url: "wss://vpn.example.org/", kind: "invite", serverKey, gateKey: random(32), secret, ...fields };
}

describe("the identity", () => {
  test("is made when it is first wanted, and kept", () => {
    const { dir, store, reopen } = openStore();
    expect(existsSync(join(dir, "identity.key"))).toBe(false);
    const { publicKey } = store.identity;
    expect(store.identity).toBe(store.identity);
    expect(reopen().identity.publicKey).toEqual(publicKey);
  });

  test("is the one that keygen put there", () => {
    const dir = scratch();
    const identity = generateIdentity(random);
    writeFileSync(join(dir, "identity.key"), `${formatSecretKey(identity)}\n`, { mode: 0o600 });
    expect(openStore(dir).store.identity.publicKey).toEqual(identity.publicKey);
  });

  test("of a seat is derived from its secret, and none of its own is made", () => {
    const { dir, store, reopen } = openStore();
    const link = linkOf({ kind: "seat" });
    store.adopt(link);
    store.markJoined();
    const { publicKey } = seatIdentity(link.secret, serverKey);
    expect(store.identity.publicKey).toEqual(publicKey);
    expect(store.identity).toBe(store.identity);
    expect(reopen().identity.publicKey).toEqual(publicKey);
    expect(existsSync(join(dir, "identity.key"))).toBe(false);
  });

  test("that has joined is not made anew when its file is lost", () => {
    const { dir, store } = openStore();
    store.adopt(linkOf());
    expect(store.identity.publicKey).toHaveLength(32);
    store.markJoined();
    store.close();
    rmSync(join(dir, "identity.key"));
    const error = usageErrorOf(() => openStore(dir));
    expect(error.message).toBe(`${join(dir, "identity.key")} is missing, though server.json is there`);
  });
});

describe("adopt", () => {
  test("remembers the server of the first link", () => {
    const { store, reopen } = openStore();
    expect(store.server).toBeUndefined();
    const link = linkOf();
    expect(store.adopt(link)).toMatchObject({ ...link, joined: false });
    expect(store.server).toMatchObject({ ...link, joined: false });
    expect(reopen().server).toEqual(store.server);
  });

  test.each(["invite", "seat", "address"] as const)(
    "takes a link of the kind %s through a restart",
    (kind) => {
      const { store, reopen } = openStore();
      const link = linkOf({ kind });
      store.adopt(link);
      expect(reopen().server).toMatchObject({ ...link, joined: false });
    },
  );

  test("of a new link of the same server updates the address, the gate key and the invite", () => {
    const { store, reopen } = openStore();
    store.adopt(linkOf());
    expect(store.identity.publicKey).toHaveLength(32);
    store.markJoined();
    const link = linkOf({ url: "wss://new.example.org/x" });
    expect(store.adopt(link)).toMatchObject({ ...link, joined: false });
    expect(reopen().server).toMatchObject({ ...link, joined: false });
  });

  test("of an address changes where the server is, and not who this client is", () => {
    const { store, reopen } = openStore();
    const seat = linkOf({ kind: "seat" });
    store.adopt(seat);
    store.markJoined();
    const { url, gateKey, ...address } = linkOf({ kind: "address", url: "wss://new.example.org/" });
    store.adopt({ url, gateKey, ...address });
    expect(reopen().server).toMatchObject({ ...seat, url, gateKey, joined: true });
    expect(store.identity.publicKey).toEqual(seatIdentity(seat.secret, serverKey).publicKey);
  });

  test("of the same link again changes nothing: what the server has told since is newer", () => {
    const { dir, store, reopen } = openStore();
    const link = linkOf();
    store.adopt(link);
    expect(store.identity.publicKey).toHaveLength(32);
    store.markJoined();
    const gateKey = random(32);
    store.replaceGateKey(gateKey);
    const before = readFileSync(join(dir, "server.json"), "utf8");
    for (const each of [store, reopen()]) {
      expect(each.adopt({ ...link })).toMatchObject({ gateKey, secret: NO_SECRET, joined: true });
    }
    expect(readFileSync(join(dir, "server.json"), "utf8")).toBe(before);
  });

  test("of another server's link is refused, and names --state", () => {
    const { dir, store, reopen } = openStore();
    store.adopt(linkOf());
    const before = store.server;
    const other = linkOf({ url: "wss://other.example.org/", serverKey: generateIdentity(random).publicKey });
    const error = usageErrorOf(() => store.adopt(other));
    expect(error.message).toBe(
      `${dir} belongs to the server at wss://vpn.example.org/, and this link is of another one, at wss://other.example.org/`,
    );
    expect(error.hint).toContain("--state");
    expect(error.exitCode).toBe(2);
    expect(reopen().server).toEqual(before);
  });

  test("of the same address by an identity not known yet is refused too: a link moves no pin", () => {
    const { dir, store, reopen } = openStore();
    store.adopt(linkOf());
    const before = store.server;
    const newer = linkOf({ kind: "address", serverKey: generateIdentity(random).publicKey });
    const error = usageErrorOf(() => store.adopt(newer));
    expect(error.message).toBe(
      `${dir} knows the server at wss://vpn.example.org/ by another identity than the link's`,
    );
    expect(error.hint).toMatch(/without the link.*--state DIR/);
    expect(error.exitCode).toBe(2);
    expect(reopen().server).toEqual(before);
  });

  test("changes the identity when a seat takes the place of an invite, and back", () => {
    const { store } = openStore();
    store.adopt(linkOf());
    const own = store.identity.publicKey;
    const seat = linkOf({ kind: "seat" });
    store.adopt(seat);
    expect(store.identity.publicKey).toEqual(seatIdentity(seat.secret, serverKey).publicKey);
    const other = linkOf({ kind: "seat" });
    store.adopt(other);
    expect(store.identity.publicKey).toEqual(seatIdentity(other.secret, serverKey).publicKey);
    store.adopt(linkOf());
    expect(store.identity.publicKey).toEqual(own);
  });
});

describe("a link that nobody has accepted yet", () => {
  /** A client whose own key is on the server's list. */
  function openMember(kind: "address" | "invite" = "invite") {
    const opened = openStore();
    const link = linkOf({ kind });
    opened.store.adopt(link);
    const { publicKey } = opened.store.identity;
    opened.store.markJoined();
    const member = opened.store.server;
    if (member === undefined) throw new Error("the link was not remembered");
    return { ...opened, link, member, publicKey };
  }
  const fileOf = (dir: string): string => readFileSync(join(dir, "server.json"), "utf8");

  test.each(["address", "invite"] as const)("is undone by a refusal, for one let in by an %s", (kind) => {
    const { dir, reopen, member, publicKey } = openMember(kind);
    const before = fileOf(dir);
    const seat = linkOf({ kind: "seat", url: "wss://new.example.org/" });
    reopen().adopt(seat);
    const tried = reopen();
    expect(tried.server).toMatchObject({ ...seat, joined: false });
    expect(tried.identity.publicKey).toEqual(seatIdentity(seat.secret, serverKey).publicKey);
    expect(tried.goBack()).toBe(true);
    for (const store of [tried, reopen()]) {
      expect(store.server).toEqual(member);
      expect(store.identity.publicKey).toEqual(publicKey);
      expect(store.goBack()).toBe(false);
    }
    expect(fileOf(dir)).toBe(before);
  });

  test("is for good once it is accepted", () => {
    const { dir, store, reopen } = openMember();
    const seat = linkOf({ kind: "seat" });
    store.adopt(seat);
    expect(fileOf(dir)).toContain('"before"');
    reopen().markJoined();
    expect(fileOf(dir)).not.toContain('"before"');
    const joined = reopen();
    expect(joined.goBack()).toBe(false);
    expect(joined.server).toMatchObject({ ...seat, joined: true });
  });

  test("gives way to another one, and the refusal of that leads back to what was accepted", () => {
    const { store, reopen, member } = openMember();
    store.adopt(linkOf({ kind: "seat" }));
    reopen().adopt(linkOf());
    reopen().adopt(linkOf({ kind: "seat" }));
    expect(reopen().goBack()).toBe(true);
    expect(reopen().server).toEqual(member);
  });

  test("is left by the link of before, which then is the same as ever", () => {
    const { store, reopen, link, member } = openMember();
    store.adopt(linkOf({ kind: "seat" }));
    expect(reopen().adopt(link)).toEqual(member);
    expect(reopen().server).toEqual(member);
  });

  test("takes a new address along, and so does what was before it", () => {
    const { store, reopen, member } = openMember();
    store.adopt(linkOf({ kind: "seat" }));
    const { url, gateKey } = reopen().adopt(linkOf({ kind: "address", url: "wss://new.example.org/" }));
    expect(reopen().server).toMatchObject({ kind: "seat", url, gateKey, joined: false });
    reopen().goBack();
    expect(reopen().server).toEqual({ ...member, url, gateKey });
  });

  test("leaves the pin where a rotation has moved it", () => {
    const { store, reopen } = openMember();
    store.adopt(linkOf({ kind: "seat" }));
    const key = generateIdentity(random).publicKey;
    store.movePin({ key, sequence: 1, former: [serverKey] });
    reopen().goBack();
    expect(reopen().server).toMatchObject({
      kind: "invite",
      joined: true,
      serverKey: key,
      linkKey: serverKey,
    });
  });

  test("stays if it is the first of all: there is nothing to go back to", () => {
    const { store, reopen } = openStore();
    const link = linkOf();
    store.adopt(link);
    expect(store.goBack()).toBe(false);
    expect(reopen().server).toMatchObject({ ...link, joined: false });
  });

  test("does not hide that the client's own key is lost", () => {
    const { dir, store } = openMember();
    store.adopt(linkOf({ kind: "seat" }));
    store.close();
    rmSync(join(dir, "identity.key"));
    expect(usageErrorOf(() => openStore(dir)).message).toEndWith("is missing, though server.json is there");
  });

  test("stays as it is where going back cannot be written", () => {
    const { dir, store } = openMember();
    const seat = linkOf({ kind: "seat" });
    store.adopt(seat);
    rmSync(dir, { recursive: true });
    expect(usageErrorOf(() => store.goBack()).message).toStartWith("cannot write ");
    expect(store.server).toMatchObject({ ...seat, joined: false });
  });

  test.each<[string, (text: string) => string]>([
    ["before.kind must be", (text) => text.replace(/("before": \{[^}]*"kind": )"invite"/, '$1"guest"')],
    ["before.linkKey is missing", (text) => text.replace(/,\s*"linkKey": "[^"]*"/, "")],
    ["before.x is not a field", (text) => text.replace(/"before": \{/, '"before": {"x": 1,')],
  ])("in a damaged file is refused: %s", (problem, edit) => {
    const { dir, store } = openMember();
    store.adopt(linkOf({ kind: "seat" }));
    store.close();
    const text = edit(fileOf(dir));
    writeFileSync(join(dir, "server.json"), text);
    expect(usageErrorOf(() => openStore(dir)).message).toStartWith(`${join(dir, "server.json")}: ${problem}`);
    expect(fileOf(dir)).toBe(text);
  });
});

describe("markJoined", () => {
  test("forgets the secret of an invite, also on the disk", () => {
    const { dir, store, reopen } = openStore();
    const link = linkOf();
    store.adopt(link);
    const text = link.secret.toBase64({ alphabet: "base64url", omitPadding: true });
    const file = (): string => readFileSync(join(dir, "server.json"), "utf8");
    expect(file()).toContain(text);
    expect(store.identity.publicKey).toHaveLength(32);
    store.markJoined();
    expect(file()).not.toContain(text);
    expect(store.server).toMatchObject({ joined: true, secret: NO_SECRET });
    expect(reopen().server).toEqual(store.server);
  });

  test("again writes nothing", () => {
    const { dir, store } = openStore();
    store.adopt(linkOf());
    store.markJoined();
    rmSync(dir, { recursive: true });
    store.markJoined();
  });
});

describe("movePin", () => {
  const newKeys = (count: number) => Array.from({ length: count }, () => generateIdentity(random).publicKey);

  test("is durable, keeps everything else, and needs no more than the link that was given", () => {
    const { store, reopen } = openStore();
    const link = linkOf();
    store.adopt(link);
    expect(store.identity.publicKey).toHaveLength(32);
    const [key] = newKeys(1);
    if (key === undefined) throw new Error("no key");
    store.movePin({ key, sequence: 3, former: [serverKey] });
    const expected = { ...link, serverKey: key, sequence: 3, formerKeys: [serverKey], joined: false };
    expect(store.server).toMatchObject(expected);
    const again = reopen();
    expect(again.server).toEqual(store.server);
    // The same link at the next start, in a service's environment.
    expect(again.adopt(link)).toMatchObject(expected);
    again.markJoined();
    expect(reopen().server).toMatchObject({ ...expected, joined: true, secret: NO_SECRET });
  });

  test("never goes back, nor aside", () => {
    const { store } = openStore();
    store.adopt(linkOf());
    const [one, two, aside] = newKeys(3);
    if (one === undefined || two === undefined || aside === undefined) throw new Error("no keys");
    store.movePin({ key: two, sequence: 2, former: [serverKey, one] });
    const moved = store.server;
    for (const late of [
      { key: one, sequence: 1, former: [serverKey] },
      { key: serverKey, sequence: 3, former: [serverKey] },
      { key: aside, sequence: 9, former: [serverKey, one] },
      { key: aside, sequence: 2, former: [serverKey, one, two] },
    ]) {
      store.movePin(late);
      expect(store.server).toEqual(moved);
    }
    // A link that was dialled before the first rotation, and has followed all of them.
    store.movePin({ key: aside, sequence: 3, former: [serverKey, one, two] });
    expect(store.server).toMatchObject({ serverKey: aside, sequence: 3, formerKeys: [serverKey, one, two] });
  });

  test("lets older links of the server in, which do not take the pin back, and not those of others", () => {
    const { store, reopen } = openStore();
    store.adopt(linkOf());
    const [key] = newKeys(1);
    if (key === undefined) throw new Error("no key");
    store.movePin({ key, sequence: 1, former: [serverKey] });
    for (const kind of ["invite", "address"] as const) {
      const { serverKey: _, ...link } = linkOf({ kind, url: `wss://${kind}.example.org/` });
      store.adopt({ ...link, serverKey });
      const { url, gateKey } = link;
      expect(reopen().server).toMatchObject({ url, gateKey, serverKey: key, sequence: 1 });
    }
    expect(usageErrorOf(() => reopen().adopt(linkOf({ serverKey: newKeys(1)[0] ?? key }))).hint).toContain(
      "--state",
    );
  });

  test("does not change who a seat is", () => {
    const { store, reopen } = openStore();
    const seat = linkOf({ kind: "seat" });
    store.adopt(seat);
    const { publicKey } = seatIdentity(seat.secret, serverKey);
    const [one, two] = newKeys(2);
    if (one === undefined || two === undefined) throw new Error("no keys");
    store.movePin({ key: one, sequence: 1, former: [serverKey] });
    expect(reopen().identity.publicKey).toEqual(publicKey);
    // A seat that was made after the rotation is of the key that its link names.
    const newer = linkOf({ kind: "seat", serverKey: one });
    const again = reopen();
    again.adopt(newer);
    again.movePin({ key: two, sequence: 2, former: [one] });
    expect(reopen().identity.publicKey).toEqual(seatIdentity(newer.secret, one).publicKey);
  });

  test("remembers no end of former keys", () => {
    const { store, reopen } = openStore();
    store.adopt(linkOf());
    let pinned = serverKey;
    for (let sequence = 1; sequence <= 70; sequence++) {
      const { publicKey: key } = generateIdentity(random);
      store.movePin({ key, sequence, former: [pinned] });
      pinned = key;
    }
    expect(reopen().server?.formerKeys).toHaveLength(64);
    expect(reopen().server?.serverKey).toEqual(pinned);
  });
});

test("replaceGateKey is durable, keeps a copy, and writes nothing for the same key", () => {
  const { dir, store, reopen } = openStore();
  store.adopt(linkOf());
  const gateKey = random(32);
  const copy = Uint8Array.from(gateKey);
  store.replaceGateKey(gateKey);
  gateKey.fill(0);
  expect(store.server?.gateKey).toEqual(copy);
  const again = reopen();
  expect(again.server?.gateKey).toEqual(copy);
  expect(() => again.replaceGateKey(copy.subarray(1))).toThrow("32 bytes");
  rmSync(dir, { recursive: true });
  again.replaceGateKey(copy);
  expect(usageErrorOf(() => again.replaceGateKey(random(32))).message).toStartWith("cannot write ");
  expect(again.server?.gateKey).toEqual(copy);
});

describe("the files", () => {
  test.each([0o000, 0o022, 0o777])("are 0600 in 0700 under umask %o", (umask) => {
    const dir = join(scratch(), "rvpn/client");
    withUmask(umask, () => {
      const { store } = openStore(dir);
      store.adopt(linkOf());
      return store.identity;
    });
    expect(readdirSync(dir).sort()).toEqual(["identity.key", "lock", "server.json"]);
    for (const name of readdirSync(dir)) expect(modeOf(join(dir, name))).toBe("600");
    expect(modeOf(dir)).toBe("700");
  });

  test.each(["identity.key", "server.json"])("%s that others can read is refused", (name) => {
    const { dir, store } = openStore();
    expect(store.identity.publicKey).toHaveLength(32);
    store.adopt(linkOf());
    store.close();
    chmodSync(join(dir, name), 0o604);
    expect(usageErrorOf(() => openStore(dir)).hint).toBe(`chmod 600 ${join(dir, name)}`);
  });

  test.each<[string, (text: string) => string]>([
    ["the file is empty", () => ""],
    ["the file is cut short", (text) => text.slice(0, -9)],
    ["url is not a server's address: ", (text) => text.replace("wss:", "https:")],
    ["serverKey is not a public key: ", (text) => text.replace("rvpn-pk-", "rvpn-pk-A")],
    ["gateKey is not base64url of 32 bytes", (text) => text.replace(/"gateKey": "../, '"gateKey": "')],
    ["kind must be", (text) => text.replace('"invite"', '"guest"')],
    ["secret is not a field", (text) => text.replace('"joined": false', '"joined": true')],
    ["secret is missing", (text) => text.replace('"secret"', '"sekret"')],
    ["linkHash is missing", (text) => text.replace(/,\s*"linkHash": "[^"]*"/, "")],
    ["version 2 was written by a newer rvpn", (text) => text.replace('"version": 1', '"version": 2')],
  ])("server.json with the fault %p is refused and left alone", (problem, edit) => {
    const { dir, store } = openStore();
    store.adopt(linkOf());
    store.close();
    const path = join(dir, "server.json");
    const text = edit(readFileSync(path, "utf8"));
    writeFileSync(path, text);
    const error = usageErrorOf(() => openStore(dir));
    expect(error.message).toStartWith(`${path}: ${problem}`);
    expect(readFileSync(path, "utf8")).toBe(text);
  });
});

test("one client per directory", async () => {
  const dir = scratch();
  const holder = startChild("lock", dir);
  await holder.line();
  expect(usageErrorOf(() => openStore(dir)).message).toBe(`already running, pid ${holder.pid}, in ${dir}`);
  holder.kill("SIGKILL");
  await holder.exited;
  openStore(dir);
});
