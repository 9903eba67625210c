/** The servers of the origin, by what they do. */
export interface OriginPorts {
  /** The web site, on 127.0.0.1 and on [::1]. */
  readonly http: number;
  /** Sends back what it gets. */
  readonly echo: number;
  /** Says "220 ready" before it has heard anything, then echoes. */
  readonly banner: number;
  /** Reads to the end of input, then says how much it was and its SHA-256. */
  readonly hash: number;
  /** The same, reading about 8 MB/s. */
  readonly slow: number;
  /** Sends the endless payload and never reads. */
  readonly flood: number;
  /** Sends 8 MB without a length and closes. */
  readonly closer: number;
  /** Sends 100 kB without a length and resets. */
  readonly resetter: number;
  /** Says "hello", ends its side at once, and reports what it read afterwards. */
  readonly finFirst: number;
}

/** What `finFirst` has read, one entry per connection, at /reports of the web site. */
export interface Report {
  readonly bytes: number;
  readonly sha256: string;
  readonly end: "fin" | "reset";
}
