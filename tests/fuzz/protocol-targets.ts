import { concatBytes, equalBytes } from "../../src/proto/crypto/octets.ts";
import { ProtocolError } from "../../src/proto/errors.ts";
import { decodeFrames } from "../../src/proto/frame-codec.ts";
import { ClientHandshake } from "../../src/proto/handshake-client.ts";
import { LIMITS } from "../../src/proto/limits.ts";
import { Link } from "../../src/proto/link.ts";
import { anyFrame, encodeFrames } from "../proto/support/frames.ts";
import { answer, complete, newSetting, offer } from "../proto/support/handshake.ts";
import { seededRandom } from "../proto/support/random.ts";
import { ratchetPair } from "../proto/support/ratchets.ts";
import { refusable, type Target } from "./target.ts";

/** What a peer, or whoever sits between, may send in binary. */

const setup = seededRandom("fuzz protocol");
const setting = newSetting(setup);
const server = offer(setting);

const frames: Target = {
  name: "frames",
  corpus: Array.from({ length: 60 }, () => encodeFrames([anyFrame(setup), anyFrame(setup)])),
  check(input) {
    const decoded = refusable([ProtocolError], () => decodeFrames(input));
    if (decoded === undefined || input.length > LIMITS.maxFramesBytes) return;
    if (!equalBytes(encodeFrames(decoded), input)) throw new Error("the frames are encoded otherwise");
  },
};

/** One packet of each kind, and the ends that it is for, made anew for each input: an opened packet is spent. */
function packets() {
  const random = seededRandom("fuzz packets");
  const { client, server: opener } = ratchetPair(random);
  const first = client.seal(random(100), undefined, 0).lead;
  opener.open(first, undefined, 0);
  const { lead, body } = client.seal(random(50), random(LIMITS.minBodyBytes), 0);
  return { opener, lead, body: body ?? new Uint8Array(0) };
}

const SAMPLE = packets();

/** The length of a lead in two bytes, the lead, the body. */
function framed(lead: Uint8Array, body: Uint8Array): Uint8Array {
  return concatBytes(Uint8Array.of(lead.length >> 8, lead.length & 0xff), lead, body);
}

const packet: Target = {
  name: "packets",
  corpus: [framed(SAMPLE.lead, SAMPLE.body), framed(SAMPLE.lead.subarray(0, 21), new Uint8Array(0))],
  check(input) {
    const { opener, lead, body } = packets();
    const length = Math.min(((input[0] ?? 0) << 8) | (input[1] ?? 0), Math.max(input.length - 2, 0));
    const given = { lead: input.slice(2, 2 + length), body: input.slice(2 + length) };
    const isSame = equalBytes(given.lead, lead) && equalBytes(given.body, body);
    const link = new Link({ ratchet: opener, slot: 0, gen: 0, padding: "none", jitter: 0.5, now: 0 });
    const taken = refusable([ProtocolError], () => {
      link.receive(given.lead, 0);
      if (given.body.length > 0) link.receive(given.body, 0);
      return true;
    });
    // The sample's frames are random bytes: what opened is then refused as frames. Whoever sealed it is not in doubt.
    if (taken === true && given.lead.length > 0 && !isSame && !awaitsBody(given))
      throw new Error("a forgery was opened");
    if (isSame) return;
    // Refused, and the state is as it was: the true packet still opens.
    if (opener.open(lead, body, 0).frames.length !== 50) throw new Error("the true packet opens otherwise");
  },
};

/** A lead that announces a body says nothing until that has come. */
function awaitsBody({ lead, body }: { readonly lead: Uint8Array; readonly body: Uint8Array }): boolean {
  return body.length === 0 && ((lead[0] ?? 0) & 2) !== 0;
}

const bundle: Target = {
  name: "bundles",
  corpus: [server.bundle, offer(setting).bundle],
  check(input) {
    const { client: identity, server: pinned, random } = setting;
    const handshake = new ClientHandshake({
      identity,
      serverKey: pinned.publicKey,
      random,
      suites: ["aes-256-gcm"],
    });
    const taken = refusable([ProtocolError], () => handshake.receive(input));
    if (taken !== undefined && !bundle.corpus.some((each) => equalBytes(each, input)))
      throw new Error("a bundle was taken that the server has not signed");
  },
};

const hello: Target = {
  name: "first messages",
  corpus: [answer(setting, server.bundle).message],
  check(input) {
    // A handshake takes one message, and its keys are its own: what the mutation left alone is put back in place.
    const handshake = offer(setting);
    const own = answer(setting, handshake.bundle).message;
    const [sample = own] = hello.corpus;
    const message = input.map((byte, at) => (byte === sample[at] ? (own[at] ?? byte) : byte));
    const client = refusable([ProtocolError], () => complete(handshake, message));
    if (client !== undefined && !equalBytes(message, own))
      throw new Error("a changed first message was taken");
  },
};

export const PROTOCOL_TARGETS: readonly Target[] = [frames, packet, bundle, hello];
