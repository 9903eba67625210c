import { expect } from "bun:test";
import type { Socket } from "bun";
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
  const most = descriptorsOf(child) + ROOM;
  const limit = ["prlimit", `--pid=${child.pid}`, `--nofile=${most}:`];
  expect(await world.children.run(limit)).toMatchObject({ exitCode: 0, stderr: "" });
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
