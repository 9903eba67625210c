import { readFileSync } from "node:fs";
import { messageOf, UsageError } from "../runtime/errors.ts";
import type { Flag } from "./flags.ts";
import type { Args } from "./strict-args.ts";

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

export const CREDENTIALS_VARIABLE = "RVPN_PROXY_AUTH";
/** RFC 1929 gives each one length byte. */
const MAX_BYTES = 255;

/** There is no flag for the password itself: every user of the machine can read the arguments of a process. */
export const credentialFlags = {
  "proxy-user": {
    type: "string",
    valueHint: "USER",
    description: "ask the proxy's users for this name and the password of --proxy-password-file",
  },
  "proxy-password-file": {
    type: "string",
    valueHint: "FILE",
    description: `the file whose first line is the password; or both as user:password in ${CREDENTIALS_VARIABLE}`,
  },
} as const satisfies Record<string, Flag>;

/** What users of the proxy must show, undefined for nothing. */
export function readCredentials(args: Args<typeof credentialFlags>): Credentials | undefined {
  const fromVariable = process.env[CREDENTIALS_VARIABLE];
  const { "proxy-user": user, "proxy-password-file": file } = args.values;
  if (user !== undefined && file !== undefined) {
    const label = args.nameOf("proxy-password-file");
    return check({ user, password: readFirstLine(file, label) }, args.nameOf("proxy-user"), label);
  }
  if (user !== undefined || file !== undefined) {
    throw new UsageError(
      `${args.nameOf(user === undefined ? "proxy-password-file" : "proxy-user")} alone is not enough`,
      `give --proxy-user and --proxy-password-file, or ${CREDENTIALS_VARIABLE}=user:password`,
    );
  }
  if (fromVariable === undefined || fromVariable === "") return undefined;
  const colon = fromVariable.indexOf(":");
  if (colon === -1)
    throw new UsageError(`${CREDENTIALS_VARIABLE} has no colon`, `set ${CREDENTIALS_VARIABLE}=user:password`);
  const credentials = { user: fromVariable.slice(0, colon), password: fromVariable.slice(colon + 1) };
  return check(credentials, CREDENTIALS_VARIABLE, CREDENTIALS_VARIABLE);
}

function readFirstLine(file: string, label: string): string {
  try {
    return readFileSync(file, "utf8").split(/\r?\n/, 1)[0] ?? "";
  } catch (error) {
    throw new UsageError(`${label}: ${messageOf(error)}`, "name a file that this user may read", {
      cause: error,
    });
  }
}

function check(credentials: Credentials, userLabel: string, passwordLabel: string): Credentials {
  for (const [text, what, label] of [
    [credentials.user, "user name", userLabel],
    [credentials.password, "password", passwordLabel],
  ] as const) {
    const bytes = Buffer.byteLength(text);
    if (bytes >= 1 && bytes <= MAX_BYTES) continue;
    throw new UsageError(`${label}: the ${what} has ${bytes} bytes`, `SOCKS5 takes 1 to ${MAX_BYTES} bytes`);
  }
  return credentials;
}
