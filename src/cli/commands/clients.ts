import { callServer } from "../../server/admin.ts";
import { command, logLevelFlag } from "../command.ts";
import { jsonFlag, serverStateFlag, stateDirOf } from "../options.ts";
import { formatTable, printJson, printResult } from "../output.ts";
import { type ListedClient, type ListedInvite, readClientList } from "../replies.ts";

const args = { state: serverStateFlag, json: jsonFlag, "log-level": logLevelFlag } as const;

const HEADER = ["NAME", "KIND", "SINCE", "EXPIRES", "LINKS", "STREAMS", "KEY"];

export default command({
  args,
  notes: "Lists clients, seats and the invites that still let somebody in. Times are UTC.",
  async run({ values }) {
    const reply = await callServer(stateDirOf(values.state, "server"), { op: "clients" });
    if (values.json) {
      await printJson(reply);
      return undefined;
    }
    const { clients, invites } = readClientList(reply);
    await printResult(formatTable(HEADER, [...clients.map(clientRow), ...invites.map(inviteRow)]));
    return undefined;
  },
});

function clientRow({ name, kind, addedAt, expiresAt, live, key }: ListedClient): string[] {
  const until = expiresAt === undefined ? "never" : toSeconds(expiresAt);
  const { links, streams } = live ?? { links: 0, streams: 0 };
  return [name, kind, toSeconds(addedAt), until, `${links}`, `${streams}`, key];
}

function inviteRow({ name, createdAt, expiresAt, uses, used }: ListedInvite): string[] {
  return [name, "invite", toSeconds(createdAt), toSeconds(expiresAt), "", "", `used ${used} of ${uses}`];
}

/** ISO 8601 without the fraction, which nobody reads. */
function toSeconds(time: string): string {
  return time.replace(/\.\d+Z$/, "Z");
}
