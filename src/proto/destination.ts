/** Where a stream goes: an address as the application gave it, or a name that the server resolves. */
export type Host =
  | { readonly kind: "ipv4"; readonly address: Uint8Array }
  | { readonly kind: "ipv6"; readonly address: Uint8Array }
  | { readonly kind: "name"; readonly name: string };

/** A TCP destination. IPv4 addresses are 4 bytes, IPv6 16, names 1 to 255 bytes of visible ASCII, ports 1 to 65535. */
export interface Destination {
  readonly host: Host;
  readonly port: number;
}

/** Why the server could not connect to a destination: name and wire code of ProxyResponse. */
export const DIAL_FAILURES = {
  general: 1,
  policy: 2,
  netUnreachable: 3,
  hostUnreachable: 4,
  refused: 5,
  timeout: 6,
  nameNotFound: 7,
  nameServerFailed: 8,
  overloaded: 9,
} as const;

export type DialFailure = keyof typeof DIAL_FAILURES;

/** What ProxyResponse says: connected, or why not. */
export type DialResult = "connected" | DialFailure;
