/** Does `count` jobs, `parallel` at a time. The first failure ends it. */
export async function inParallel(
  count: number,
  parallel: number,
  job: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < count) await job(next++);
  };
  try {
    await Promise.all(Array.from({ length: Math.min(parallel, count) }, worker));
  } finally {
    next = count;
  }
}

/** Fails when `action` takes longer: a test that hangs is a finding, not a reason to wait. */
export async function within<T>(what: string, timeoutMs: number, action: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`${what}: nothing after ${timeoutMs} ms`)), timeoutMs);
  try {
    return await Promise.race([action, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
