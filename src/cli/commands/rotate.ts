import { MAX_ROTATIONS } from "../../proto/index.ts";
import { callServer } from "../../server/admin.ts";
import { command, logLevelFlag } from "../command.ts";
import { jsonFlag, serverStateFlag, stateDirOf } from "../options.ts";
import { note, printJson, printResult } from "../output.ts";
import { readRotation } from "../replies.ts";

const args = { state: serverStateFlag, json: jsonFlag, "log-level": logLevelFlag } as const;

export default command({
  args,
  notes: `Makes a new secret key, deletes the old one, and prints the new public key. Both keys sign that the one follows the
other, so clients go along by themselves at their next link, also with links made before; links that stand are not
disturbed. The last 8 rotations are kept: a client that has missed more ends with exit code 5 and needs a new link.

This is hygiene and no cure for theft. Whoever has copied the old key can sign a successor of its own, and a client
that has not come since follows whichever it meets first. If the key was stolen, begin anew: another --state, new links.`,
  async run({ values }) {
    const reply = await callServer(stateDirOf(values.state, "server"), { op: "rotate" });
    if (values.json) {
      await printJson(reply);
      return undefined;
    }
    const { key, sequence } = readRotation(reply);
    await printResult(key);
    note(`rotation ${sequence}: clients follow at their next link`);
    if (sequence > MAX_ROTATIONS) {
      note(
        `note: clients that came last before rotation ${sequence - MAX_ROTATIONS}, and links from before, are left behind`,
      );
    }
    return undefined;
  },
});
