/** A dial that has had no answer for this long may hang on a path that works again: a second one is tried beside it. */
const STAGGER_MS = 2_500;
/** At most so many; the oldest is at its deadline by then. */
const MAX_ATTEMPTS = 4;

export interface Race<D> {
  /** One attempt, which has a deadline of its own. */
  readonly dial: (signal: AbortSignal) => Promise<D>;
  /** Whether an attempt failed by its deadline: that says nothing of those begun later. */
  readonly isLate: (error: unknown) => boolean;
  /** Takes who wins late. */
  readonly discard: (late: D) => void;
}

/**
 * Dials, and dials again beside an attempt that hangs. The first attempt that succeeds is the result and ends the others;
 * so does the first failure, for that is an answer, unless it was only the attempt's deadline and others are under way.
 */
export function raceDials<D>({ dial, isLate, discard }: Race<D>, signal: AbortSignal): Promise<D> {
  const { promise, resolve, reject } = Promise.withResolvers<D>();
  const all = new AbortController();
  let attempts = 0;
  let running = 0;
  let isOver = false;
  const end = (settle: () => void) => {
    if (isOver) return;
    isOver = true;
    clearInterval(timer);
    signal.removeEventListener("abort", abort);
    settle();
    all.abort();
  };
  const attempt = () => {
    attempts += 1;
    running += 1;
    if (attempts === MAX_ATTEMPTS) clearInterval(timer);
    dial(all.signal).then(
      (dialled) => (isOver ? discard(dialled) : end(() => resolve(dialled))),
      (error: unknown) => {
        running -= 1;
        if (running === 0 || !isLate(error)) end(() => reject(error));
      },
    );
  };
  const timer = setInterval(attempt, STAGGER_MS);
  const abort = () => all.abort();
  signal.addEventListener("abort", abort);
  if (signal.aborted) abort();
  attempt();
  return promise;
}
