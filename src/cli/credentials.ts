import { closeSync, fstatSync, openSync, readFileSync } from "node:fs";
import type { ProxyCredentials } from "../client/proxy/negotiation.ts";
import { messageOf, UsageError } from "../runtime/errors.ts";
import { checkPrivateMode } from "../runtime/private-mode.ts";
import type { Flag } from "./flags.ts";
import type { Args } from "./strict-args.ts";

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
    description: `the file whose first line is the password, 0600; or both as user:password in ${CREDENTIALS_VARIABLE}`,
  },
} as const satisfies Record<string, Flag>;

/** What users of the proxy must show, undefined for nothing. */
export function readCredentials(args: Args<typeof credentialFlags>): ProxyCredentials | undefined {
  const { "proxy-user": user, "proxy-password-file": file } = args.values;
  if (user === undefined && file === undefined) return fromVariable(process.env[CREDENTIALS_VARIABLE]);
  const userLabel = args.nameOf("proxy-user");
  const fileLabel = args.nameOf("proxy-password-file");
  if (user === undefined || file === undefined) {
    throw new UsageError(
      `${user === undefined ? fileLabel : userLabel} alone is not enough`,
      `give --proxy-user and --proxy-password-file, or ${CREDENTIALS_VARIABLE}=user:password`,
    );
  }
  // HTTP sends both with a colon between them (RFC 7617 section 2).
  if (user.includes(":"))
    throw new UsageError(`${userLabel}: a user name has no colon`, "choose another name");
  checkLength(user, "user name", userLabel);
  const password = readFirstLine(file, fileLabel);
  checkLength(password, "password", fileLabel);
  return { user, password };
}

function fromVariable(text: string | undefined): ProxyCredentials | undefined {
  if (text === undefined || text === "") return undefined;
  const colon = text.indexOf(":");
  if (colon === -1) {
    throw new UsageError(`${CREDENTIALS_VARIABLE} has no colon`, `set ${CREDENTIALS_VARIABLE}=user:password`);
  }
  const user = text.slice(0, colon);
  const password = text.slice(colon + 1);
  checkLength(user, "user name", CREDENTIALS_VARIABLE);
  checkLength(password, "password", CREDENTIALS_VARIABLE);
  return { user, password };
}

function readFirstLine(file: string, label: string): string {
  let fd: number | undefined;
  try {
    fd = openSync(file, "r");
    const stats = fstatSync(fd);
    // A shell's pipe, /dev/fd/63, has no mode that anybody chose.
    if (stats.isFile()) checkPrivateMode(file, stats.mode, 0o600);
    return readFileSync(fd, "utf8").split(/\r?\n/, 1)[0] ?? "";
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const hint = "name a file that this user may read";
    throw new UsageError(`${label}: ${messageOf(error)}`, hint, { cause: error });
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function checkLength(text: string, what: string, label: string): void {
  const bytes = Buffer.byteLength(text);
  if (bytes >= 1 && bytes <= MAX_BYTES) return;
  throw new UsageError(`${label}: the ${what} has ${bytes} bytes`, `SOCKS5 takes 1 to ${MAX_BYTES} bytes`);
}
