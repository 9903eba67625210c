import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Membership, readServer, writeServer } from "../../src/client/server-file.ts";
import { generateIdentity } from "../../src/proto/crypto/identity.ts";
import type { LinkKind } from "../../src/proto/link-text.ts";
import { UsageError } from "../../src/runtime/errors.ts";
import { IDENTITY_FILE, readIdentity } from "../../src/runtime/identity-file.ts";
import { readGate, writeGate } from "../../src/server/gate-file.ts";
import { readRoster, writeRoster } from "../../src/server/roster-file.ts";
import { readRotations, writeRotations } from "../../src/server/rotation-file.ts";
import { ServerStore } from "../../src/server/store.ts";
import { seededRandom } from "../proto/support/random.ts";
import { refusable, type Target, words } from "./target.ts";

/** What lies in a state directory: a disk, a backup or an editor may have been at it. */

const directory = mkdtempSync(join(tmpdir(), "rvpn-fuzz-"));

/** For the end of the tests. */
export function removeFiles(): void {
  rmSync(directory, { recursive: true });
}

const JSON_WORDS = words(
  ...'{ } [ ] , : " null true false 0 -1 1e999 9007199254740993 0.5 "" [] {} \\u0000 \\ud800'.split(" "),
  '"version":1',
  '"version":2',
  '"__proto__":{"x":1}',
  "\n",
);

/** The files of a server that has seen something. */
function serverFiles(): Map<string, Uint8Array> {
  const dir = join(directory, "server");
  const random = seededRandom("fuzz files");
  const store = ServerStore.open({ dir, now: () => Date.UTC(2026, 0, 1), random });
  store.rememberUrl("wss://vpn.example.com/");
  const { secret } = store.invite({ name: "laptop", uses: 3, expiresInMs: 3_600_000 });
  store.admit(generateIdentity(random).publicKey, secret);
  store.add("office", generateIdentity(random).publicKey);
  store.revoke("office");
  store.keys.rotate();
  store.keys.rotate();
  store.close();
  const names = ["gate.json", "clients.json", "rotations.json", IDENTITY_FILE];
  return new Map(names.map((name) => [name, readFileSync(join(dir, name))]));
}

const SAMPLES = serverFiles();

/** Refused by a UsageError that names the file, or read; and what was read is the same once it is written again. */
function file<T>(
  name: string,
  corpus: readonly Uint8Array[],
  read: (path: string) => T,
  write: (path: string, value: NonNullable<T>) => void,
): Target {
  const path = join(directory, name);
  return {
    name,
    corpus,
    words: JSON_WORDS,
    check(input) {
      writeFileSync(path, input, { mode: 0o600 });
      let value: T;
      try {
        value = read(path);
      } catch (error) {
        if (error instanceof UsageError && error.message.includes(path)) return;
        throw error;
      }
      if (value === undefined || value === null) throw new Error("a file that is there is not read");
      write(path, value);
      if (Bun.inspect(read(path)) !== Bun.inspect(value))
        throw new Error("is written otherwise than it was read");
    },
  };
}

function sample(name: string): Uint8Array[] {
  const bytes = SAMPLES.get(name);
  if (bytes === undefined) throw new Error(`no sample of ${name}`);
  return [bytes];
}

function serverSamples(): Uint8Array[] {
  const random = seededRandom("fuzz server.json");
  const key = generateIdentity(random).publicKey;
  const membership = (kind: LinkKind): Membership => ({
    url: "wss://vpn.example.com/",
    linkKey: key,
    gateKey: random(32),
    kind,
    secret: kind === "address" ? new Uint8Array(16) : random(16),
    joined: false,
    linkHash: random(32),
  });
  const pin = { serverKey: key, sequence: 2, formerKeys: [generateIdentity(random).publicKey] };
  return (["address", "invite", "seat"] as const).map((kind) => {
    const path = join(directory, "sample.json");
    const before = kind === "seat" ? membership("invite") : undefined;
    writeServer(path, { ...pin, ...membership(kind), before });
    return readFileSync(path);
  });
}

const identity: Target = {
  name: IDENTITY_FILE,
  corpus: sample(IDENTITY_FILE),
  words: words("\n", " ", "rvpn-secret:", "A", "=", "-", "_"),
  check(input) {
    writeFileSync(join(directory, IDENTITY_FILE), input, { mode: 0o600 });
    refusable([UsageError], () => readIdentity(directory));
  },
};

export const FILE_TARGETS: readonly Target[] = [
  file("gate.json", sample("gate.json"), readGate, writeGate),
  file("clients.json", sample("clients.json"), readRoster, writeRoster),
  file("rotations.json", sample("rotations.json"), readRotations, writeRotations),
  file("server.json", serverSamples(), readServer, writeServer),
  identity,
];
