import { unreachable } from "../proto/index.ts";
import type { Log, LogFields } from "../runtime/log.ts";
import type { DialProblem } from "./link-shell.ts";

/** Tells why a slot has no new link yet, in words that send nobody to look in the wrong place. */
export function logDialProblem(log: Log, problem: DialProblem, fields: LogFields): void {
  switch (problem) {
    case "notReached":
      return log.info("server not reached", fields);
    case "refused":
      return log.info("link refused, will be tried again", fields);
    case "otherServer":
      // Perhaps the server was set up anew, perhaps somebody is in between: worth a look in any case.
      return log.warn("another server answered: its identity is not the one of the link", fields);
    default:
      return unreachable(problem);
  }
}
