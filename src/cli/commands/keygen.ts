import { writeFileSync } from "node:fs";
import { formatPublicKey, formatSecretKey, generateIdentity } from "../../proto/index.ts";
import { messageOf, systemCode, UsageError } from "../../runtime/errors.ts";
import { secureRandom } from "../../runtime/random.ts";
import { command, logLevelFlag } from "../command.ts";
import { note, printResult } from "../output.ts";

const args = {
  out: {
    type: "string",
    valueHint: "FILE",
    description: "write the key to a new file that only this user may read, and print the public key instead",
  },
  "log-level": logLevelFlag,
} as const;

export default command({
  args,
  notes: `Prints a new secret key alone on stdout, as wg genkey does:

  rvpn keygen | tee secret.key | rvpn pubkey

Clients and servers make their own keys when they first start; this is for those who hand out keys from one place.`,
  async run({ values, nameOf }) {
    const identity = generateIdentity(secureRandom);
    const secret = formatSecretKey(identity);
    if (values.out === undefined) {
      await printResult(secret);
      return undefined;
    }
    writeNewFile(values.out, `${secret}\n`, nameOf("out"));
    note(`wrote a secret key to ${values.out}; its public key:`);
    await printResult(formatPublicKey(identity.publicKey));
    return undefined;
  },
});

/** Never over an existing file: the key in it may be the only copy. */
function writeNewFile(file: string, text: string, label: string): void {
  try {
    writeFileSync(file, text, { flag: "wx", mode: 0o600, flush: true });
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
