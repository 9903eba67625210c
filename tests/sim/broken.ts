import { equalBytes, type Frame, LIMITS, type Link, Tunnel } from "../../src/proto/index.ts";
import { Liveness } from "../../src/proto/liveness.ts";
import { StreamTable } from "../../src/proto/stream-table.ts";
import { TunnelCore } from "../../src/proto/tunnel-core.ts";
import { SimKeeper } from "./keeper.ts";
import { tapLinks } from "./link-tap.ts";
import type { WorldOptions } from "./world.ts";

/** A way to be wrong, which the simulator must notice. */
export interface Broken {
  readonly name: string;
  /** Breaks the code under test; the result repairs it. */
  readonly apply: () => () => void;
  readonly options?: Partial<WorldOptions>;
}

const nothing = () => () => {};

export const BROKEN: readonly Broken[] = [
  { name: "packets are acknowledged before they are in the tunnel's memory", apply: acknowledgeEarly },
  {
    name: "streams are sent again from a wrong unit",
    apply: () => tapLinks({ seal: mapEntries((entry) => ({ ...entry, next: entry.next + 1 })) }),
  },
  { name: "a FIN is forgotten", apply: () => tapLinks({ seal: (frames) => frames.flatMap(withoutFin) }) },
  {
    name: "credit is not restated at resumption",
    apply: () =>
      tapLinks({
        open: mapEntries((entry) => ({ ...entry, consumed: 0, limit: LIMITS.initialWindowBytes })),
      }),
  },
  {
    name: "a sender does not keep to a stream's window",
    apply: () => tapLinks({ open: (frames) => frames.map(withMoreCredit) }),
  },
  { name: "neither side keeps to the tunnel's pool", apply: ignorePool },
  { name: "links are fenced by arrival instead of gen", apply: nothing, options: { fenceByArrival: true } },
  { name: "given-up tunnels are not remembered", apply: nothing, options: { forgetsDropped: true } },
  {
    name: "a RESET is never acknowledged",
    apply: () => tapLinks({ open: (frames) => frames.filter(({ type }) => type !== "resetAck") }),
  },
  { name: "a server's restart breaks also what never left the client", apply: breakUnsent },
  { name: "a server counts as restarted before it has accepted", apply: believeBundle },
  { name: "silence never ends a link", apply: believeSilence },
  { name: "streams wait for ever for a server that is gone", apply: waitForEver },
  { name: "of messages that come together only the last is told of", apply: tellLastOnly },
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
