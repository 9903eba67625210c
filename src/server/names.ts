import { UsageError } from "../runtime/errors.ts";
import { STORE_LIMITS } from "./store-limits.ts";

/** Whether `text` can be the name of clients: it stands in logs, tables and shell commands, so it is plain. */
export function isName(text: string): boolean {
  return text.length <= STORE_LIMITS.maxNameLength && /^[A-Za-z0-9._-]+$/.test(text);
}

export function checkName(name: string): void {
  if (isName(name)) return;
  throw new UsageError(
    `${JSON.stringify(name)} cannot be a client's name`,
    `use 1 to ${STORE_LIMITS.maxNameLength} letters, digits, dots, dashes and underscores: laptop, ci-linux`,
  );
}
