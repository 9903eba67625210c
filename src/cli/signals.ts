const STOP_SIGNALS = ["SIGTERM", "SIGINT"] as const;

/**
 * Calls `stop` at the first SIGTERM or SIGINT. From then on both have their default effect again, so that a second one
 * ends the process at once. SIGHUP keeps its default too, which nohup has set to "ignore". Returns an undo function.
 */
export function onStopSignal(stop: (signal: NodeJS.Signals) => void): () => void {
  const handler = (signal: NodeJS.Signals): void => {
    undo();
    stop(signal);
  };
  const undo = (): void => {
    for (const signal of STOP_SIGNALS) process.off(signal, handler);
  };
  for (const signal of STOP_SIGNALS) process.on(signal, handler);
  return undo;
}

/** The first SIGTERM or SIGINT from now on, under the terms of `onStopSignal`. */
export function nextStopSignal(): Promise<NodeJS.Signals> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>();
  onStopSignal(resolve);
  return promise;
}
