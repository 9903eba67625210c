/**
 * The randomness port: `length` fresh bytes fit for secrets, owned by the caller. The program passes the operating
 * system's generator; tests and simulators pass a seeded one, so that one number replays everything.
 */
export type Random = (length: number) => Uint8Array;
