import { wipe } from "./octets.ts";
import type { NumberedKey } from "./sending-chain.ts";

/**
 * Message keys of packets that were passed over and may still come (MKSKIPPED of the Double Ratchet, section 3.1), by
 * ratchet key and number. Bounded: the oldest go first, so that a peer who skips for ever fills nothing.
 */
export class SkippedKeys {
  readonly #capacity: number;
  /** In order of age: a Map keeps the order of insertion. */
  readonly #keys = new Map<string, Uint8Array>();

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#keys.size;
  }

  /** The key of a passed packet; it stays until `forget`, for the packet may yet prove a forgery. */
  find(ratchetKey: Uint8Array, number: number): Uint8Array | undefined {
    return this.#keys.size === 0 ? undefined : this.#keys.get(idOf(ratchetKey, number));
  }

  forget(ratchetKey: Uint8Array, number: number): void {
    const id = idOf(ratchetKey, number);
    const key = this.#keys.get(id);
    if (key !== undefined) wipe(key);
    this.#keys.delete(id);
  }

  keep(ratchetKey: Uint8Array, skipped: readonly NumberedKey[]): void {
    for (const { number, key } of skipped) this.#keys.set(idOf(ratchetKey, number), key);
    for (const [id, key] of this.#keys) {
      if (this.#keys.size <= this.#capacity) break;
      wipe(key);
      this.#keys.delete(id);
    }
  }

  wipe(): void {
    wipe(...this.#keys.values());
    this.#keys.clear();
  }

  /** Part of SplitRatchet's fingerprint. */
  state(): readonly (Uint8Array | number)[] {
    return [this.#keys.size, ...[...this.#keys].flatMap(([id, key]) => [Uint8Array.from(id, charCode), key])];
  }
}

function idOf(ratchetKey: Uint8Array, number: number): string {
  return `${ratchetKey.toHex()}:${number}`;
}

function charCode(character: string): number {
  return character.charCodeAt(0);
}
