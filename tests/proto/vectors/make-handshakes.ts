import { identityFromSeed } from "../../../src/proto/crypto/identity.ts";
import { concatBytes } from "../../../src/proto/crypto/octets.ts";
import { type Primitives, portableMlKem, type Suite } from "../../../src/proto/crypto/primitives/index.ts";
import type { ProtocolErrorName } from "../../../src/proto/errors.ts";
import { ClientHandshake } from "../../../src/proto/handshake-client.ts";
import { ServerHandshake } from "../../../src/proto/handshake-server.ts";
import { ascii, flipBit, hex, repeated, toHex, withTorsion } from "../support/bytes.ts";
import { type HandshakeInputs, oracleHandshake, oracleSession } from "../support/oracle.ts";
import { scriptedRandom, seededRandom } from "../support/random.ts";

/** All that is random or chosen in a handshake, in hex. */
export interface HandshakeSecrets {
  readonly suite: string;
  readonly serverSeed: string;
  readonly clientSeed: string;
  readonly boot: string;
  readonly prekeySecret: string;
  readonly padding: string;
  readonly kemSeed: string;
  readonly kemMessage: string;
  readonly ephemeralSecret: string;
  readonly clientRatchetSecret: string;
  readonly serverRatchetSecret: string;
  readonly frames: string;
  readonly replyFrames: string;
}

/** The server's machine with these secrets, and the KEM secret key of its shell. */
export function serverOf(secrets: HandshakeSecrets, primitives: Primitives) {
  const padding = hex(secrets.padding);
  const kem = portableMlKem.keyPair(hex(secrets.kemSeed));
  const handshake = new ServerHandshake({
    identity: identityFromSeed(hex(secrets.serverSeed)),
    boot: hex(secrets.boot),
    kemPublicKey: kem.publicKey,
    random: scriptedRandom([
      hex(secrets.prekeySecret),
      Uint8Array.of(padding.length >> 8, padding.length & 0xff),
      padding,
      hex(secrets.serverRatchetSecret),
    ]),
    suites: ["aes-256-gcm", "chacha20-poly1305"],
    primitives,
  });
  return { handshake, kemSecretKey: kem.secretKey };
}

/** The client's machine with these secrets, and its message to a bundle. */
export function clientOf(secrets: HandshakeSecrets, primitives: Primitives, bundle: Uint8Array) {
  const handshake = new ClientHandshake({
    identity: identityFromSeed(hex(secrets.clientSeed)),
    serverKey: identityFromSeed(hex(secrets.serverSeed)).publicKey,
    random: scriptedRandom([hex(secrets.ephemeralSecret), hex(secrets.clientRatchetSecret)]),
    suites: [suiteOf(secrets.suite)],
    primitives,
  });
  const { kemPublicKey } = handshake.receive(bundle);
  const { ratchet, prefix } = handshake.finish(
    portableMlKem.encapsulate(kemPublicKey, hex(secrets.kemMessage)),
    0,
  );
  const packet = ratchet.seal(hex(secrets.frames), undefined, 0);
  return { ratchet, message: concatBytes(prefix, packet.lead) };
}

export function suiteOf(text: string): Suite {
  return text === "aes-256-gcm" ? text : "chacha20-poly1305";
}

export function oracleInputs(secrets: HandshakeSecrets, bundle: Uint8Array): HandshakeInputs {
  return {
    suite: suiteOf(secrets.suite),
    serverSeed: hex(secrets.serverSeed),
    clientSeed: hex(secrets.clientSeed),
    prekeySecret: hex(secrets.prekeySecret),
    ephemeralSecret: hex(secrets.ephemeralSecret),
    kemSeed: hex(secrets.kemSeed),
    kemMessage: hex(secrets.kemMessage),
    bundle,
  };
}

export function makeHandshakeVectors(primitives: Primitives) {
  const random = seededRandom("rvpn/2 handshake vectors");
  const handshakes = (["aes-256-gcm", "chacha20-poly1305"] as const).map((suite) => {
    const secrets = drawSecrets(random, suite);
    const { handshake, kemSecretKey } = serverOf(secrets, primitives);
    const { message } = clientOf(secrets, primitives, handshake.bundle);
    const { ciphertext } = handshake.receive(message);
    const { ratchet } = handshake.finish(portableMlKem.decapsulate(ciphertext, kemSecretKey), 0);
    const reply = ratchet.seal(hex(secrets.replyFrames), undefined, 0);
    const derived = Object.entries(oracleHandshake(oracleInputs(secrets, handshake.bundle)));
    return {
      inputs: secrets,
      derived: Object.fromEntries(derived.map(([name, bytes]) => [name, toHex(bytes)])),
      bundle: toHex(handshake.bundle),
      clientMessage: toHex(message),
      serverReply: toHex(reply.lead),
    };
  });
  const [first] = handshakes;
  return {
    description:
      "Whole handshakes from all their secrets, with every value on the way (names as in docs/PROTOCOL.md); and client messages that the server of the first one refuses with `error`.",
    handshakes,
    badClientMessages:
      first === undefined ? [] : badMessages(first.inputs, hex(first.bundle), hex(first.clientMessage)),
  };
}

