import { describe, expect, test } from "bun:test";
import { SplitRatchet } from "../../src/proto/crypto/ratchet.ts";
import { decodeFrames } from "../../src/proto/frame-codec.ts";
import { type Frame, Link } from "../../src/proto/index.ts";
import frameFile from "../vectors/frames.json";
import packetFile from "../vectors/packets.json";
import { hex, toHex } from "./support/bytes.ts";
import { protocolErrorOf } from "./support/errors.ts";
import { frameVectors, toJson } from "./support/frame-vectors.ts";
import { encodeFrames } from "./support/frames.ts";
import { type LinkSession, linkOf, packetVectors, ratchetsOf } from "./support/packet-vectors.ts";

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe("the files are what bun scripts/make-frame-vectors.ts writes", () => {
  test("frames.json", () => {
    expect(plain(frameVectors())).toEqual(frameFile);
  });
  test("packets.json", () => {
    expect(plain(packetVectors())).toEqual(packetFile);
  });
});

describe("frames.json", () => {
  test.each(frameFile.good)("$name", ({ frame, hex: text }) => {
    const frames = decodeFrames(hex(text));
    expect(frames.map(toJson)).toEqual([frame]);
    expect(toHex(encodeFrames(frames))).toBe(text);
  });

  test.each(frameFile.bad)("$error: $name", (vector) => {
    const chunk = "bodyBytes" in vector ? new Uint8Array(Number(vector.bodyBytes)) : undefined;
    expect<string>(protocolErrorOf(() => decodeFrames(hex(vector.hex), chunk))).toBe(vector.error);
  });
});

// The import's type has every literal widened; the first test shows that the file is what the maker's types say.
const sessions = packetFile.sessions as LinkSession[];

/** The messages of packet `index`. */
function messagesOf({ packets }: LinkSession, index: number): Uint8Array[] {
  const { lead = "", body } = packets[index] ?? {};
  return body === undefined ? [hex(lead)] : [hex(lead), hex(body)];
}

/** Both links of a session behind its first `count` packets, and the frames that came with each. */
function linksAfter(session: LinkSession, count: number) {
  const ends = ratchetsOf(session);
  const arrived: (readonly Frame[])[] = [];
  const [packet0 = hex("")] = messagesOf(session, 0);
  const plaintext = ends.server.open(packet0, undefined, 0).frames;
  const common = { padding: session.padding, jitter: 0.5, now: 0 };
  const first = Link.ofFirstPacket({ ...common, ratchet: ends.server, plaintext });
  arrived.push([first.hello, ...first.rest]);
  const links = { client: linkOf(ends.client, session.padding), server: first.link };
  for (let index = 1; index < count; index++) {
    const to = session.packets[index]?.from === "client" ? links.server : links.client;
    arrived.push(messagesOf(session, index).flatMap((message) => to.receive(message, 0)));
  }
  return { ...links, arrived };
}

describe.each(sessions)("packets.json, padding $padding", (session) => {
  test("every packet opens to its frames, and its padding is the policy's", () => {
    const { arrived } = linksAfter(session, session.packets.length);
    session.packets.forEach(({ frames, plaintext, lead }, index) => {
      const all = arrived[index] ?? [];
      const inBody = messagesOf(session, index).length > 1;
      expect(all.filter(({ type }) => type !== "padding").map(toJson)).toEqual([...frames]);
      expect(toHex(encodeFrames(all, inBody))).toBe(plaintext);
      if (session.padding === "padme" && !inBody) expect(hex(lead).length).toBeGreaterThanOrEqual(96);
    });
  });

  test("a body follows exactly where the flag says so", () => {
    session.packets.forEach((_, index) => {
      const [lead = hex(""), body] = messagesOf(session, index);
      expect(SplitRatchet.bodyFollows(lead)).toBe(body !== undefined);
    });
  });

  test.each([...session.bad])("$error: $name", ({ after, to, messages, error }) => {
    const link = linksAfter(session, after + 1)[to === "client" ? "client" : "server"];
    const give = () => {
      for (const message of messages) link.receive(hex(message), 0);
    };
    expect<string>(protocolErrorOf(give)).toBe(error);
  });

  test.each(packetFile.badFirst)("packet 0, $error: $name", ({ plaintext, error }) => {
    const { server: ratchet } = ratchetsOf(session);
    const options = { ratchet, plaintext: hex(plaintext), padding: session.padding, jitter: 0.5, now: 0 };
    expect<string>(protocolErrorOf(() => Link.ofFirstPacket(options))).toBe(error);
  });
});
