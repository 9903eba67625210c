import { assert } from "../proto/index.ts";
import { CONTROL_LIMITS } from "../runtime/control-protocol.ts";
import { SERVER_LIMITS } from "./server-limits.ts";

const DAY_MS = 86_400_000;

/** What bounds the server's list of clients. The whole list is one file, written anew at every change. */
export const STORE_LIMITS = {
  /** Clients and seats. At this size a change takes 70 ms and a start 2 s (measured); larger teams have other means. */
  maxClients: 10_000,
  /** Invites remembered, open or not: enough to invite every client of a large team within a month. */
  maxInvites: 2_000,
  /**
   * Revoked keys remembered. Forgetting the oldest lets nobody in: a forgotten key is refused as unknown, and only its
   * owner is told less exactly why.
   */
  maxRevoked: 10_000,
  /** An invite is good for one client unless its maker says otherwise, and never for more than there is room for. */
  maxUses: 10_000,
  defaultInviteMs: DAY_MS,
  /** Ten years. Later dates are typing errors, or seats that are meant to have no end. */
  maxExpiryMs: 3_650 * DAY_MS,
  /** How long an invite is remembered after its end, so that who comes late is told that it has expired or was used. */
  deadInviteMs: 30 * DAY_MS,
  /**
   * Gate keys kept beside the current one though nobody is known to need them: who was revoked lately still gets to
   * hear so, and one who never was on the list hears what is wrong with its invite.
   */
  oldGateKeys: 8,
  /**
   * Gate keys in all. The older ones are kept for links that are not renewed (seats, open invites, clients that are
   * away). Each costs one HMAC (1 µs) per HTTP request, so that these take a tenth of what a handshake takes.
   */
  maxGateKeys: 64,
  maxNameLength: 64,
} as const;

/** Upper bound of one client's JSON in a reply to `clients`: name, key of 56 characters, kind, two dates, names of fields. */
const CLIENT_REPLY_BYTES = 280;
const INVITE_REPLY_BYTES = 220;
/** And of what one client has open, if it has a tunnel, and of the server's own counters. */
const LIVE_REPLY_BYTES = 105;
const STATUS_REPLY_BYTES = 1_024;

assert(
  STORE_LIMITS.maxClients * CLIENT_REPLY_BYTES +
    STORE_LIMITS.maxInvites * INVITE_REPLY_BYTES +
    SERVER_LIMITS.tunnels * LIVE_REPLY_BYTES +
    STATUS_REPLY_BYTES <
    CONTROL_LIMITS.maxReplyBytes,
  "the list of all clients fits into one reply of the control socket",
);
assert(STORE_LIMITS.oldGateKeys + 1 < STORE_LIMITS.maxGateKeys, "there is room for keys in use");
assert(STORE_LIMITS.maxUses <= STORE_LIMITS.maxClients, "an invite promises no more than the list can hold");
