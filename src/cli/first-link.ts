import type { ClientEnd, RunningClient } from "../client/client.ts";
import { REFUSALS, unreachable } from "../proto/index.ts";
import { ExitCode, UsageError } from "../runtime/errors.ts";

/**
 * Waits until the client has reached its server, or was asked to stop before. Throws what to tell the operator (exit
 * codes 3, 4, 5) when it ended for another reason, or when `timeoutMs` is over; then the client has been stopped.
 */
export async function untilFirstLink(
  client: RunningClient,
  timeoutMs: number | undefined,
): Promise<"linked" | "stopped"> {
  const timeout = Promise.withResolvers<"late">();
  const timer = timeoutMs === undefined ? undefined : setTimeout(timeout.resolve, timeoutMs, "late");
  const linked = client.firstLink.then(() => "linked" as const);
  const first = await Promise.race([linked, client.finished, timeout.promise]);
  clearTimeout(timer);
  if (first === "linked") return first;
  if (first === "late") {
    const problem = client.lastProblem();
    await client.stop();
    throw notReached(timeoutMs ?? 0, problem);
  }
  const error = errorOf(first);
  if (error === undefined) return "stopped";
  throw error;
}

/** Exit code 3: nothing final happened, but the time that the operator gave is over. */
export function notReached(timeoutMs: number, problem: string | undefined): UsageError {
  return new UsageError(
    `the server was not reached within ${timeoutMs / 1000} s${problem === undefined ? "" : `: ${problem}`}`,
    isUntrusted(problem)
      ? "the certificate is signed by nobody that this machine trusts: name the authority's certificate with --ca"
      : "check the server's address and that it runs; --log-level debug tells about each attempt",
    { exitCode: ExitCode.unreachable },
  );
}

/** Bun hands on the words of BoringSSL. */
function isUntrusted(problem: string | undefined): boolean {
  return /issuer certificate|self.signed|verify the first certificate/i.test(problem ?? "");
}

/** Why a client ended, as an error with its exit code; undefined if it was asked to. */
export function errorOf(end: ClientEnd): Error | undefined {
  switch (end.kind) {
    case "stopped":
      return undefined;
    case "refused":
      return new UsageError(
        `the server refused: ${REFUSALS[end.refusal].sentence}`,
        "ask the server's operator for a new link: rvpn invite NAME",
        { exitCode: ExitCode.refused },
      );
    case "wrongServer":
      return new UsageError(
        "the server is not the one this client knows: its identity is another",
        "somebody may be in between. If the server was set up anew, or rotated its identity more than 8 times since this client last came, use a new link with another --state",
        { exitCode: ExitCode.wrongServer },
      );
    case "failed":
      return end.error;
    default:
      return unreachable(end);
  }
}
