import { expect } from "bun:test";
import type { Socket } from "bun";
import { LIMITS, tunnelMemoryBound } from "../../src/proto/index.ts";
import type { Child } from "./support/children.ts";
import { curlHash, through } from "./support/curl.ts";
import { patternHash } from "./support/pattern.ts";
import {
  countersOf,
  descriptorsOf,
  expectMemoryBack,
  residentBytes,
  settledBytes,
} from "./support/process-size.ts";
import { describeWith, FULL, programsFor } from "./support/settings.ts";
import { useWorld, type World } from "./support/world.ts";

const STREAMS = FULL ? 1_000 : 100;
const WAVES = FULL ? 3 : 1;
/** With a thousand others the pool is full and a stream moves by little more than its exemption, some 2 MB/s here. */
const BYTES = 20_000_000;
/** What the buffers of a tunnel with so many streams may hold; processes may grow by no more, with all that is around. */
const BUDGET_BYTES = tunnelMemoryBound(STREAMS + 1, LIMITS.poolBytes);

describeWith(programsFor("direct"), `${STREAMS} streams that nobody reads`, () => {
  const it = useWorld({ route: "direct" });
  it("the one that is read beside them finishes, and nothing is left of them", beside);
});

async function beside(world: World): Promise<void> {
  const processes = [world.server.child, world.client.child];
  const descriptors = processes.map(descriptorsOf);
  const empty = processes.map(residentBytes);
  const resident: number[][] = [];
  for (let wave = 0; wave < WAVES; wave++) {
    const stalled = await Promise.all(Array.from({ length: STREAMS }, () => stall(world)));
    await awaitFull(world);
    const startedAt = performance.now();
    const hash = await curlHash(world, ...through(world, "socks5h"), world.origin.url(`/bytes/${BYTES}`));
    const tookMs = performance.now() - startedAt;
    expect(hash).toBe(patternHash(BYTES));
    // They were there all the time, and are as alive as before.
    const { streams, heldBytes = Number.NaN } = await countersOf(world.server);
    expect(streams).toBeGreaterThanOrEqual(STREAMS);
    expect(heldBytes).toBeLessThanOrEqual(BUDGET_BYTES);
    expect(stalled.filter(({ data }) => data.closed)).toEqual([]);
    const grown = processes.map((child, index) => residentBytes(child) - (empty[index] ?? 0));
    for (const bytes of grown) expect(bytes).toBeLessThanOrEqual(BUDGET_BYTES);
    const [server, client, held, budget] = [...grown, heldBytes, BUDGET_BYTES].map(megabytes);
    for (const socket of stalled) socket.terminate();
    await world.client.awaitStatus(({ streams }) => streams === 0, 30_000);
    if (WAVES > 1) resident.push(await settled(world));
    process.stderr.write(
      `never-read: wave ${wave}: ${BYTES / 1e6} MB beside ${STREAMS} in ${tookMs.toFixed(0)} ms; ` +
        `RSS of server and client ${server} and ${client} MB above the start, ${held} MB held, ${budget} MB allowed\n`,
    );
  }
  for (const wave of resident) {
    const [server, client] = wave.map(megabytes);
    process.stderr.write(`never-read: settled RSS of server and client ${server} and ${client} MB\n`);
  }
  await awaitNoStream(world);
  expect(await countersOf(world.server)).toMatchObject({ streams: 0, heldBytes: 0, pooledBytes: 0 });
  for (const [index, child] of processes.entries()) {
    await awaitDescriptors(child, descriptors[index] ?? 0);
    for (const wave of resident.slice(1)) expectMemoryBack(resident[0]?.[index] ?? 0, wave[index] ?? 0);
  }
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}

/** Of the server and the client. */
function settled({ server, client }: World): Promise<number[]> {
  return Promise.all([
    settledBytes(server.child, () => countersOf(server)),
    settledBytes(client.child, () => client.status()),
  ]);
}

/** A link that was replaced meanwhile may still be closing. */
async function awaitDescriptors(child: Child, most: number): Promise<void> {
  for (const deadline = performance.now() + 10_000; performance.now() < deadline; await Bun.sleep(100))
    if (descriptorsOf(child) <= most) return;
  expect(descriptorsOf(child)).toBeLessThanOrEqual(most);
}

async function awaitNoStream({ server }: World): Promise<void> {
  for (const deadline = performance.now() + 10_000; performance.now() < deadline; await Bun.sleep(50))
    if ((await countersOf(server))["streams"] === 0) return;
}

/** Waits until no more comes for the stalled: their windows and the pool are full. */
async function awaitFull({ server, client }: World): Promise<void> {
  for (let [before, now] = [-1, 0]; before !== now; ) {
    before = now;
    await Bun.sleep(300);
    now = (await client.status()).bytesDown + ((await countersOf(server))["heldBytes"] ?? 0);
  }
}

interface Stalled {
  step: number;
  closed: boolean;
  readonly open: PromiseWithResolvers<void>;
}

/** A SOCKS5 connection to the origin that never stops sending, of which not a byte is read. */
async function stall(world: World): Promise<Socket<Stalled>> {
  const { flood } = world.origin.ports;
  const connect = Uint8Array.of(5, 1, 0, 1, 127, 0, 0, 1, flood >> 8, flood & 255);
  const socket = await Bun.connect<Stalled>({
    hostname: "127.0.0.1",
    port: world.client.port,
    data: { step: 0, closed: false, open: Promise.withResolvers() },
    socket: {
      open: (socket) => void socket.write(Uint8Array.of(5, 1, 0)),
      data: (socket, bytes) => {
        const { step, open } = socket.data;
        socket.data.step += 1;
        if (step === 0) return void socket.write(connect);
        socket.pause();
        if (bytes[1] === 0) open.resolve();
        else open.reject(new Error(`SOCKS5 reply ${bytes[1]}`));
      },
      close: ({ data }) => {
        data.closed = true;
        data.open.reject(new Error("closed before the reply"));
      },
      error: () => {},
    },
  });
  await socket.data.open.promise;
  return socket;
}
