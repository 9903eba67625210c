import { parseLink, type ServerLink } from "../proto/index.ts";
import { CREDENTIALS_VARIABLE } from "./credentials.ts";
import { applyEngineSettings, missingEngineSettings } from "./engine-settings.ts";
import { readInput } from "./input.ts";
import { parseText } from "./parse-text.ts";
import { executeAgain } from "./self.ts";
import { wipeEnvironment } from "./wipe-environment.ts";

const VARIABLE = "RVPN_LINK";
const HINT = "paste the whole line that rvpn invite printed";

/** What `[LINK]` means, for the help texts. */
export const linkArgument = {
  type: "positional",
  description:
    "what rvpn invite printed; - reads it from standard input; RVPN_LINK may hold it as well. Remembered after first use",
} as const;

/**
 * The link that this command was given, if any. One given as an argument is moved to the environment, which only the
 * same user may read, by executing the program again, and that as soon as its arguments are read: until then, some
 * hundredths of a second, it can be seen. `args` are those of `command` but the link.
 */
export async function readLink(
  command: "client" | "run",
  argument: string | undefined,
  args: () => readonly string[],
): Promise<ServerLink | undefined> {
  if (argument !== undefined && argument !== "-") {
    // Before it becomes a variable: a bad one is to be named as what the operator gave.
    parse("LINK", argument);
    executeAgain([command, ...args()], {
      ...process.env,
      ...missingEngineSettings(),
      [VARIABLE]: argument,
    });
  }
  applyEngineSettings(() => [command, ...(argument === undefined ? [] : [argument]), ...args()]);
  // Executed again for the last time: nothing needs to find them there any more.
  wipeEnvironment([VARIABLE, CREDENTIALS_VARIABLE]);
  if (argument === "-") return parse("standard input", await readInput("a link", HINT));
  const text = process.env[VARIABLE];
  // Out of the environment before anything else is started: children have no business with it.
  delete process.env[VARIABLE];
  return text === undefined || text === "" ? undefined : parse(VARIABLE, text);
}

function parse(label: string, text: string): ServerLink {
  return parseText(label, HINT, () => parseLink(text.trim()));
}
