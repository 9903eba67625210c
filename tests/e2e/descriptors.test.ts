import { expect } from "bun:test";
import type { Socket } from "bun";
import { callControl } from "../../src/runtime/control.ts";
import type { Child } from "./support/children.ts";
import { curl, through } from "./support/curl.ts";
import { descriptorsOf } from "./support/process-size.ts";
import { describeWith, programsFor } from "./support/settings.ts";
import { useWorld, type World } from "./support/world.ts";

/** Descriptors that a process may have beyond those it has. */
const ROOM = 60;
/** An idle process looks at its memory every two seconds, a client at its addresses every three. */
const IDLE_MS = 5_500;
/** Bun.serve accepts a connection that says nothing a second later. */
const DEFERRED_MS = 1_500;
const LIMIT_MS = 20_000;

describeWith(programsFor("direct", "prlimit"), "a server without descriptors", () => {
  const it = useWorld({ route: "direct" });
  it("cannot accept for a while, ends for no such error, and serves again when there are some", async (world) => {
    const { child, port } = world.server;
    await starve(world, child, port, { excess: 200, ms: 500 });
    await expectWorking(world);
  });
  it("ends for nothing that it asks its machine while it is idle", async (world) => {
    const { child, port } = world.server;
    await starve(world, child, port, { excess: 0, ms: IDLE_MS });
    await expectWorking(world);
  });
  it("revokes within a second while strangers open connections without end", async (world) => {
    const { child, port, state } = world.server;
    await limit(world, child);
    const strangers = new Churn(port, 6 * ROOM);
    await until(() => strangers.opened > 12 * ROOM);
    const ms: number[] = [];
    for (let round = 0; round < 5; round++) {
      const invited = await callControl(state, { op: "invite", name: "guest", url: world.url });
      expect(invited).toBeDefined();
      const start = performance.now();
      expect(await callControl(state, { op: "revoke", name: "guest" })).toBeDefined();
      ms.push(performance.now() - start);
    }
    await strangers.stop();
    expect(Math.max(...ms)).toBeLessThan(1_000);
    await until(() => descriptorsOf(child) < ROOM);
    await expectWorking(world);
  });
});

describeWith(programsFor("direct", "prlimit"), "a client without descriptors", () => {
  const it = useWorld({ route: "direct" });
  it("ends for nothing that it asks its machine, and serves again when there are some", async (world) => {
    const { child, port } = world.client;
    await starve(world, child, port, { excess: 0, ms: IDLE_MS });
    await expectWorking(world);
  });
});

/**
 * Takes all of a process's descriptors for so long, by connections to its port. Without any in excess nothing waits to
 * be accepted, so that the process has nothing to do.
 */
async function starve(
  world: World,
  child: Child,
  port: number,
  { excess, ms }: { readonly excess: number; readonly ms: number },
): Promise<void> {
  const most = await limit(world, child);
  const sockets: Socket<undefined>[] = [];
  // A few times over: what else the process has open comes and goes.
  for (let free = ROOM; free > 0; free = most - descriptorsOf(child)) {
    for (let each = 0; each < free; each++) sockets.push(await connect(port));
    await Bun.sleep(DEFERRED_MS);
  }
  for (let each = 0; each < excess; each++) sockets.push(await connect(port));
  await Bun.sleep(ms);
  // Else the test could not fail: there was no descriptor left to accept with, or to ask anything with.
  expect(descriptorsOf(child)).toBe(most);
  expect(child.running).toBe(true);
  for (const socket of sockets) socket.terminate();
  await until(() => descriptorsOf(child) < most - ROOM / 2);
}

/** Leaves a process room for so many descriptors more. Returns how many it may have. */
async function limit({ children }: World, child: Child): Promise<number> {
  const most = descriptorsOf(child) + ROOM;
  const command = ["prlimit", `--pid=${child.pid}`, `--nofile=${most}:`];
  expect(await children.run(command)).toMatchObject({ exitCode: 0, stderr: "" });
  return most;
}

/** Strangers without a key, each of whom asks for the site, waits a moment and comes again, until they are stopped. */
class Churn {
  readonly #strangers: Promise<void>[];
  #stopped = false;
  opened = 0;

  constructor(port: number, strangers: number) {
    this.#strangers = Array.from({ length: strangers }, () => this.#run(port));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#strangers);
  }

  async #run(port: number): Promise<void> {
    while (!this.#stopped) {
      // Refused where the server has ended, which the test will notice.
      const socket = await connect(port).catch(() => undefined);
      if (socket === undefined) return;
      this.opened += 1;
      socket.write("GET / HTTP/1.1\r\nHost: stranger\r\n\r\n");
      await Bun.sleep(100 + Math.random() * 400);
      socket.terminate();
    }
  }
}

async function expectWorking(world: World): Promise<void> {
  const site = await curl(world, `http://127.0.0.1:${world.server.port}/`);
  expect(site).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("<h1>It works!</h1>") });
  const ran = await curl(world, ...through(world, "socks5h"), world.origin.url("/"));
  expect(ran).toMatchObject({ exitCode: 0, stdout: "origin\n" });
}

function connect(port: number): Promise<Socket<undefined>> {
  return Bun.connect({ hostname: "127.0.0.1", port, socket: { data: () => {}, error: () => {} } });
}

async function until(isMet: () => boolean): Promise<void> {
  const deadline = performance.now() + LIMIT_MS;
  while (!isMet()) {
    if (performance.now() > deadline) throw new Error(`not within ${LIMIT_MS} ms`);
    await Bun.sleep(20);
  }
}
