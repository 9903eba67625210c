import { formatPublicKey, type Identity, parseSecretKey } from "../../proto/index.ts";
import { UsageError } from "../../runtime/errors.ts";
import { identityInUse } from "../../server/server-keys.ts";
import { command, logLevelFlag } from "../command.ts";
import { identityDirOf, identityFlags } from "../identity-place.ts";
import { readInput } from "../input.ts";
import { printResult } from "../output.ts";
import { parseText } from "../parse-text.ts";

const args = { ...identityFlags, "log-level": logLevelFlag } as const;

export default command({
  args,
  notes: "Reads a secret key on standard input and prints its public key on stdout, as wg pubkey does.",
  async run({ values }) {
    const dir = identityDirOf(values);
    const { publicKey } = dir === undefined ? await fromInput() : fromState(dir);
    await printResult(formatPublicKey(publicKey));
    return undefined;
  },
});

async function fromInput(): Promise<Identity> {
  const hint = "pipe in what rvpn keygen printed: rvpn-sk-…";
  const text = await readInput("a secret key", hint);
  return parseText("standard input", hint, () => parseSecretKey(text));
}

function fromState(dir: string): Identity {
  // A client's directory has no rotations: there it is what identity.key says.
  const identity = identityInUse(dir);
  if (identity !== undefined) return identity;
  throw new UsageError(
    `there is no identity in ${dir}`,
    "it is made at the first start, or by rvpn keygen --state",
  );
}
