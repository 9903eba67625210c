import { Flight } from "../../src/proto/flight.ts";
import { equalBytes, type Frame, LIMITS, type Link, Tunnel } from "../../src/proto/index.ts";
import { Liveness } from "../../src/proto/liveness.ts";
import { StreamTable } from "../../src/proto/stream-table.ts";
import { TunnelCore } from "../../src/proto/tunnel-core.ts";
import { SimKeeper } from "./keeper.ts";
import { tapLinks } from "./link-tap.ts";
import type { Plan } from "./plan.ts";
import type { WorldOptions } from "./world.ts";

/** A way to be wrong, which the simulator must notice. */
export interface Broken {
  readonly name: string;
  /** Breaks the code under test; the result repairs it. */
  readonly apply: () => () => void;
  /** What makes the bug likely, in an otherwise calm and small world. */
  readonly plan: Partial<Plan>;
  readonly options?: Partial<WorldOptions>;
}

const nothing = () => () => {};
const KiB = 1024;

/** Nothing happens here but what a variant asks for. */
export const CALM: Plan = {
  path: { delayMs: 20, jitterMs: 5, bytesPerMs: 5_000, gatherMs: 0 },
  slots: 1,
  linkAgeMs: LIMITS.linkAgeMs,
  resumeWindowMs: 300_000,
  detachedBytes: 1024 * KiB * KiB,
  poolBytes: 64 * KiB * KiB,
  sendPoolBytes: 64 * KiB * KiB,
  requests: 8,
  mix: { smallBytes: 64 * KiB, bigShare: 0, resetShare: 0, slowShare: 0, lateShare: 0, dialFailureShare: 0 },
  activeMs: 4_000,
  faults: [],
  faultEveryMs: 400,
  goneMs: 0,
  dialFailureShare: 0,
};

/** Transfers of up to 3 MiB, to applications that take their time. */
const BIG: Partial<Plan> = {
  requests: 4,
  mix: { ...CALM.mix, bigShare: 1, slowShare: 0.5, lateShare: 0.3 },
};
const CUTS: Partial<Plan> = { faults: ["cut"] };

export const BROKEN: readonly Broken[] = [
  {
    name: "packets are acknowledged before they are in the tunnel's memory",
    apply: acknowledgeEarly,
    plan: CUTS,
  },
  {
    name: "streams are sent again from a wrong unit",
    apply: () => tapLinks({ seal: mapEntries((entry) => ({ ...entry, next: entry.next + 1 })) }),
    plan: CUTS,
  },
  {
    name: "a FIN is forgotten",
    apply: () => tapLinks({ seal: (frames) => frames.flatMap(withoutFin) }),
    plan: {},
  },
  {
    name: "credit is not restated at resumption",
    apply: () =>
      tapLinks({
        open: mapEntries((entry) => ({ ...entry, consumed: 0, limit: LIMITS.initialWindowBytes })),
      }),
    plan: { ...BIG, ...CUTS },
  },
  {
    name: "a sender does not keep to a stream's window",
    apply: () => tapLinks({ open: (frames) => frames.map(withMoreCredit) }),
    plan: BIG,
  },
  {
    name: "neither side keeps to the tunnel's pool",
    apply: ignorePool,
    plan: { ...BIG, poolBytes: 64 * KiB },
  },
  {
    name: "links are fenced by arrival instead of gen",
    apply: nothing,
    plan: { faults: ["lateDial", "cut"] },
    options: { fenceByArrival: true },
  },
  {
    name: "given-up tunnels are not remembered",
    apply: nothing,
    plan: { faults: ["lostAccept"], resumeWindowMs: 300 },
    options: { forgetsDropped: true },
  },
  {
    name: "a RESET is never acknowledged",
    apply: () => tapLinks({ open: (frames) => frames.filter(({ type }) => type !== "resetAck") }),
    plan: { mix: { ...CALM.mix, resetShare: 0.5 } },
  },
  {
    name: "a server's restart breaks also what never left the client",
    apply: breakUnsent,
    plan: { faults: ["restart"], requests: 20 },
  },
  {
    name: "a server counts as restarted before it has accepted",
    apply: believeBundle,
    plan: {
      ...BIG,
      faults: ["restart", "oldBundle", "cut", "oldBundle", "cut"],
      requests: 8,
      activeMs: 12_000,
    },
  },
  { name: "silence never ends a link", apply: believeSilence, plan: CUTS },
  {
    name: "streams wait for ever for a server that is gone",
    apply: waitForEver,
    plan: { resumeWindowMs: 1_000, goneMs: 100_000, mix: { ...CALM.mix, lateShare: 1 } },
  },
  {
    name: "of messages that come together only the last is told of",
    apply: tellLastOnly,
    plan: { path: { ...CALM.path, gatherMs: 20 } },
  },
  {
    name: "packets are long, whatever the path carries",
    apply: sendLong,
    plan: { ...CUTS, path: { ...CALM.path, bytesPerMs: 5 } },
  },
  {
    name: "streams start where the server goes away",
    apply: ignoreGoAway,
    plan: { faults: ["goAway"], requests: 20 },
  },
];

