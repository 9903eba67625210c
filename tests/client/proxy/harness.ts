import {
  type ConnectResult,
  type ConnectStep,
  createNegotiation,
  type ProxyCredentials,
} from "../../../src/client/proxy/negotiation.ts";
import type { Destination } from "../../../src/proto/index.ts";
import { formatIp } from "../../../src/runtime/address.ts";

export const CREDENTIALS: ProxyCredentials = { user: "alice", password: "s3cret:ä" };

/** Everything that a listener would see and write, put together over all steps. */
export interface Summary {
  readonly kind: "more" | "connect" | "reject";
  /** What the application was sent, the answer to a successful dial included. */
  readonly written: string;
  readonly reason?: string;
  readonly destination?: string;
  readonly protocol?: string;
  /** What the far side gets of all the input. */
  readonly forwarded?: string;
  readonly upload?: "raw" | "open" | "done" | string;
}

/** One character per byte. */
export function bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

export function text(content: Uint8Array): string {
  return Array.from(content, (byte) => String.fromCharCode(byte)).join("");
}

export function show({ host, port }: Destination): string {
  return host.kind === "name"
    ? `name ${host.name} ${port}`
    : `${host.kind} ${formatIp(host.address)} ${port}`;
}

/** Plays a connection: pushes `input` cut at `cuts`, as a listener would, and keeps on pushing after a connect. */
export function play(
  input: Uint8Array,
  cuts: readonly number[] = [],
  credentials?: ProxyCredentials,
): Summary {
  const negotiation = createNegotiation(credentials === undefined ? {} : { credentials });
  let written = "";
  let start = 0;
  for (const end of [...cuts, input.length]) {
    const step = negotiation.push(input.subarray(start, end));
    start = end;
    switch (step.kind) {
      case "more":
        written += text(step.reply);
        break;
      case "reject":
        return { kind: "reject", written: written + text(step.reply), reason: step.reason };
      case "connect": {
        const cutsLeft = cuts.filter((cut) => cut > end);
        const summary = relay(step, input, end, cutsLeft);
        return { ...summary, written: written + text(step.answer("connected")) };
      }
    }
  }
  return { kind: "more", written };
}

function relay(step: ConnectStep, input: Uint8Array, from: number, cuts: readonly number[]): Summary {
  let forwarded = text(step.early);
  const filter = step.exchange?.upload;
  let upload: string = filter === undefined ? "raw" : state(filter.push(new Uint8Array(0)));
  let start = from;
  for (const end of [...cuts, input.length]) {
    const chunk = input.subarray(start, end);
    start = end;
    const result = filter?.push(chunk);
    forwarded += text(result?.forward ?? chunk);
    if (result !== undefined) upload = state(result);
  }
  const { protocol } = step;
  return { kind: "connect", written: "", destination: show(step.destination), protocol, forwarded, upload };
}

function state(result: { done: boolean; fault?: string }): string {
  return result.fault ?? (result.done ? "done" : "open");
}

/** The connect step of input that must come to one. */
export function connectStep(input: Uint8Array, credentials?: ProxyCredentials): ConnectStep {
  const step = createNegotiation(credentials === undefined ? {} : { credentials }).push(input);
  if (step.kind !== "connect") throw new Error(`expected connect, got ${JSON.stringify(step)}`);
  return step;
}

export function answerTo(result: ConnectResult, input: Uint8Array): string {
  return text(connectStep(input).answer(result));
}

export function eachByte(input: Uint8Array): number[] {
  return Array.from({ length: Math.max(0, input.length - 1) }, (_, index) => index + 1);
}
