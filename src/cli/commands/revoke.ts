import { callServer } from "../../server/admin.ts";
import { command, logLevelFlag } from "../command.ts";
import { jsonFlag, serverStateFlag, stateDirOf } from "../options.ts";
import { note, printJson } from "../output.ts";

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
    note(`revoked ${values.name}`);
    return undefined;
  },
});
