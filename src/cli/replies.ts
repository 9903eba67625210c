import type { Json } from "../runtime/control.ts";

/** What the server answers to the admin commands, read from the JSON of its control socket. */

/** The link in the reply to `invite` and `add`. */
export function linkOf(reply: Json): string {
  const link = isObject(reply) ? reply["link"] : undefined;
  if (typeof link !== "string") throw new TypeError("the server's reply holds no link");
  return link;
}

function isObject(value: Json): value is { readonly [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
