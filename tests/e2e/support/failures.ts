import { expect } from "bun:test";
import { curl, through } from "./curl.ts";
import type { World } from "./world.ts";

/** How a failed dial has to look, per way of asking. */
export interface DialFailureSeen {
  /** The code in the SOCKS5 reply (RFC 1928 section 6). */
  readonly socks5: number;
  /** The status of the HTTP proxy. */
  readonly http: number;
}

/** 97 is curl's "proxy handshake error"; it prints the reply's code. 91 is SOCKS4's only "rejected". */
const SOCKS_FAILED = 97;
const SOCKS4_REJECTED = 91;
/** What curl says when a proxy refuses CONNECT. */
const CONNECT_FAILED = 56;

/** Asks for `url` in all four ways and checks that each tells the reason, and none shows anything else. */
export async function expectFailure(world: World, url: string, seen: DialFailureSeen): Promise<void> {
  await Promise.all([
    expectSocks(world, url, "socks5h", seen.socks5),
    expectSocks(world, url, "socks4a", SOCKS4_REJECTED),
    expectConnect(world, url, seen.http),
    expectPlain(world, url, seen.http),
  ]);
}

async function expectSocks(world: World, url: string, kind: "socks5h" | "socks4a", code: number) {
  const ran = await curl(world, ...through(world, kind), url);
  expect(ran).toMatchObject({ exitCode: SOCKS_FAILED, stdout: "" });
  // curl 7.88 writes SOCKS4 replies as `(91)` in a sentence and SOCKS5 ones at the end of it.
  expect(ran.stderr).toContain(kind === "socks5h" ? `(${code})` : String(code));
}

async function expectConnect(world: World, url: string, status: number): Promise<void> {
  const ran = await curl(world, ...through(world, "connect"), "-w", "%{http_connect}", url);
  expect(ran).toMatchObject({ exitCode: CONNECT_FAILED, stdout: `${status}` });
}

async function expectPlain(world: World, url: string, status: number): Promise<void> {
  const ran = await curl(world, ...through(world, "http"), "-w", "\n%{http_code}", url);
  expect(ran.exitCode).toBe(0);
  expect(ran.stdout.split("\n").at(-1)).toBe(`${status}`);
}
