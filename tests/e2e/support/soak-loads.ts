import { expect } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Dice } from "../../sim/dice.ts";
import { chaosOf } from "./chaos-run.ts";
import { curl, curlHash, PROXIES, type ProxyKind, through } from "./curl.ts";
import { expectFailure } from "./failures.ts";
import { LightClient } from "./light-client.ts";
import { patternHash, writePattern } from "./pattern.ts";
import { openThrough, type ProxiedSocket } from "./proxied-socket.ts";
import type { World } from "./world.ts";

/** What the loads of a soak work with. Each has dice of its own. */
export interface Soak {
  readonly world: World;
  /** For any number of clients. */
  readonly guests: string;
  /** The client that comes again and again: where it has its state, and its link. */
  readonly visitor: { readonly state: string; readonly link: string };
}

export interface Load {
  readonly name: string;
  /** Mean pause between two of them. */
  readonly pauseMs: number;
  readonly run: (soak: Soak, dice: Dice) => Promise<void>;
}

const MB = 1_000_000;
const KINDS: readonly ProxyKind[] = ["socks5h", "connect", "http"];
const CLOSED_PORT = 1;
const REFUSED = { socks5: 5, http: 502 };
/** What a target's reset is for curl: a failure in receiving data, or in sending where it comes before the request. */
const RESET = [56, 55];
const GUEST_REQUEST = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/** All of these go on at once, each again and again. Two of a name are two at once. */
export const LOADS: readonly Load[] = [
  { name: "downloads", pauseMs: 100, run: download },
  { name: "downloads", pauseMs: 100, run: download },
  { name: "uploads", pauseMs: 200, run: upload },
  { name: "requests", pauseMs: 30, run: request },
  { name: "requests", pauseMs: 30, run: request },
  { name: "sessions of echoes", pauseMs: 100, run: echoes },
  { name: "downloads that were broken off", pauseMs: 300, run: breakOff },
  { name: "targets that reset", pauseMs: 500, run: reset },
  { name: "refused connections in four ways", pauseMs: 500, run: refused },
  { name: "batches of idle connections", pauseMs: 500, run: idle },
  { name: "guests", pauseMs: 1_000, run: guest },
  { name: "visits", pauseMs: 4_000, run: visit },
  { name: "cuts", pauseMs: 8_000, run: cut },
];

function kindBy(dice: Dice): ProxyKind {
  return KINDS[dice.int(KINDS.length)] ?? "http";
}

async function download({ world }: Soak, dice: Dice): Promise<void> {
  const bytes = 1 + dice.int(dice.int(4) === 0 ? 20 * MB : MB);
  const hash = await curlHash(world, ...through(world, kindBy(dice)), world.origin.url(`/bytes/${bytes}`));
  expect(hash).toBe(patternHash(bytes));
}

async function upload({ world }: Soak, dice: Dice): Promise<void> {
  const bytes = 1 + dice.int(5 * MB);
  const file = join(world.dir, "soak-upload");
  await writePattern(file, bytes);
  const ran = await curl(world, ...through(world, kindBy(dice)), "-T", file, world.origin.url("/upload"));
  rmSync(file);
  expect(ran).toMatchObject({ exitCode: 0, stderr: "" });
  expect(JSON.parse(ran.stdout)).toEqual({ bytes, sha256: patternHash(bytes) });
}

async function request({ world }: Soak, dice: Dice): Promise<void> {
  const ran = await curl(world, ...through(world, kindBy(dice)), world.origin.url("/"));
  expect(ran).toMatchObject({ exitCode: 0, stdout: "origin\n" });
}

/** Somebody types, and sees every character once. */
async function echoes({ world }: Soak, dice: Dice): Promise<void> {
  const socket = await openThrough(world, world.origin.ports.echo);
  for (let left = 20 + dice.int(100); left > 0; left--) {
    const byte = dice.int(256);
    expect(await socket.ask(Uint8Array.of(byte), 1)).toEqual(Uint8Array.of(byte));
    await Bun.sleep(dice.int(20));
  }
  socket.close();
}

async function breakOff({ world }: Soak, dice: Dice): Promise<void> {
  const socket = await openThrough(world, world.origin.ports.flood);
  await socket.ask(new Uint8Array(0), 1 + dice.int(MB));
  socket.close();
}

async function reset({ world }: Soak, dice: Dice): Promise<void> {
  const url = `http://127.0.0.1:${world.origin.ports.resetter}/`;
  const kind = kindBy(dice);
  const status = ["-o", "/dev/null", "-w", "%{http_code}"];
  const { exitCode, stdout, stderr } = await curl(world, ...through(world, kind), ...status, url);
  // While a link is away a reset may overtake all that came before it: then plain HTTP has a 502, never a whole page.
  const seen = { kind, exitCode, stdout, stderr };
  if (exitCode === 0) expect(seen).toMatchObject({ kind: "http", stdout: `${REFUSED.http}` });
  else expect({ ...seen, isReset: RESET.includes(exitCode) }).toMatchObject({ ...seen, isReset: true });
}

async function refused({ world }: Soak): Promise<void> {
  await expectFailure(world, `http://127.0.0.1:${CLOSED_PORT}/`, REFUSED);
}

async function idle({ world }: Soak, dice: Dice): Promise<void> {
  const sockets: ProxiedSocket[] = [];
  for (let left = 1 + dice.int(30); left > 0; left--)
    sockets.push(await openThrough(world, world.origin.ports.echo));
  await Bun.sleep(dice.int(2_000));
  for (const socket of sockets) socket.close();
}

/** Somebody new joins, asks for a page and vanishes. It dials once only, so that a cut may hit it. */
async function guest({ world, guests }: Soak): Promise<void> {
  const client = new LightClient();
  const { cuts } = chaosOf(world).counts;
  try {
    await client.join(guests);
    await client.open(world.origin.ports.http, GUEST_REQUEST, "reads");
  } catch (error) {
    if (chaosOf(world).counts.cuts === cuts) throw error;
  }
  client.discard();
}

/** The same other client, a process, comes, takes something and goes in order. */
async function visit({ world, visitor }: Soak, dice: Dice): Promise<void> {
  const client = await world.rvpn.startClient(visitor);
  const bytes = 1 + dice.int(MB);
  const url = world.origin.url(`/bytes/${bytes}`);
  expect(await curlHash(world, ...PROXIES.socks5h(client.proxy), url)).toBe(patternHash(bytes));
  expect(await client.child.stop()).toBe(0);
}

async function cut({ world }: Soak, dice: Dice): Promise<void> {
  await Bun.sleep(1_000 + dice.int(4_000));
  chaosOf(world).cut(dice.int(2) === 0 ? "reset" : "fin");
}
