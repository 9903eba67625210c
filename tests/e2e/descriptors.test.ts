import { expect } from "bun:test";
import type { Socket } from "bun";
import { callControl } from "../../src/runtime/control.ts";
import type { Child } from "./support/children.ts";
import { curl, through } from "./support/curl.ts";
import { descriptorsOf } from "./support/process-size.ts";
import { describeWith, programsFor } from "./support/settings.ts";
import { useWorld, type World } from "./support/world.ts";

/** Descriptors that a process may have beyond those it has, in most tests. */
const ROOM = 60;
/** An idle process looks at its memory every two seconds, a client at its addresses every three. */
const IDLE_MS = 5_500;
const LIMIT_MS = 20_000;

describeWith(programsFor("direct", "prlimit"), "a server without descriptors", () => {
  const it = useWorld({ route: "direct" });
  it("cannot accept for a while, ends for no such error, and serves again when there are some", async (world) => {
    const { child, port } = world.server;
    const most = await limit(world, child, ROOM);
    const sockets = await Promise.all(Array.from({ length: 5 * ROOM }, () => connect(port)));
    await until(() => descriptorsOf(child) >= most);
    await Bun.sleep(500);
    expect(child.running).toBe(true);
    for (const socket of sockets) socket.terminate();
    await until(() => descriptorsOf(child) < most - ROOM / 2);
    await expectWorking(world);
  });
  it("ends for nothing that it asks its machine while it is idle", async (world) => {
    const { child } = world.server;
    await limit(world, child, 0);
    await Bun.sleep(IDLE_MS);
    expect(child.running).toBe(true);
    await limit(world, child, ROOM);
    await expectWorking(world);
  });
  it("revokes within a second while strangers open connections without end", async (world) => {
    const { child, port, state } = world.server;
    await limit(world, child, ROOM);
    const strangers = new Strangers(port, 6 * ROOM, comeAgain);
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
  it("lets strangers who hold idle connections keep out neither visitors nor a new client, and cuts no link", async (world) => {
    const { child, port } = world.server;
    const most = await limit(world, child, ROOM);
    const strangers = new Strangers(port, 2 * ROOM, hold);
    await until(() => descriptorsOf(child) >= most);
    const start = performance.now();
    await expectWorking(world);
    await world.rvpn.startClient({ link: await world.server.invite("second", "--url", world.url) });
    // Idle connections have ten seconds while there is room.
    expect(performance.now() - start).toBeLessThan(9_000);
    expect(await world.client.status()).toMatchObject({ link: "up", reconnects: 0 });
    await strangers.stop();
  });
});

describeWith(programsFor("direct", "prlimit"), "a client without descriptors", () => {
  const it = useWorld({ route: "direct" });
  it("ends for nothing that it asks its machine, and serves again when there are some", async (world) => {
    const { child, port } = world.client;
    const most = await limit(world, child, ROOM);
    const sockets: Socket<undefined>[] = [];
    // A few times over: what else the process has open comes and goes. None in excess waits, so that it is idle.
    for (let free = ROOM; free > 0; free = most - descriptorsOf(child)) {
      for (let each = 0; each < free; each++) sockets.push(await connect(port));
      await Bun.sleep(100);
    }
    await Bun.sleep(IDLE_MS);
    // Else the test could not fail: there was no descriptor left to ask anything with.
    expect(descriptorsOf(child)).toBe(most);
    expect(child.running).toBe(true);
    for (const socket of sockets) socket.terminate();
    await until(() => descriptorsOf(child) < most - ROOM / 2);
    await expectWorking(world);
  });
});

/** Leaves a process room for so many descriptors more. Returns how many it may have. */
async function limit({ children }: World, child: Child, room: number): Promise<number> {
  const most = descriptorsOf(child) + room;
  const command = ["prlimit", `--pid=${child.pid}`, `--nofile=${most}:`];
  expect(await children.run(command)).toMatchObject({ exitCode: 0, stderr: "" });
  return most;
}

/** What a stranger does with a connection, until it is over. */
type Stay = (socket: Socket<Promise<void>>) => Promise<void>;

const comeAgain: Stay = async (socket) => {
  socket.write("GET / HTTP/1.1\r\nHost: stranger\r\n\r\n");
  await Bun.sleep(100 + Math.random() * 400);
};
const hold: Stay = async (socket) => {
  socket.write("GET / HTTP/1.1\r\n");
  await socket.data;
};

/** Strangers without a key, each with a new connection whenever its last is over, until they are stopped. */
class Strangers {
  readonly #strangers: Promise<void>[];
  readonly #sockets = new Set<Socket<Promise<void>>>();
  #stopped = false;
  opened = 0;

  constructor(port: number, count: number, stay: Stay) {
    this.#strangers = Array.from({ length: count }, () => this.#run(port, stay));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const socket of this.#sockets) socket.terminate();
    await Promise.all(this.#strangers);
  }

  async #run(port: number, stay: Stay): Promise<void> {
    while (!this.#stopped) {
      const { promise: closed, resolve } = Promise.withResolvers<void>();
      const handlers = { data: () => {}, error: () => {}, close: () => resolve() };
      const options = { hostname: "127.0.0.1", port, data: closed, socket: handlers };
      // Refused where the server has ended, which the test will notice.
      const socket = await Bun.connect<Promise<void>>(options).catch(() => undefined);
      if (socket === undefined) return;
      this.opened += 1;
      this.#sockets.add(socket);
      if (!this.#stopped) await stay(socket);
      this.#sockets.delete(socket);
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
