import { formatPublicKey, parsePublicKey } from "../../proto/index.ts";
import { callServer } from "../../server/admin.ts";
import { command, logLevelFlag } from "../command.ts";
import { jsonFlag, serverStateFlag, stateDirOf } from "../options.ts";
import { note, printJson, printResult } from "../output.ts";
import { parseText } from "../parse-text.ts";
import { linkOf } from "../replies.ts";

const args = {
  name: { type: "positional", required: true, description: "what to call the client, e.g. laptop" },
  pubkey: {
    type: "positional",
    required: true,
    description: "what rvpn pubkey --client printed there: rvpn-pk-…",
  },
  state: serverStateFlag,
  json: jsonFlag,
  "log-level": logLevelFlag,
} as const;

export default command({
  args,
  notes: `Prints a link that says where the server is; it lets in nobody who is not on the list, but keep it private: it also
opens the server's gate. The server must have been told its address once: rvpn invite NAME --url wss://HOST/`,
  async run({ values }) {
    const key = parseText("PUBKEY", "copy the whole key that rvpn pubkey printed", () =>
      formatPublicKey(parsePublicKey(values.pubkey)),
    );
    const reply = await callServer(stateDirOf(values.state, "server"), { op: "add", name: values.name, key });
    if (values.json) await printJson(reply);
    else await printResult(linkOf(reply));
    note(`added ${values.name}; use the link there with: rvpn client --proxy 1080 "$LINK"`);
    return undefined;
  },
});
