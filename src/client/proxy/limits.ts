/** Every bound of the local proxy's parsers: what a stranger on this machine can make the client hold per connection. */

/** A host name: the longest that a SOCKS5 length byte (RFC 1928 section 5) and the tunnel's own encoding can carry. */
export const NAME_MAX_BYTES = 255;

/**
 * Everything a SOCKS5 client can send up to the end of its request, each message at its longest: greeting
 * (RFC 1928 section 3), password (RFC 1929 section 2), request with a name (RFC 1928 section 4).
 */
export const SOCKS5_MAX_BYTES = 2 + 255 + (3 + 255 + 255) + (4 + 1 + NAME_MAX_BYTES + 2);

/** SOCKS4 ends its user id with a NUL and names no limit. Nothing reads the id, so it gets what SOCKS5 would allow. */
export const SOCKS4_USER_MAX_BYTES = 255;
export const SOCKS4_MAX_BYTES = 8 + SOCKS4_USER_MAX_BYTES + 1 + NAME_MAX_BYTES + 1;

/** Request line and header fields. Browsers keep cookies under 4 KiB each; origins refuse at 8 to 32 KiB. */
export const HTTP_HEAD_MAX_BYTES = 64 * 1024;
export const HTTP_MAX_FIELDS = 100;

/** Chunk size and extensions of one chunk (RFC 9112 section 7.1.1 asks for a limit). Nobody uses the extensions. */
export const CHUNK_LINE_MAX_BYTES = 4096;
/** 13 hex digits stay below 2^53, where a number still counts every byte. */
export const CHUNK_SIZE_MAX_DIGITS = 13;
/** What an application may send ahead of its answers before it is read no more: a head of its next request. */
export const BEHIND_MAX_BYTES = HTTP_HEAD_MAX_BYTES;
/**
 * How long an application's connection may wait for its next request. Browsers keep theirs for minutes; one that sends
 * just as it is closed has to connect again, so this is not short.
 */
export const APPLICATION_IDLE_MS = 60_000;
/** Trailer section of a chunked body, judged like a head. */
export const TRAILERS_MAX_BYTES = HTTP_HEAD_MAX_BYTES;
/** 15 decimal digits stay below 2^53 too. */
export const CONTENT_LENGTH_MAX_DIGITS = 15;

/**
 * How long an idle connection to an origin is kept for the next request. Common servers close theirs after 5 s or later;
 * a shorter time makes it rare that a request meets such a close on its way.
 */
export const ORIGIN_IDLE_MS = 4_000;
/** What an origin that names its own time (`Keep-Alive: timeout=N`) is spared of it, for the way there and back. */
export const ORIGIN_MARGIN_MS = 1_000;
/** Idle connections to one origin: as many as browsers open to one host. */
export const ORIGINS_IDLE_PER_TARGET = 6;
/** Idle connections to all origins together, a stream each. */
export const ORIGINS_IDLE = 64;
/** How long an origin may take to close a connection that it was told no more will come on, before it is reset. */
export const ORIGIN_CLOSING_MS = 5_000;
/** How often kept connections are looked through for those whose time is over, while there are any. */
export const ORIGIN_SWEEP_MS = 500;