type Entry = Extract<Frame, { type: "resume" }>["entries"][number];

function mapEntries(change: (entry: Entry) => Entry) {
  return (frames: readonly Frame[]) =>
    frames.map((frame) =>
      frame.type === "resume" ? { ...frame, entries: frame.entries.map(change) } : frame,
    );
}

function withoutFin(frame: Frame): Frame[] {
  if (frame.type !== "proxyData" || !frame.fin) return [frame];
  return frame.bytes.length > 0 ? [{ ...frame, fin: false }] : [{ type: "ping", nonce: 0 }];
}

function withMoreCredit(frame: Frame): Frame {
  return frame.type === "windowUpdate" ? { ...frame, limit: frame.limit + LIMITS.maxWindowBytes } : frame;
}

// The frames of a packet are acted upon when the next one comes, but its acknowledgement goes out at once.
function acknowledgeEarly(): () => void {
  const late = new WeakMap<Link, readonly Frame[]>();
  const isStreams = ({ type }: Frame) =>
    type === "proxyData" || type === "proxyResponse" || type === "proxyConnect";
  return tapLinks({
    open: (frames, link) => {
      const due = late.get(link) ?? [];
      late.set(link, frames.filter(isStreams));
      return [...due, ...frames.filter((frame) => !isStreams(frame))];
    },
  });
}

function ignorePool(): () => void {
  const { allowance, checkOurPool, check } = StreamTable.prototype;
  StreamTable.prototype.allowance = (stream) => stream.sending.creditBytes;
  StreamTable.prototype.checkOurPool = () => {};
  StreamTable.prototype.check = () => {};
  return () => Object.assign(StreamTable.prototype, { allowance, checkOurPool, check });
}

function breakUnsent(): () => void {
  const { restarted } = SimKeeper.prototype;
  SimKeeper.prototype.restarted = function () {
    this.driver.tunnel.breakAll("lost");
  };
  return () => Object.assign(SimKeeper.prototype, { restarted });
}

function waitForEver(): () => void {
  const { givenUp } = SimKeeper.prototype;
  SimKeeper.prototype.givenUp = () => {};
  return () => Object.assign(SimKeeper.prototype, { givenUp });
}

function believeBundle(): () => void {
  const { offer } = Tunnel.prototype;
  const known = new WeakMap<Tunnel, Uint8Array>();
  Tunnel.prototype.offer = function (link, secret, join) {
    const before = known.get(this) ?? secret;
    known.set(this, secret);
    if (!equalBytes(before, secret)) breakStarted(this);
    offer.call(this, link, secret, join);
  };
  return () => Object.assign(Tunnel.prototype, { offer });
}

function breakStarted(tunnel: Tunnel): void {
  const { breakStream } = TunnelCore.prototype;
  TunnelCore.prototype.breakStream = function (stream, code) {
    if (stream.sending.started) breakStream.call(this, stream, code);
  };
  tunnel.breakAll("lost");
  Object.assign(TunnelCore.prototype, { breakStream });
}

function tellLastOnly(): () => void {
  const { receive } = Tunnel.prototype;
  Tunnel.prototype.receive = function (link, message, now) {
    while (this.pollEvent() !== undefined);
    receive.call(this, link, message, now);
  };
  return () => Object.assign(Tunnel.prototype, { receive });
}

function believeSilence(): () => void {
  const { health, nextWake } = Liveness.prototype;
  Liveness.prototype.health = () => "alive";
  Liveness.prototype.nextWake = () => Number.POSITIVE_INFINITY;
  return () => Object.assign(Liveness.prototype, { health, nextWake });
}

function sendLong(): () => void {
  const packetBytes = Object.getOwnPropertyDescriptor(Flight.prototype, "packetBytes");
  Object.defineProperty(Flight.prototype, "packetBytes", { configurable: true, get: () => 64 * KiB });
  return () => Object.defineProperty(Flight.prototype, "packetBytes", packetBytes ?? {});
}

function ignoreGoAway(): () => void {
  const { leave } = TunnelCore.prototype;
  TunnelCore.prototype.leave = () => {};
  return () => Object.assign(TunnelCore.prototype, { leave });
}
