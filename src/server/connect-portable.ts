import type { SocketHandler } from "bun";
import { formatIp } from "../runtime/address.ts";
import { systemCode } from "../runtime/errors.ts";
import { type Connect, Probe } from "./probe.ts";

/**
 * Connecting where connect-linux.ts cannot: by Bun.connect. What this way cannot do (Bun 1.4.5):
 * - tell "host unreachable", "network unreachable" and "timed out" from "refused": all come as ECONNREFUSED
 *   (oven-sh/bun#37093), and the client then hears "refused";
 * - stop: an abandoned attempt holds its descriptor until the system gives up (about two minutes), and is closed the
 *   moment it succeeds.
 */
export const connectPortably: Connect = (address, port, events) => {
  const probe = new Probe(address, port, events);
  const hostname = formatIp(address);
  Bun.connect({ hostname, port, allowHalfOpen: true, data: probe, socket: HANDLERS }).catch(
    (error: unknown) => probe.fail(systemCode(error)),
  );
  return probe;
};

const HANDLERS: SocketHandler<Probe> = {
  open: (socket) => socket.data.succeed(socket),
  data: (socket) => socket.data.fail("data before open", "general"),
  close: (socket, error) => socket.data.fail(systemCode(error)),
};
