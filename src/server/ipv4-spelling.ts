const IPV4_PARTS = 4;

/**
 * What a name is that ends in a number (WHATWG URL Standard, section 3.5, "ends in a number" and "IPv4 parser"): no
 * domain of the DNS does, and programs read `127.1`, `0x7f.1` and `0177.0.0.1` as different hosts, or ask for them. Here
 * they are the address that a browser and inet_aton take them for, so that the policy judges that one. Returns its 4
 * bytes, "none" for a number that is no address, and undefined for an ordinary name.
 */
export function spelledIpv4(name: string): Uint8Array | "none" | undefined {
  const parts = name.replace(/\.$/, "").split(".");
  if (!/^(?:\d+|0x[\da-f]*)$/i.test(parts.at(-1) ?? "")) return undefined;
  const numbers = parts.map(parseNumber);
  const last = numbers.pop();
  if (last === undefined || numbers.length >= IPV4_PARTS) return "none";
  const lastBytes = IPV4_PARTS - numbers.length;
  if (last >= 256 ** lastBytes || numbers.some((number) => number === undefined || number > 255))
    return "none";
  const bytes = new Uint8Array(IPV4_PARTS);
  for (const [index, number] of numbers.entries()) bytes[index] = number ?? 0;
  for (let index = IPV4_PARTS - 1, rest = last; index >= numbers.length; index--) {
    bytes[index] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return bytes;
}

/** Hexadecimal with 0x, octal with a leading 0, else decimal. */
function parseNumber(text: string): number | undefined {
  if (/^0x[\da-f]*$/i.test(text)) return text.length === 2 ? 0 : Number.parseInt(text.slice(2), 16);
  if (/^0[0-7]+$/.test(text)) return Number.parseInt(text, 8);
  return /^(?:0|[1-9]\d*)$/.test(text) ? Number(text) : undefined;
}
