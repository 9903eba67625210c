import { describe, expect, test } from "bun:test";
import { concatBytes } from "../../src/proto/crypto/octets.ts";
import {
  nativePrimitives,
  type Primitives,
  portableMlKem,
  portablePrimitives,
} from "../../src/proto/crypto/primitives/index.ts";
import handshakeFile from "../vectors/handshake.json";
import ratchetFile from "../vectors/ratchet.json";
import { hex, repeated, toHex } from "./support/bytes.ts";
import { protocolErrorOf } from "./support/errors.ts";
import { oracleHandshake, oracleSession } from "./support/oracle.ts";
import { clientOf, oracleInputs, serverOf, suiteOf } from "./vectors/make-handshakes.ts";
import { endsOf, type SessionPacket, type SessionStart, sealAt } from "./vectors/make-ratchets.ts";

const implementations: [string, Primitives][] = [
  ["native", nativePrimitives],
  ["portable", portablePrimitives],
];

describe("handshake.json", () => {
  describe.each(handshakeFile.handshakes)(
    "$inputs.suite",
    ({ inputs, derived, bundle, clientMessage, serverReply }) => {
      test.each(implementations)("%s machines say the same from the same secrets", (_, primitives) => {
        const { handshake, kemSecretKey } = serverOf(inputs, primitives);
        expect(toHex(handshake.bundle)).toBe(bundle);
        const { ratchet, message } = clientOf(inputs, primitives, hex(bundle));
        expect(toHex(message)).toBe(clientMessage);
        const { ciphertext } = handshake.receive(hex(clientMessage));
        const proven = handshake.finish(portableMlKem.decapsulate(ciphertext, kemSecretKey), 0);
        expect([proven.clientKey, proven.frames].map(toHex)).toEqual([derived.IK_C, inputs.frames]);
        expect(toHex(proven.ratchet.seal(hex(inputs.replyFrames), undefined, 0).lead)).toBe(serverReply);
        expect(toHex(ratchet.open(hex(serverReply), undefined, 0).frames)).toBe(inputs.replyFrames);
      });

      test("the formulae say the same", () => {
        const values = oracleHandshake(oracleInputs(inputs, hex(bundle)));
        expect(
          Object.fromEntries(Object.entries(values).map(([name, bytes]) => [name, toHex(bytes)])),
        ).toEqual(derived);
        const start = {
          suite: suiteOf(inputs.suite),
          th: values.th,
          RK0: values.RK0,
          prekeySecret: hex(inputs.prekeySecret),
        };
        const [packet, reply] = oracleSession(start, [
          { from: "client", ratchetSecret: hex(inputs.clientRatchetSecret), frames: hex(inputs.frames) },
          { from: "server", ratchetSecret: hex(inputs.serverRatchetSecret), frames: hex(inputs.replyFrames) },
        ]);
        expect(toHex(concatBytes(values.prefix, packet?.lead ?? repeated(0, 0)))).toBe(clientMessage);
        expect(reply?.lead.toHex()).toBe(serverReply);
      });
    },
  );

  describe.each(implementations)("bad messages, %s", (_, primitives) => {
    test.each(handshakeFile.badClientMessages)("$error: $comment", ({ message, error }) => {
      const inputs = handshakeFile.handshakes[0]?.inputs;
      if (inputs === undefined) throw new Error("no handshake in the file");
      const { handshake, kemSecretKey } = serverOf(inputs, primitives);
      const attempt = () => {
        const { ciphertext } = handshake.receive(hex(message));
        handshake.finish(portableMlKem.decapsulate(ciphertext, kemSecretKey), 0);
      };
      expect<string>(protocolErrorOf(attempt)).toBe(error);
    });
  });
});

type WirePacket = SessionPacket & { readonly lead: string; readonly body?: string | undefined };

interface Session {
  readonly start: SessionStart;
  readonly script?: string;
  readonly packets: readonly WirePacket[];
  readonly bad: readonly {
    readonly comment: string;
    readonly after: number;
    readonly to: string;
    readonly lead: string;
    readonly body?: string | undefined;
    readonly error: string;
  }[];
}

describe("ratchet.json", () => {
  const file: readonly Session[] = ratchetFile.sessions;
  const sessions = file.map((session) => ({ ...session, name: nameOf(session.start) }));

  test.each(sessions)("the formulae say the same: $name", ({ start, packets }) => {
    const sealed = oracleSession(
      {
        suite: suiteOf(start.suite),
        th: hex(start.th),
        RK0: hex(start.RK0),
        prekeySecret: hex(start.prekeySecret),
        everyHeader: start.maxSkip > 0,
      },
      packets.map(({ from, ratchetSecret, frames, chunk }) => ({
        from: from === "client" ? from : "server",
        ratchetSecret: ratchetSecret === undefined ? undefined : hex(ratchetSecret),
        frames: hex(frames),
        chunk: chunk === undefined ? undefined : hex(chunk),
      })),
    );
    expect(sealed.map(({ lead, body }) => [toHex(lead), body?.toHex()])).toEqual(
      packets.map(({ lead, body }) => [lead, body]),
    );
  });

  describe.each(implementations)("%s", (_, primitives) => {
    const links = sessions.filter(({ start }) => start.maxSkip === 0);
    test.each(links)("seals, opens and refuses as listed: $name", ({ start, packets, bad }) => {
      const ends = endsOf(start, packets, primitives);
      let refused = 0;
      for (const [index, packet] of packets.entries()) {
        const { lead, body } = sealAt(ends, packet);
        expect([toHex(lead), body?.toHex()]).toEqual([packet.lead, packet.body]);
        openAt(ends, packet);
        for (const each of bad.filter(({ after }) => after === index)) {
          const receiver = each.to === "client" ? ends.client : ends.server;
          const before = toHex(receiver.fingerprint());
          const wire = [hex(each.lead), each.body === undefined ? undefined : hex(each.body)] as const;
          expect<string[]>([
            each.comment,
            protocolErrorOf(() => receiver.open(...wire, packet.atMs)),
          ]).toEqual([each.comment, each.error]);
          expect(toHex(receiver.fingerprint())).toBe(before);
          refused++;
        }
      }
      expect(refused).toBe(bad.length);
      expect(refused).toBeGreaterThan(15);
    });

    test("opens out of order as the script says", () => {
      const session = file.find(({ start }) => start.maxSkip > 0);
      if (session?.script === undefined) throw new Error("no session with gaps in the file");
      const ends = endsOf(session.start, session.packets, primitives);
      for (const step of session.script.split(" ").map(Number)) {
        const packet = session.packets[Math.abs(step) - 1];
        if (packet === undefined) throw new Error(`no packet ${step}`);
        if (step > 0) expect(toHex(sealAt(ends, packet).lead)).toBe(packet.lead);
        else openAt(ends, packet);
      }
    });
  });
});

function nameOf({ suite, maxSkip }: { suite: string; maxSkip: number }): string {
  return maxSkip === 0 ? suite : `${suite}, up to ${maxSkip} missing`;
}

/** Opens a packet of the file at its receiver and checks what is in it. */
function openAt(
  ends: ReturnType<typeof endsOf>,
  packet: SessionPacket & { lead: string; body?: string | undefined },
) {
  const receiver = packet.from === "client" ? ends.server : ends.client;
  const body = packet.body === undefined ? undefined : hex(packet.body);
  const opened = receiver.open(hex(packet.lead), body, packet.atMs);
  expect([toHex(opened.frames), opened.chunk?.toHex()]).toEqual([packet.frames, packet.chunk]);
}
