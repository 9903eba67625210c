import { UsageError } from "./errors.ts";

const DURATION_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const SIZE_BYTES = {
  "": 1,
  k: 1024,
  kib: 1024,
  m: 1024 ** 2,
  mib: 1024 ** 2,
  g: 1024 ** 3,
  gib: 1024 ** 3,
} as const;

/** `10s`, `250ms`, `5m`, `24h`, `7d` in milliseconds. A number without a unit is refused, so that nobody guesses. */
export function parseDuration(text: string, flag: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text);
  const unit = match?.[2];
  if (match === null || !isKeyOf(DURATION_MS, unit)) {
    throw new UsageError(
      `${flag}: "${text}" is not a duration`,
      "write a number and a unit: 250ms, 10s, 5m, 24h, 7d",
    );
  }
  return Number(match[1]) * DURATION_MS[unit];
}

/** `64KiB`, `1MiB`, `2g` or plain bytes, in bytes. Powers of 1024. */
export function parseSize(text: string, flag: string): number {
  const match = /^(\d+)\s*([kmg]i?b?)?$/i.exec(text);
  const unit = (match?.[2] ?? "").toLowerCase().replace(/^([kmg])b$/, "$1");
  if (match === null || !isKeyOf(SIZE_BYTES, unit)) {
    throw new UsageError(
      `${flag}: "${text}" is not a size`,
      "write bytes or a number and a unit: 65536, 64KiB, 1MiB",
    );
  }
  const bytes = Number(match[1]) * SIZE_BYTES[unit];
  if (!Number.isSafeInteger(bytes))
    throw new UsageError(`${flag}: "${text}" is too large`, "give a smaller size");
  return bytes;
}

function isKeyOf<T extends object>(table: T, key: string | undefined): key is Extract<keyof T, string> {
  return key !== undefined && Object.hasOwn(table, key);
}
