import type { Json } from "../../runtime/control.ts";
import { callServer } from "../../server/admin.ts";
import { command, logLevelFlag } from "../command.ts";
import { jsonFlag, serverStateFlag, stateDirOf } from "../options.ts";
import { note, printJson } from "../output.ts";
import { readRevocation } from "../replies.ts";

const args = {
  name: { type: "positional", required: true, description: "the client, as rvpn clients lists it" },
  state: serverStateFlag,
  json: jsonFlag,
  "log-level": logLevelFlag,
} as const;

export default command({
  args,
  notes: `Ends the client's tunnels on a running server at once, deletes open invites of that name, and gives all other
clients a new key for the server's gate when they next connect. The key stays refused for good.`,
  async run({ values }) {
    const reply = await callServer(stateDirOf(values.state, "server"), { op: "revoke", name: values.name });
    if (values.json) await printJson(reply);
    else note(describeRevocation(values.name, reply));
    return undefined;
  },
});

function describeRevocation(name: string, reply: Json): string {
  const { keys, invites } = readRevocation(reply);
  return `revoked ${name}: ${keys} ${keys === 1 ? "key" : "keys"}, ${invites} open ${invites === 1 ? "invite" : "invites"}`;
}