function drawSecrets(random: ReturnType<typeof seededRandom>, suite: Suite): HandshakeSecrets {
  const draw = (length: number) => toHex(random(length));
  return {
    suite,
    serverSeed: draw(32),
    clientSeed: draw(32),
    boot: draw(16),
    prekeySecret: draw(32),
    padding: draw(11),
    kemSeed: draw(64),
    kemMessage: draw(32),
    ephemeralSecret: draw(32),
    clientRatchetSecret: draw(32),
    serverRatchetSecret: draw(32),
    frames: toHex(ascii("frames of packet 0")),
    replyFrames: toHex(ascii("frames of the server's first packet")),
  };
}

const SMALL_ORDER_U = hex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800");

function badMessages(secrets: HandshakeSecrets, bundle: Uint8Array, message: Uint8Array) {
  const bad = (error: ProtocolErrorName, comment: string, changed: Uint8Array) => ({
    comment,
    message: toHex(changed),
    error,
  });
  const patch = (at: number, put: Uint8Array | number[]) => {
    const copy = Uint8Array.from(message);
    copy.set(put, at);
    return copy;
  };
  const claim = (clientKey: Uint8Array) => claimed(secrets, bundle, clientKey);
  return [
    bad("malformed", "empty", repeated(0, 0)),
    bad("malformed", "one byte too short for a packet 0", message.subarray(0, 1170 + 56)),
    bad("tooLarge", "longer than any first message", concatBytes(message, repeated(0, 20_480))),
    bad("unsupported", "version 1", patch(0, [1])),
    bad("unsupported", "version 3", patch(0, [3])),
    bad("unsupported", "suite 0", patch(1, [0])),
    bad("unsupported", "suite 3", patch(1, [3])),
    bad("badTag", "the other suite", patch(1, [2])),
    bad("badKey", "EK of small order", patch(2, SMALL_ORDER_U)),
    bad("badTag", "another EK", flipBit(message, 8 * 2)),
    bad("badTag", "another CT", flipBit(message, 8 * 34)),
    bad("badTag", "a changed box", flipBit(message, 8 * 1122)),
    bad("badTag", "a changed tag of the box", flipBit(message, 8 * 1170 - 1)),
    bad("badKey", "IK_C is the neutral point", claim(hex(`01${"00".repeat(31)}`))),
    bad("badKey", "IK_C is not canonical", claim(hex(`f0${"ff".repeat(30)}7f`))),
    bad("badKey", "IK_C is not on the curve", claim(hex(`02${"00".repeat(31)}`))),
    bad("badKey", "IK_C has a torsion part", claim(withTorsion(hex(clientKeyOf(secrets))))),
    bad("badTag", "IK_C of somebody else", claim(identityFromSeed(repeated(5, 32)).publicKey)),
    bad("malformed", "packet 0: a reserved flag", patch(1170, [0x81])),
    bad("malformed", "packet 0: a body follows", patch(1170, [0x03])),
    bad("unexpectedPacket", "packet 0: no new chain", patch(1170, [0x00])),
    bad("unexpectedPacket", "packet 0: N is 1", patch(1174, [1])),
    bad("unexpectedPacket", "packet 0: PN is 1", patch(1178, [1])),
    bad("badKey", "packet 0: a ratchet key of small order", patch(1179, SMALL_ORDER_U)),
    bad("badTag", "packet 0: another ratchet key", flipBit(message, 8 * 1179)),
    bad("badTag", "packet 0: changed frames", flipBit(message, 8 * 1211)),
    bad("badTag", "packet 0: a changed tag", flipBit(message, 8 * message.length - 1)),
    bad("badTag", "packet 0: cut by a byte", message.subarray(0, -1)),
  ];
}

function clientKeyOf(secrets: HandshakeSecrets): string {
  return toHex(identityFromSeed(hex(secrets.clientSeed)).publicKey);
}

/** M of a client that holds `clientSeed` and says that its key is another. */
function claimed(secrets: HandshakeSecrets, bundle: Uint8Array, clientKey: Uint8Array): Uint8Array {
  const inputs = { ...oracleInputs(secrets, bundle), clientKey };
  const { th, RK0, prefix } = oracleHandshake(inputs);
  const [packet] = oracleSession({ suite: inputs.suite, th, RK0, prekeySecret: inputs.prekeySecret }, [
    { from: "client", ratchetSecret: hex(secrets.clientRatchetSecret), frames: hex(secrets.frames) },
  ]);
  return concatBytes(prefix, packet?.lead ?? repeated(0, 0));
}
