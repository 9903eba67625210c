import { assert, unreachable } from "./assert.ts";
import type { Reader, Writer } from "./bytes.ts";
import { varintLength } from "./bytes.ts";
import { CodeTable } from "./codes.ts";
import { type Destination, DIAL_FAILURES, type DialResult, type Host } from "./destination.ts";
import { ProtocolError } from "./errors.ts";
import {
  ACCEPT_RESULTS,
  type AcceptResult,
  RESET_CODES,
  type ResetCode,
  type ResumeEntry,
} from "./frames.ts";
import { REFUSALS, type Refusal } from "./refusals.ts";

/** Fields that frames are made of: destinations, codes, resume entries. Layouts in docs/PROTOCOL.md section 6. */

const HOST_IPV4 = 1;
const HOST_NAME = 3;
const HOST_IPV6 = 4;
const MAX_NAME_BYTES = 255;

export const dialResults = new CodeTable<DialResult>("dial result", [
  ["connected", 0],
  ...entriesOf(DIAL_FAILURES),
]);
export const resetCodes = new CodeTable<ResetCode>("reset", entriesOf(RESET_CODES));
export const acceptResults = new CodeTable<AcceptResult>("accept result", entriesOf(ACCEPT_RESULTS));
export const refusals = new CodeTable<Refusal>(
  "refusal",
  entriesOf(REFUSALS).map(([name, { code }]) => [name, code] as const),
);

// Object.entries forgets the key type; the tables are closed objects of ours.
function entriesOf<K extends string, V>(table: Readonly<Record<K, V>>): [K, V][] {
  return Object.entries(table) as [K, V][];
}

export function writeDestination(writer: Writer, { host, port }: Destination): void {
  switch (host.kind) {
    case "ipv4":
      writer.u8(HOST_IPV4);
      writer.fixed(host.address, 4);
      break;
    case "ipv6":
      writer.u8(HOST_IPV6);
      writer.fixed(host.address, 16);
      break;
    case "name":
      writer.u8(HOST_NAME);
      writeName(writer, host.name);
      break;
    default:
      unreachable(host);
  }
  assert(port > 0, "port 0 is no destination");
  writer.u16(port);
}

function writeName(writer: Writer, name: string): void {
  const bytes = new TextEncoder().encode(name);
  assert(isHostName(bytes), "a host name is visible ASCII");
  writer.u8(bytes.length);
  writer.bytes(bytes);
}

export function readDestination(reader: Reader): Destination {
  const host = readHost(reader);
  const port = reader.u16();
  if (port === 0) throw new ProtocolError("malformed", "port 0");
  return { host, port };
}

export function destinationLength({ host }: Destination): number {
  return 1 + (host.kind === "name" ? 1 + host.name.length : host.address.length) + 2;
}

function readHost(reader: Reader): Host {
  const kind = reader.u8();
  switch (kind) {
    case HOST_IPV4:
      return { kind: "ipv4", address: new Uint8Array(reader.bytes(4)) };
    case HOST_IPV6:
      return { kind: "ipv6", address: new Uint8Array(reader.bytes(16)) };
    case HOST_NAME:
      return { kind: "name", name: readName(reader) };
    default:
      throw new ProtocolError("malformed", `host kind ${kind}`);
  }
}

function readName(reader: Reader): string {
  const bytes = reader.bytes(reader.u8());
  if (!isHostName(bytes)) throw new ProtocolError("malformed", "host name");
  return String.fromCharCode(...bytes);
}

/** 1 to 255 bytes, each visible ASCII (0x21 to 0x7e): what no resolver or log can misread. */
export function isHostName(bytes: Uint8Array): boolean {
  return (
    bytes.length >= 1 && bytes.length <= MAX_NAME_BYTES && bytes.every((byte) => byte >= 0x21 && byte <= 0x7e)
  );
}

const NO_RESET = 0;

export function writeResumeEntry(writer: Writer, entry: ResumeEntry): void {
  assert(entry.consumed <= entry.limit, "nobody takes bytes above the credit limit");
  writer.varint(entry.stream);
  writer.varint(entry.next);
  writer.varint(entry.consumed);
  writer.varint(entry.limit);
  writer.u8(entry.reset === undefined ? NO_RESET : resetCodes.code(entry.reset));
}

export function readResumeEntry(reader: Reader): ResumeEntry {
  const stream = reader.varint();
  const next = reader.varint();
  const consumed = reader.varint();
  const limit = reader.varint();
  if (consumed > limit) throw new ProtocolError("malformed", "consumed above the credit limit");
  const reset = reader.u8();
  const entry = { stream, next, consumed, limit };
  return reset === NO_RESET ? entry : { ...entry, reset: resetCodes.name(reset) };
}

export function resumeEntryLength(entry: ResumeEntry): number {
  const { stream, next, consumed, limit } = entry;
  return varintLength(stream) + varintLength(next) + varintLength(consumed) + varintLength(limit) + 1;
}
