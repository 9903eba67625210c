/** An address and a port as one text, IPv6 in brackets: `127.0.0.1:1080`, `[::1]:1080`. */
export function formatHostPort({
  hostname,
  port,
}: {
  readonly hostname: string;
  readonly port: number;
}): string {
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}
