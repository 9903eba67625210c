import type { ClientStatus, SlotStatus } from "../../client/client.ts";
import { ExitCode, UsageError } from "../../runtime/errors.ts";
import { command, logLevelFlag } from "../command.ts";
import { clientStateFlag, jsonFlag, stateDirOf, timerOf } from "../options.ts";
import { formatTable, printJson, printResult } from "../output.ts";
import { askStatus, awaitLink } from "../running-client.ts";

const args = {
  state: clientStateFlag,
  json: jsonFlag,
  wait: {
    type: "string",
    valueHint: "DURATION",
    // RVPN_WAIT is of the client's --wait, which is about requests; it must not make every status wait.
    env: false,
    description: "wait up to this long until the link is up",
  },
  "log-level": logLevelFlag,
} as const;

export default command({
  args,
  notes: `Exit code 0 if a client runs (with --wait: if its link is up), else 3; --json then prints {"running":false}.`,
  async run({ values, nameOf }) {
    const stateDir = stateDirOf(values.state, "client");
    const waitMs = values.wait === undefined ? undefined : timerOf(values.wait, nameOf("wait"));
    const status = await (waitMs === undefined ? askStatus(stateDir) : awaitLink(stateDir, waitMs));
    if (status === undefined && !values.json) throw notRunning(stateDir);
    if (values.json) await printJson(status ?? { running: false });
    else if (status !== undefined) await printResult(describe(status));
    const isGood = status !== undefined && (waitMs === undefined || status.link === "up");
    return isGood ? ExitCode.ok : ExitCode.unreachable;
  },
});

function notRunning(stateDir: string): UsageError {
  return new UsageError(`no client is running in ${stateDir}`, "start one with: rvpn client --proxy 1080", {
    exitCode: ExitCode.unreachable,
  });
}

function describe(status: ClientStatus): string {
  const rtt = status.rttMs === undefined ? "" : `, round trip ${Math.round(status.rttMs)} ms`;
  const rows = [
    ["proxy", `${status.proxy}${status.proxyPassword ? ", with a password" : ""}`],
    ["server", status.server],
    ["link", `${status.link} since ${status.since}${rtt}`],
    ...(status.links.length === 1 ? [] : status.links.map(describeLink)),
    ...(status.lastReason === undefined ? [] : [["last problem", status.lastReason]]),
    ["reconnects", String(status.reconnects)],
    ["streams", String(status.streams)],
    ["bytes", `${status.bytesUp} up, ${status.bytesDown} down`],
  ];
  return formatTable(["running", `pid ${status.pid}`], rows);
}

function describeLink({ slot, state, ageSeconds, rttMs, streams, lastReason }: SlotStatus): [string, string] {
  const facts = [
    `${state}${ageSeconds === undefined ? "" : ` for ${formatSeconds(ageSeconds)}`}`,
    ...(rttMs === undefined ? [] : [`round trip ${Math.round(rttMs)} ms`]),
    `${streams} ${streams === 1 ? "stream" : "streams"}`,
    // Of a link that is up it is history, which the line for all of them tells.
    ...(state === "up" || lastReason === undefined ? [] : [lastReason]),
  ];
  return [`link ${slot}`, facts.join(", ")];
}

/** The two largest units that matter: `3h 5m`. */
function formatSeconds(seconds: number): string {
  const [minutes, hours, days] = [60, 3_600, 86_400].map((unit) => Math.floor(seconds / unit));
  if (days) return `${days}d ${(hours ?? 0) % 24}h`;
  if (hours) return `${hours}h ${(minutes ?? 0) % 60}m`;
  return minutes ? `${minutes}m ${seconds % 60}s` : `${seconds}s`;
}
