import { expect } from "bun:test";
import { readdirSync } from "node:fs";
import type { Socket } from "bun";
import { curl, through } from "./support/curl.ts";
import { describeWith, programsFor } from "./support/settings.ts";
import { useWorld, type World } from "./support/world.ts";

/** Descriptors that the server of this test may have, and connections that it gets: more than it can accept. */
const DESCRIPTORS = 128;
const CONNECTIONS = 300;
const LIMIT_MS = 20_000;

describeWith(programsFor("direct", "prlimit"), "a server without descriptors", () => {
  const it = useWorld({ route: "direct" });
  it("cannot accept for a while, ends for no such error, and serves again when there are some", starves);
});

async function starves(world: World): Promise<void> {
  const { server } = world;
  const limit = ["prlimit", `--pid=${server.child.pid}`, `--nofile=${DESCRIPTORS}:${DESCRIPTORS}`];
  expect(await world.children.run(limit)).toMatchObject({ exitCode: 0, stderr: "" });
  const sockets = await Promise.all(Array.from({ length: CONNECTIONS }, () => connect(server.port)));
  const count = () => readdirSync(`/proc/${server.child.pid}/fd`).length;
  // Else the test could not fail: there was no descriptor left to accept with.
  await until(() => count() >= DESCRIPTORS - 1);
  await Bun.sleep(500);
  expect(server.child.running).toBe(true);
  for (const socket of sockets) socket.terminate();
  await until(() => count() < DESCRIPTORS / 2);
  const site = await curl(world, `http://127.0.0.1:${server.port}/`);
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
