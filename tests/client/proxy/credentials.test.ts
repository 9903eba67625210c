import { expect, test } from "bun:test";
import { basicMatches, passwordMatches } from "../../../src/client/proxy/credentials.ts";
import { CREDENTIALS } from "./harness.ts";

// The comparison goes over all of what was given and wraps around what is expected: so these are the ways to fool it.
const { user, password } = CREDENTIALS;
const utf8 = (text: string) => Buffer.from(text, "utf8");
const wrong = [
  "",
  password.slice(0, -1),
  `${password}x`,
  password + password,
  `\0${password}`,
  password.toUpperCase(),
];

test.each(wrong)("%j is not the password, whatever the user", (given) => {
  expect(passwordMatches(CREDENTIALS, utf8(user), utf8(given))).toBe(false);
  expect(basicMatches(CREDENTIALS, `Basic ${utf8(`${user}:${given}`).toString("base64")}`)).toBe(false);
});

test("the right pair matches, and neither half alone nor both the other way round", () => {
  expect(passwordMatches(CREDENTIALS, utf8(user), utf8(password))).toBe(true);
  expect(passwordMatches(CREDENTIALS, utf8(user + user), utf8(password))).toBe(false);
  expect(passwordMatches(CREDENTIALS, utf8(""), utf8(password))).toBe(false);
  expect(passwordMatches(CREDENTIALS, utf8(password), utf8(user))).toBe(false);
});

test("every single byte counts, the first as much as the last", () => {
  for (let at = 0; at < utf8(password).length; at++) {
    const given = utf8(password);
    given[at] = (given[at] ?? 0) ^ 0x20;
    expect(passwordMatches(CREDENTIALS, utf8(user), given)).toBe(false);
  }
});

test("as many bytes are looked at for a wrong first byte as for a wrong last one", () => {
  const reads = (given: Uint8Array): number => {
    let count = 0;
    const watched = new Proxy(given, {
      get(target, key) {
        if (typeof key === "string" && /^\d+$/.test(key)) count += 1;
        return Reflect.get(target, key, target);
      },
    });
    passwordMatches(CREDENTIALS, utf8(user), watched);
    return count;
  };
  const length = utf8(password).length;
  const [early, late] = [utf8(password), utf8(password)];
  early[0] = 0;
  late[length - 1] = 0;
  expect([early, late, utf8(password)].map(reads)).toEqual([length, length, length]);
});
