import { parseDuration } from "../../runtime/units.ts";
import { callServer } from "../../server/admin.ts";
import { command, logLevelFlag } from "../command.ts";
import { printLinkReply, urlFlag, urlOf } from "../link-reply.ts";
import { countOf, jsonFlag, serverStateFlag, stateDirOf } from "../options.ts";
import { drawOnStderr, note, stderrScreen } from "../output.ts";
import { drawQr } from "../qr.ts";
import { readLinkReply } from "../replies.ts";

const MAX_USES = 10_000;

const args = {
  name: { type: "positional", required: true, description: "what to call the client, e.g. laptop" },
  url: urlFlag,
  state: serverStateFlag,
  expires: {
    type: "string",
    valueHint: "DURATION",
    description: "how long the link may be used; default 24h, for seats without end",
  },
  seat: {
    type: "boolean",
    description: "a link that is the identity itself, for any number of CI jobs at once",
  },
  uses: { type: "string", valueHint: "N", description: "how many clients may join with the link; default 1" },
  qr: {
    type: "boolean",
    description: "draw the link as a QR code too, on stderr, for a phone's camera or another machine's",
  },
  json: jsonFlag,
  "log-level": logLevelFlag,
} as const;

export default command({
  args,
  notes: `Prints the link alone on stdout. It is a secret: whoever has it gets in. A running server knows it at once.

  rvpn invite laptop --url wss://vpn.example.org/ | ssh laptop rvpn client --proxy 1080 --detach -`,
  async run({ values, nameOf }) {
    const { url, expires, uses, seat, name } = values;
    const reply = await callServer(stateDirOf(values.state, "server"), {
      op: "invite",
      name,
      ...(seat ? { seat } : {}),
      ...(url === undefined ? {} : { url: urlOf(url, nameOf("url")) }),
      ...(expires === undefined ? {} : { expiresInMs: parseDuration(expires, nameOf("expires")) }),
      ...(uses === undefined ? {} : { uses: countOf(uses, nameOf("uses"), MAX_USES) }),
    });
    await printLinkReply(reply, values.json);
    if (values.qr) await showQr(readLinkReply(reply).link);
    if (!values.json) {
      note(
        seat
          ? "a seat: keep it as a secret of your CI, and use it with"
          : "keep it secret until it was used, with",
      );
      note(seat ? '  rvpn run "$LINK" -- CMD' : '  rvpn client --proxy 1080 "$LINK"');
    }
    return undefined;
  },
});

async function showQr(link: string): Promise<void> {
  const { drawing, note: text } = drawQr(link, stderrScreen(process.env));
  if (drawing !== undefined) await drawOnStderr(drawing);
  if (text !== undefined) note(`note: ${text}`);
}
