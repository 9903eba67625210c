import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { seatIdentity } from "../../src/proto/index.ts";
import { usageErrorOf, useScratch } from "../runtime/state-support.ts";
import { newKey, useStores } from "./store-support.ts";

const openStore = useStores(useScratch());

/** A gate's file with one field more. */
function gateWith(field: string): string {
  return `{"version":1,"key":"${"A".repeat(43)}","generation":0,"previous":[],"${field}":1}\n`;
}

describe("a start", () => {
  test.each(["identity.key", "gate.json", "clients.json"])("refuses %s that others can read", (name) => {
    const { dir, store } = openStore();
    store.close();
    chmodSync(join(dir, name), 0o640);
    expect(usageErrorOf(() => openStore(dir)).hint).toBe(`chmod 600 ${join(dir, name)}`);
    chmodSync(join(dir, name), 0o600);
    // The refusal has given the directory back.
    openStore(dir);
  });

  test.each([
    ["identity.key", "gate.json"],
    ["gate.json", "clients.json"],
  ])("does not make a lost %s anew, as that would lock out every client", (missing, present) => {
    const { dir, store } = openStore();
    store.close();
    rmSync(join(dir, missing));
    const error = usageErrorOf(() => openStore(dir));
    expect(error.message).toBe(`${join(dir, missing)} is missing, though ${present} is there`);
    expect(existsSync(join(dir, missing))).toBe(false);
  });

  test.each([
    ["identity.key", "", "not a secret key"],
    ["identity.key", "rvpn-sk-AAAA", "characters long"],
    ["gate.json", "", "the file is empty"],
    ["gate.json", '{"version":1,"key":"AAAA","previous":[]}', "key is not base64url of 32 bytes"],
    ["gate.json", '{"version":1,"previous":[]}', "key is missing"],
    ["gate.json", '{"version":7}', "newer rvpn"],
    // Found by fuzzing: the operator was shown the whole of it.
    ["gate.json", gateWith("x".repeat(30_000)), `"${"x".repeat(40)}" is not a field known here`],
    ["gate.json", gateWith("\\u001b[2J"), '"\\u001b[2J" is not a field known here'],
    ["clients.json", "{", "cut short"],
    ["clients.json", '{"version":1,"clients":[],"invites":[]}', "revoked is missing"],
    ["clients.json", '{"version":2}', "newer rvpn"],
  ])("refuses a damaged %s (%p), names it and leaves it alone", (name, text, problem) => {
    const { dir, store } = openStore();
    store.close();
    writeFileSync(join(dir, name), text);
    const error = usageErrorOf(() => openStore(dir));
    expect(error.message).toStartWith(`${join(dir, name)}: `);
    expect(error.message).toContain(problem);
    expect(error.exitCode).toBe(2);
    expect(readFileSync(join(dir, name), "utf8")).toBe(text);
  });
});

describe("the list's file", () => {
  /** The file of a store with one record of each kind, changed by `edit`, and what the next start says to it. */
  function refusalOf(edit: (text: string) => string): string {
    const { dir, store } = openStore();
    store.add("laptop", newKey());
    store.admit(newKey(), store.invite({ name: "thief" }).secret);
    store.revoke("thief");
    store.invite({ name: "phone" });
    store.close();
    const path = join(dir, "clients.json");
    const text = readFileSync(path, "utf8");
    expect(edit(text)).not.toBe(text);
    writeFileSync(path, edit(text));
    return usageErrorOf(() => openStore(dir)).message.slice(path.length + 2);
  }

  test.each<[string, (text: string) => string]>([
    ["clients[0].name is not a client's name", (text) => text.replace('"laptop"', '"lap top"')],
    ["clients[0].kind must be", (text) => text.replace('"client"', '"admin"')],
    ["clients[0].addedAt is not a time", (text) => text.replace("2025-01-31T12:00:00.000Z", "2025-01-31")],
    ["clients[0].addedAt is not a time", (text) => text.replace("2025-01-31T12", "2025-13-31T12")],
    ["clients[0].key is not a public key: ", (text) => text.replace(/rvpn-pk-..../, "rvpn-pk-AAAA")],
    ["invites[0].hash is not base64url of 32 bytes", (text) => text.replace(/"hash": "./, '"hash": "')],
    [
      "invites[1].used must be a whole number from 0 to 1, not 2",
      (text) => text.replace('"used": 0', '"used": 2'),
    ],
    ["clients[0].color is not a field", (text) => text.replace('"kind"', '"color": "red", "kind"')],
    [
      "revoked[0].key is in this file a second time",
      (text) => text.replace(/(rvpn-pk-[^"]+)(.*)rvpn-pk-[^"]+/s, "$1$2$1"),
    ],
  ])("with %s is refused", (problem, edit) => {
    expect(refusalOf(edit)).toStartWith(problem);
  });

  test("holds nothing that lets anybody in", () => {
    const { dir, store } = openStore();
    const invite = store.invite({ name: "laptop" }).secret;
    const seat = store.invite({ name: "ci", seat: true }).secret;
    const files = ["clients.json", "gate.json"].map((name) => readFileSync(join(dir, name), "utf8")).join();
    for (const secret of [invite, seat, seatIdentity(seat, store.identity.publicKey).seed]) {
      expect(files).not.toContain(secret.toBase64({ alphabet: "base64url", omitPadding: true }));
      expect(files).not.toContain(secret.toHex());
    }
  });
});
