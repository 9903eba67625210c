import { expect, test } from "bun:test";
import type { Socket } from "bun";
import { LIMITS, tunnelMemoryBound } from "../../src/proto/index.ts";
import { Relay } from "../../src/runtime/relay.ts";
import { linkedDriver } from "./driver-support.ts";

const STREAMS = 200;
/** Long enough for every sender to have been read in full turns. */
const WARM_MS = 1_000;

/** What senders that never end have given a tunnel whose path stands still, at most. */
async function mostHeld(stall: "while it flows" | "after a pause"): Promise<number> {
  const { driver } = linkedDriver();
  const block = new Uint8Array(2 ** 20);
  const pump = (socket: Socket) => {
    while (socket.write(block) === block.length);
  };
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: { open: pump, drain: pump, data() {} },
  });
  const state = { stalled: false };
  const joined = Array.from({ length: STREAMS }, () => join(driver, state));
  const sockets = await Promise.all(
    joined.map((relay) =>
      Bun.connect({
        hostname: "127.0.0.1",
        port: listener.port,
        allowHalfOpen: true,
        socket: {
          data: (_, bytes) => relay.socketData(bytes),
          open: (socket) => relay.connect(socket),
        },
      }),
    ),
  );
  await Bun.sleep(WARM_MS);
  if (stall === "after a pause") for (const relay of joined) relay.hold();
  state.stalled = true;
  if (stall === "after a pause") for (const relay of joined) relay.go();
  let most = 0;
  for (let turn = 0; turn < 200; turn++) {
    await new Promise<void>((resolve) => void setImmediate(resolve));
    most = Math.max(most, driver.stats().heldBytes);
  }
  for (const socket of sockets) socket.terminate();
  listener.stop(true);
  driver.close("connection");
  return most;
}

/** A relay whose stream swallows what it is given until the path stalls. */
function join(
  driver: ReturnType<typeof linkedDriver>["driver"],
  state: { readonly stalled: boolean },
): Relay {
  const relay = new Relay();
  const stream = driver.open({ host: { kind: "name", name: "a.example" }, port: 80 }, relay);
  if (stream === undefined) throw new Error("no stream");
  const write = stream.write.bind(stream);
  stream.write = (bytes) => (state.stalled ? write(bytes) : true);
  relay.join(stream);
  return relay;
}

test.each(["while it flows", "after a pause"] as const)(
  "two hundred large senders fill no more than the memory of a tunnel when its path stalls %s",
  async (stall) => {
    const received = LIMITS.poolBytes + STREAMS * LIMITS.exemptBytes;
    const bound = tunnelMemoryBound(STREAMS, LIMITS.poolBytes) - received;
    expect(await mostHeld(stall)).toBeWithin(LIMITS.poolBytes / 2, bound);
  },
  30_000,
);
