import {
  ClientHandshake,
  type Identity,
  kem,
  Link,
  makeGateToken,
  type PaddingPolicy,
  ProtocolError,
  type Random,
  release,
  type Successor,
  type Suite,
} from "../proto/index.ts";
import type { Carrier } from "../runtime/carrier.ts";
import { messageOf } from "../runtime/errors.ts";
import type { KnownServer } from "./store.ts";

export interface DialOptions {
  readonly server: Pick<KnownServer, "url" | "serverKey" | "sequence" | "gateKey">;
  readonly identity: Identity;
  readonly random: Random;
  readonly padding: PaddingPolicy;
  readonly suites: readonly Suite[];
  /** PEM text of the authorities to trust in place of the system's. */
  readonly ca?: string;
  readonly slot: number;
  readonly gen: number;
  readonly deadlineMs: number;
  /** Gives the dial up. */
  readonly signal: AbortSignal;
}

/** A link whose keys are agreed; nothing of the tunnel has been said on it. */
export interface DialledLink {
  readonly link: Link;
  readonly carrier: Carrier;
  /** Identity of the server's process, 16 bytes. */
  readonly boot: Uint8Array;
  /** The server's new identity, with which the link was made: to be pinned when the link is accepted. */
  readonly successor?: Successor;
  /** Sets who hears the link's messages and its end. */
  listen(onMessage: (message: Uint8Array) => void, onClose: (reason: string) => void): void;
}

/**
 * Why a dial failed. `wrongServer`: what answered has another identity than the pinned one. `late`: nothing has answered
 * within the deadline.
 */
export class DialLinkError extends Error {
  override readonly name = "DialLinkError";
  readonly wrongServer: boolean;
  readonly late: boolean;

  constructor(message: string, options: { wrongServer?: boolean; late?: boolean; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.wrongServer = options.wrongServer ?? false;
    this.late = options.late ?? false;
  }
}

/**
 * Opens a WebSocket to the server and runs the handshake up to the client's keys. The first packet that is sealed on
 * the link completes it.
 * @throws DialLinkError
 */
export async function dialLink(options: DialOptions): Promise<DialledLink> {
  const { server, identity, random, suites, signal } = options;
  const socket = new LinkSocket(options);
  const giveUp = () => socket.fail("given up");
  signal.addEventListener("abort", giveUp);
  const deadline = setTimeout(() => socket.fail("no answer in time", true), options.deadlineMs);
  try {
    const { serverKey, sequence } = server;
    const handshake = new ClientHandshake({ identity, serverKey, sequence, random, suites });
    const { kemPublicKey, boot, successor } = handshake.receive(await socket.first);
    const encapsulated = await kem.encapsulate(kemPublicKey);
    if (signal.aborted) throw new DialLinkError("given up");
    const { ratchet, prefix } = handshake.finish(encapsulated, performance.now());
    const jitter = (random(1)[0] ?? 0) / 256;
    const { slot, gen, padding } = options;
    const link = new Link({ slot, gen, ratchet, padding, jitter, now: performance.now() });
    return {
      link,
      carrier: socket.carrier(prefix),
      boot,
      ...(successor === undefined ? {} : { successor }),
      listen: (...handlers) => socket.listen(...handlers),
    };
  } catch (error) {
    socket.close();
    if (error instanceof DialLinkError) throw error;
    if (!(error instanceof ProtocolError)) throw error;
    throw new DialLinkError(`the server's offer was not acceptable: ${messageOf(error)}`, {
      wrongServer: error.reason === "wrongIdentity",
      cause: error,
    });
  } finally {
    clearTimeout(deadline);
    signal.removeEventListener("abort", giveUp);
  }
}

/** The client's WebSocket: its first message as a promise, later ones to a listener. */
class LinkSocket {
  readonly #socket: WebSocket;
  readonly first: Promise<Uint8Array>;
  #fail: (reason: string, late?: boolean) => void = () => {};
  #onMessage: (message: Uint8Array) => void = () => {};
  #onClose: ((reason: string) => void) | undefined;
  #closedReason: string | undefined;

  constructor({ server, random, ca }: DialOptions) {
    this.#socket = new WebSocket(server.url, {
      // In Cookie, because proxies log URIs and unknown headers in clear but not cookies.
      headers: { Cookie: `sid=${makeGateToken(server.gateKey, random)}` },
      perMessageDeflate: false,
      ...(ca === undefined ? {} : { tls: { ca } }),
    });
    this.#socket.binaryType = "arraybuffer";
    this.first = new Promise((resolve, reject) => {
      this.#onMessage = resolve;
      this.#fail = (reason, late = false) => reject(new DialLinkError(reason, { late }));
    });
    this.#socket.onmessage = ({ data }) => this.#receive(data);
    this.#socket.onerror = (event) => this.#ended(errorText(event));
    this.#socket.onclose = ({ code, reason }) => this.#ended(reason || `the connection closed (${code})`);
  }

  listen(onMessage: (message: Uint8Array) => void, onClose: (reason: string) => void): void {
    this.#onMessage = onMessage;
    this.#onClose = onClose;
    if (this.#closedReason !== undefined) onClose(this.#closedReason);
  }

  /** The carrier of the link; its first message goes out behind `prefix`, the client's part of the handshake. */
  carrier(prefix: Uint8Array): Carrier {
    let pending: Uint8Array | undefined = prefix;
    return {
      send: (message) => {
        if (this.#socket.readyState !== WebSocket.OPEN) return false;
        const whole = pending === undefined ? message : joined(pending, message);
        pending = undefined;
        this.#socket.send(whole);
        release(message);
        return true;
      },
      close: () => this.close(),
    };
  }

  fail(reason: string, late = false): void {
    this.#fail(reason, late);
    this.close();
  }

  // terminate, not close: a dead path would keep the socket in CLOSING for minutes.
  close(): void {
    this.#onClose = undefined;
    this.#socket.terminate();
  }

  #receive(data: unknown): void {
    if (data instanceof ArrayBuffer) return this.#onMessage(new Uint8Array(data));
    this.#ended("the server sent text");
    this.close();
  }

  #ended(reason: string): void {
    this.#closedReason ??= reason;
    this.#fail(reason);
    const onClose = this.#onClose;
    this.#onClose = undefined;
    onClose?.(this.#closedReason);
  }
}

function joined(prefix: Uint8Array, lead: Uint8Array): Uint8Array {
  const whole = new Uint8Array(prefix.length + lead.length);
  whole.set(prefix);
  whole.set(lead, prefix.length);
  return whole;
}

function errorText(event: Event): string {
  const message = event instanceof ErrorEvent ? event.message : "";
  // Bun tells no more of a refused upgrade than this text.
  if (message.includes("Expected 101")) {
    return "a web site answered, not rvpn: the reverse proxy's route or the path is wrong, or the link is out of date";
  }
  return message.replace(/^WebSocket connection to '[^']*' failed: /, "") || "the connection failed";
}
