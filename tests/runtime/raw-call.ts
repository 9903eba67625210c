import { connect } from "node:net";

export interface RawCallOptions {
  /** Sends byte by byte. */
  readonly pieces?: boolean;
  /** Sent a moment after the first text. */
  readonly later?: string;
  /** Does not half-close after sending. */
  readonly keepOpen?: boolean;
}

/** What a program that is not ours gets for `text` on a Unix socket, until the other side closes, however it does. */
export function rawCall(
  path: string,
  text: string | Uint8Array,
  options: RawCallOptions = {},
): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let reply = "";
  const socket = connect({ path, allowHalfOpen: true }, async () => {
    const bytes = Buffer.from(text);
    for (const piece of options.pieces === true ? [...bytes].map((byte) => Buffer.of(byte)) : [bytes]) {
      if (piece.length > 0) socket.write(piece);
      if (options.pieces === true) await Bun.sleep(1);
    }
    if (options.later !== undefined) {
      await Bun.sleep(10);
      socket.write(options.later);
    }
    if (options.keepOpen !== true) socket.end();
  });
  socket.on("data", (chunk) => {
    reply += String(chunk);
  });
  socket.on("end", () => socket.destroy());
  socket.on("error", () => {});
  socket.on("close", () => resolve(reply));
  return promise;
}
