import type { ProxyCredentials } from "./negotiation.ts";

/** RFC 1929. Both halves are always compared, so that the time does not tell which one was wrong. */
export function passwordMatches(expected: ProxyCredentials, user: Uint8Array, password: Uint8Array): boolean {
  const sameUser = equalBytes(user, Buffer.from(expected.user, "utf8"));
  const samePassword = equalBytes(password, Buffer.from(expected.password, "utf8"));
  return sameUser && samePassword;
}

/** The value of a Proxy-Authorization field: Basic, in UTF-8 as our challenge asks (RFC 7617 section 2.1). */
export function basicMatches(expected: ProxyCredentials, value: string): boolean {
  const token = /^basic +([a-z0-9+/]+=*)$/i.exec(value)?.[1];
  if (token === undefined) return false;
  const wanted = Buffer.from(`${expected.user}:${expected.password}`, "utf8");
  return equalBytes(Buffer.from(token, "base64"), wanted);
}

/** Takes the same time wherever the first difference is: it depends on the length of what was given alone. */
function equalBytes(given: Uint8Array, expected: Uint8Array): boolean {
  let difference = given.length ^ expected.length;
  for (let i = 0; i < given.length; i++) {
    difference |= (given[i] ?? 0) ^ (expected[i % expected.length] ?? 0);
  }
  return difference === 0;
}
