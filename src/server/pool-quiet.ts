import type { Socket } from "bun";
import { linuxLibc } from "../runtime/libc.ts";

/** Whether a connected socket has neither bytes nor an end of stream waiting to be read. */
export type QuietCheck = (socket: Socket<unknown>) => boolean;

const MSG_PEEK = 0x02;
const MSG_DONTWAIT = 0x40;
/** What recv(2) returns where there is nothing to read, EAGAIN, and for any error. */
const NOTHING = -1;

/**
 * Asks the kernel, where we may (Linux): what arrived a moment ago may wait behind the event that is being handled, and
 * no handler has heard of it. A peek takes nothing away. An error of the socket reads as nothing; its `close` follows,
 * as it would on a socket that was just dialled. Elsewhere a socket counts as quiet until a handler is told otherwise.
 */
export function openQuietCheck(): QuietCheck {
  const recv = linuxLibc(SYMBOLS)?.recv;
  if (recv === undefined) return () => true;
  const byte = new Uint8Array(1);
  return (socket) => {
    // Bun has it, its types do not.
    const { fd } = socket as unknown as { readonly fd: number };
    return Number(recv(fd, byte, byte.length, MSG_PEEK | MSG_DONTWAIT)) === NOTHING;
  };
}

const SYMBOLS = { recv: { args: ["i32", "ptr", "u64", "i32"], returns: "i64" } } as const;
