/**
 * Why a server refuses a client that has proven its key. Sent only inside a sealed Refuse frame. `final` ones end the
 * client; after the others it dials again. Codes are frozen by tests/proto/wire.test.ts.
 */
export const REFUSALS = {
  unknownClient: { code: 1, final: true, sentence: "this client's key is not on the server's list" },
  revoked: { code: 2, final: true, sentence: "this client's key was revoked" },
  inviteUnknown: { code: 3, final: true, sentence: "the invite is not known to the server" },
  inviteExpired: { code: 4, final: true, sentence: "the invite has expired" },
  inviteUsed: { code: 5, final: true, sentence: "the invite was used by another client" },
  expired: { code: 6, final: true, sentence: "this client's admission has expired" },
  tooMany: { code: 7, final: false, sentence: "the server has reached a limit for this client" },
  draining: { code: 8, final: false, sentence: "the server is shutting down" },
  staleLink: { code: 9, final: false, sentence: "a newer link of the same slot exists" },
  internal: { code: 10, final: false, sentence: "the server could not serve the request" },
} as const satisfies Record<string, { code: number; final: boolean; sentence: string }>;

export type Refusal = keyof typeof REFUSALS;
