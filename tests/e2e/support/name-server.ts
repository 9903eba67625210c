import { parseIp } from "../../../src/runtime/address.ts";

const TYPE_A = 1;
const TYPE_AAAA = 28;
const HEAD_BYTES = 12;
const NO_ERROR = 0;
const NAME_ERROR = 3;

/** Addresses of a name, of both families, as this query is to be told them; undefined for a name that there is not. */
export type Zone = (name: string, type: "A" | "AAAA") => readonly string[] | undefined;

/** A name server on port 53 of a network of the test's own (RFC 1035 section 4). */
export async function startNameServer(zone: Zone): Promise<{ close(): void }> {
  return Bun.udpSocket({
    hostname: "127.0.0.1",
    port: 53,
    socket: {
      data(socket, query, port, from) {
        socket.send(answer(query, zone), port, from);
      },
    },
  });
}

function answer(query: Uint8Array, zone: Zone): Uint8Array {
  const labels: string[] = [];
  let offset = HEAD_BYTES;
  for (let length = query[offset] ?? 0; length > 0; length = query[offset] ?? 0) {
    labels.push(new TextDecoder().decode(query.subarray(offset + 1, offset + 1 + length)));
    offset += 1 + length;
  }
  const type = query[offset + 2] ?? 0;
  const known = zone(labels.join(".").toLowerCase(), type === TYPE_AAAA ? "AAAA" : "A");
  const length = type === TYPE_A ? 4 : type === TYPE_AAAA ? 16 : 0;
  const addresses = (known ?? []).map(parseIp).filter((address) => address?.length === length);
  const records = addresses.flatMap((address) => [
    0xc0,
    0x0c,
    0,
    type,
    0,
    1,
    0,
    0,
    0,
    0,
    0,
    length,
    ...(address ?? []),
  ]);
  const code = known === undefined ? NAME_ERROR : NO_ERROR;
  const head = [query[0] ?? 0, query[1] ?? 0, 0x81, 0x80 | code, 0, 1, 0, addresses.length, 0, 0, 0, 0];
  return Uint8Array.from([...head, ...query.subarray(HEAD_BYTES, offset + 5), ...records]);
}
