import { writeFileSync } from "node:fs";
import { formatPublicKey, formatSecretKey, generateIdentity, type Identity } from "../../proto/index.ts";
import { messageOf, systemCode, UsageError } from "../../runtime/errors.ts";
import { createIdentity } from "../../runtime/identity-file.ts";
import { lockStateDir } from "../../runtime/lock.ts";
import { secureRandom } from "../../runtime/random.ts";
import { ensureStateDir } from "../../runtime/state-dir.ts";
import { identityInUse } from "../../server/server-keys.ts";
import { command, logLevelFlag } from "../command.ts";
import { identityDirOf, identityFlags } from "../identity-place.ts";
import { printResult } from "../output.ts";

const args = {
  out: {
    type: "string",
    valueHint: "FILE",
    env: false,
    description: "write the secret key to a new file that only this user may read",
  },
  ...identityFlags,
  "log-level": logLevelFlag,
} as const;

export default command({
  args,
  notes: `Prints a new secret key alone on stdout, as wg genkey does:

  rvpn keygen | tee secret.key | rvpn pubkey

With --out, --client, --server or --state the key is stored there, where there is none yet, and its public key is
printed. Clients and servers make their keys when they first start; this is for letting a client in by its public
key, without an invite:

  rvpn keygen --client                         # on the client: prints rvpn-pk-…
  rvpn add laptop rvpn-pk-…                    # on the server: prints the link`,
  async run({ values, nameOf }) {
    const dir = identityDirOf(values);
    if (values.out !== undefined && dir !== undefined) {
      throw new UsageError("--out is for a key without a state directory", "leave out --out or the others");
    }
    if (dir !== undefined) await printPublicKey(createIn(dir));
    else if (values.out !== undefined) await printPublicKey(createFile(values.out, nameOf("out")));
    else await printResult(formatSecretKey(generateIdentity(secureRandom)));
    return undefined;
  },
});

async function printPublicKey({ publicKey }: Identity): Promise<void> {
  await printResult(formatPublicKey(publicKey));
}

function createIn(dir: string): Identity {
  ensureStateDir(dir);
  const lock = lockStateDir(dir, "edit");
  try {
    if (identityInUse(dir) === undefined) return createIdentity(dir, secureRandom);
  } finally {
    lock.release();
  }
  throw new UsageError(`${dir} has an identity already`, `rvpn pubkey --state ${dir} prints its public key`);
}

/** Never over an existing file: the key in it may be the only copy. */
function createFile(file: string, label: string): Identity {
  const identity = generateIdentity(secureRandom);
  try {
    writeFileSync(file, `${formatSecretKey(identity)}\n`, { flag: "wx", mode: 0o600, flush: true });
    return identity;
  } catch (error) {
    const exists = systemCode(error) === "EEXIST";
    throw new UsageError(
      exists ? `${label}: ${file} exists` : `${label}: ${messageOf(error)}`,
      exists
        ? "name a new file; a key is never overwritten"
        : "name a file in a directory that this user may write",
      { cause: error },
    );
  }
}
