import { ExitCode, systemCode, UsageError } from "./errors.ts";

/** What a failed `listen` means to the operator; anything that is not about the address comes back as it is. */
export function listenError(
  cause: unknown,
  where: { hostname: string; port: number; flag: string },
): unknown {
  const { hostname, port, flag } = where;
  const address = `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
  switch (systemCode(cause)) {
    case "EADDRINUSE":
      return new UsageError(
        `port ${port} on ${hostname} is taken`,
        `end what listens there, or give another ${flag}`,
        {
          exitCode: ExitCode.portTaken,
          cause,
        },
      );
    case "EACCES":
      return new UsageError(
        `may not listen on ${address}`,
        `ports below 1024 are root's: give another ${flag}`,
        { cause },
      );
    case "EADDRNOTAVAIL":
      return new UsageError(`${address} is not an address of this machine`, `give one that is in ${flag}`, {
        cause,
      });
    default:
      return cause;
  }
}
