import { formatPublicKey, parsePublicKey } from "../../proto/index.ts";
import { callServer } from "../../server/admin.ts";
import { command, logLevelFlag } from "../command.ts";
import { printLinkReply, urlFlag, urlOf } from "../link-reply.ts";
import { jsonFlag, serverStateFlag, stateDirOf } from "../options.ts";
import { note } from "../output.ts";
import { parseText } from "../parse-text.ts";

const args = {
  name: { type: "positional", required: true, description: "what to call the client, e.g. laptop" },
  pubkey: {
    type: "positional",
    required: true,
    description: "what rvpn pubkey --client printed there: rvpn-pk-…",
  },
  url: urlFlag,
  state: serverStateFlag,
  json: jsonFlag,
  "log-level": logLevelFlag,
} as const;

export default command({
  args,
  notes: `Prints a link that says where the server is. It lets in nobody who is not on the list; but keep it private, as it
opens the server's gate to probing.

  rvpn keygen --client                         # on the client: makes its key, prints rvpn-pk-…
  rvpn add laptop rvpn-pk-…                    # on the server: prints the link`,
  async run({ values, nameOf }) {
    const { name, pubkey, url } = values;
    const key = parseText("PUBKEY", "copy the whole key that rvpn pubkey printed", () =>
      parsePublicKey(pubkey),
    );
    const reply = await callServer(stateDirOf(values.state, "server"), {
      op: "add",
      name,
      key: formatPublicKey(key),
      ...(url === undefined ? {} : { url: urlOf(url, nameOf("url")) }),
    });
    await printLinkReply(reply, values.json);
    if (!values.json) note('use it there with\n  rvpn client --proxy 1080 "$LINK"');
    return undefined;
  },
});
