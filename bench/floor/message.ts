import { createCipheriv, createDecipheriv } from "node:crypto";

/** What a floor does with each message. All have the same messages, so that a step costs what it does and no framing. */
export type FloorMode = "plain" | "sealed" | "kept";

const GCM = "aes-256-gcm";
/** In the open: nothing is to be protected on loopback, only its cost to be seen. */
const KEY = new Uint8Array(32).fill(7);
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Nonce and tag, before the body. Zeros where nothing is sealed. */
export const LEAD_BYTES = NONCE_BYTES + TAG_BYTES;
/** Shorter than a lead, which tells one from the other. */
export const ACK_BYTES = 8;

/** A message as it goes out: a small one and right behind it the large one, as rvpn's packets are. */
export interface Sealed {
  readonly lead: Uint8Array;
  readonly body: Uint8Array;
}

/** Seals the messages of one direction of one connection, each under the next nonce. */
export class Sealer {
  readonly #isPlain: boolean;
  #count = 0;

  constructor(mode: FloorMode) {
    this.#isPlain = mode === "plain";
  }

  /** Where nothing is sealed, the body is `plain` itself. */
  seal(plain: Uint8Array): Sealed {
    const lead = Buffer.alloc(LEAD_BYTES);
    if (this.#isPlain) return { lead, body: plain };
    lead.writeUIntBE(this.#count++, 0, 6);
    const cipher = createCipheriv(GCM, KEY, lead.subarray(0, NONCE_BYTES));
    const body = cipher.update(plain);
    cipher.final();
    lead.set(cipher.getAuthTag(), NONCE_BYTES);
    return { lead, body };
  }

  /** Throws if the bytes are not what was sealed. */
  open({ lead, body }: Sealed): Uint8Array {
    if (this.#isPlain) return body;
    const decipher = createDecipheriv(GCM, KEY, lead.subarray(0, NONCE_BYTES));
    decipher.setAuthTag(lead.subarray(NONCE_BYTES));
    const plain = decipher.update(body);
    decipher.final();
    return plain;
  }
}
