import { parseServerUrl } from "../proto/index.ts";
import type { Json } from "../runtime/control.ts";
import type { Flag } from "./flags.ts";
import { note, printJson, printResult } from "./output.ts";
import { parseText } from "./parse-text.ts";
import { readLinkReply } from "./replies.ts";

/** What `invite` and `add` have in common: a URL goes in, a link comes out. */
export const urlFlag = {
  type: "string",
  valueHint: "wss://HOST/",
  description: "where clients find the server; remembered, so that later links need it no more",
} as const satisfies Flag;

export function urlOf(text: string, label: string): string {
  const hint = "write the address that the reverse proxy serves: wss://vpn.example.org/";
  return parseText(label, hint, () => parseServerUrl(text));
}

/** The link alone on stdout, what there is to know about it on stderr; or all of it as JSON on stdout. */
export async function printLinkReply(reply: Json, json: boolean): Promise<void> {
  if (json) return await printJson(reply);
  const { link, notes } = readLinkReply(reply);
  await printResult(link);
  for (const text of notes) note(`note: ${text}`);
}
