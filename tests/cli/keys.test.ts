import { describe, expect, test } from "bun:test";
import { chmodSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { formatPublicKey } from "../../src/proto/index.ts";
import { secureRandom } from "../../src/runtime/random.ts";
import { ServerStore } from "../../src/server/store.ts";
import { rvpn, useScratch } from "./support/transcript.ts";

const freshDir = useScratch();

const SECRET = /^rvpn-sk-[\w-]{48}\n$/;
const PUBLIC = /^rvpn-pk-[\w-]{48}\n$/;

describe("keygen and pubkey", () => {
  test("work in a pipe as wg genkey and wg pubkey do", async () => {
    const secret = await rvpn(["keygen"]);
    expect(secret).toEqual({ exitCode: 0, stdout: expect.stringMatching(SECRET), stderr: "" });
    const once = await rvpn(["pubkey"], { stdin: secret.stdout });
    expect(once).toEqual({ exitCode: 0, stdout: expect.stringMatching(PUBLIC), stderr: "" });
    expect(await rvpn(["pubkey"], { stdin: ` ${secret.stdout}\n` })).toEqual(once);
    expect((await rvpn(["keygen"])).stdout).not.toBe(secret.stdout);
  });

  test("the pipe is not led astray by RVPN_STATE", async () => {
    const env = { RVPN_STATE: freshDir() };
    const secret = await rvpn(["keygen"], { env });
    const { exitCode, stdout } = await rvpn(["pubkey"], { env, stdin: secret.stdout });
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: expect.stringMatching(PUBLIC) });
  });

  test("keygen --out makes a new file of mode 0600, prints its public key, and overwrites nothing", async () => {
    const file = join(freshDir(), "secret.key");
    const made = await rvpn(["keygen", "--out", file]);
    expect(made).toEqual({ exitCode: 0, stdout: expect.stringMatching(PUBLIC), stderr: "" });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const secret = readFileSync(file, "utf8");
    expect(await rvpn(["pubkey"], { stdin: secret })).toEqual(made);
    expect(await rvpn(["keygen", "--out", file])).toEqual({
      exitCode: 2,
      stdout: "",
      stderr: `rvpn: --out: ${file} exists\nhint: name a new file; a key is never overwritten\n`,
    });
    expect(readFileSync(file, "utf8")).toBe(secret);
  });

  test("keygen --state makes the identity of a state directory once", async () => {
    const dir = join(freshDir(), "client");
    const made = await rvpn(["keygen", "--state", dir]);
    expect(made).toEqual({ exitCode: 0, stdout: expect.stringMatching(PUBLIC), stderr: "" });
    expect(statSync(dir).mode & 0o777).toBe(0o700);
    expect(await rvpn(["pubkey", "--state", dir])).toEqual(made);
    expect(await rvpn(["keygen", "--state", dir])).toEqual({
      exitCode: 2,
      stdout: "",
      stderr: `rvpn: ${dir} has an identity already\nhint: rvpn pubkey --state ${dir} prints its public key\n`,
    });
  });
});

describe("of a server that was stopped in the middle of a rotation", () => {
  /** The statement and the new key are on the disk, the old key is still in its own file. */
  const cutShort = () => {
    const dir = freshDir();
    const store = ServerStore.open({ dir, now: Date.now, random: secureRandom });
    const [identity, rotations] = [join(dir, "identity.key"), join(dir, "rotations.json")];
    const old = readFileSync(identity, "utf8");
    store.keys.rotate();
    store.close();
    const pending = readFileSync(identity, "utf8").trim();
    writeFileSync(rotations, JSON.stringify({ ...JSON.parse(readFileSync(rotations, "utf8")), pending }));
    writeFileSync(identity, old);
    return dir;
  };

  test("pubkey prints the identity that its next start has, and changes nothing", async () => {
    const dir = cutShort();
    const before = readFileSync(join(dir, "identity.key"), "utf8");
    const { rotations } = JSON.parse(readFileSync(join(dir, "rotations.json"), "utf8"));
    const shown = await rvpn(["pubkey", "--state", dir]);
    expect(shown).toEqual({ exitCode: 0, stdout: `${rotations.at(-1).new}\n`, stderr: "" });
    expect(await rvpn(["pubkey"], { stdin: before })).not.toEqual(shown);
    expect(readFileSync(join(dir, "identity.key"), "utf8")).toBe(before);
    const store = ServerStore.open({ dir, now: Date.now, random: secureRandom });
    store.close();
    expect(`${formatPublicKey(store.identity.publicKey)}\n`).toBe(shown.stdout);
    expect(await rvpn(["pubkey", "--state", dir])).toEqual(shown);
  });

  test("keygen makes no key in the place of a lost one, which no client would know", async () => {
    const dir = cutShort();
    const store = ServerStore.open({ dir, now: Date.now, random: secureRandom });
    store.close();
    rmSync(join(dir, "identity.key"));
    for (const command of ["keygen", "pubkey"]) {
      const { exitCode, stderr } = await rvpn([command, "--state", dir]);
      expect([exitCode, stderr]).toEqual([
        2,
        expect.stringContaining("identity.key is missing, though rotations.json"),
      ]);
    }
    expect(readdirSync(dir)).not.toContain("identity.key");
  });
});

describe("mistakes", () => {
  test.each<[string, string, string]>([
    ["", "standard input is empty: a secret key was expected", "pipe in what rvpn keygen printed: rvpn-sk-…"],
    [
      "x".repeat(70_000),
      "standard input holds more than a secret key",
      "pipe in what rvpn keygen printed: rvpn-sk-…",
    ],
  ])("pubkey of %#", async (stdin, message, hint) => {
    expect(await rvpn(["pubkey"], { stdin })).toEqual({
      exitCode: 2,
      stdout: "",
      stderr: `rvpn: ${message}\nhint: ${hint}\n`,
    });
  });

  test("a mistyped secret key is refused and not repeated", async () => {
    const { stdout: secret } = await rvpn(["keygen"]);
    const { exitCode, stdout, stderr } = await rvpn(["pubkey"], { stdin: secret.replace(/.\n/, "\n") });
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
    expect(stderr).toStartWith("rvpn: standard input: ");
    expect(stderr).not.toContain(secret.slice(8, 30));
  });

  test("there is no identity", async () => {
    const dir = freshDir();
    expect(await rvpn(["pubkey", "--state", dir])).toEqual({
      exitCode: 2,
      stdout: "",
      stderr: `rvpn: there is no identity in ${dir}\nhint: it is made at the first start, or by rvpn keygen --state\n`,
    });
  });

  test("an identity that others may read is refused", async () => {
    const dir = freshDir();
    writeFileSync(join(dir, "identity.key"), (await rvpn(["keygen"])).stdout);
    chmodSync(join(dir, "identity.key"), 0o644);
    const { exitCode, stdout, stderr } = await rvpn(["pubkey", "--state", dir]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
    expect(stderr).toContain("identity.key");
  });

  test.each(["keygen --client --server", "pubkey --state /tmp --server"])("rvpn %s", async (args) => {
    expect(await rvpn(args.split(" "))).toMatchObject({
      exitCode: 2,
      stderr: "rvpn: --client, --server and --state exclude each other\nhint: give one of them\n",
    });
  });
});
