/**
 * Small helpers for waiting.
 *
 * @module
 */

/**
 * Waits until a signal is aborted.
 *
 * @param signal The signal.
 * @returns Resolves when it is aborted, at once if it is already.
 */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) =>
    signal.addEventListener("abort", () => resolve(), { once: true })
  );
}

/**
 * Waits for a time, or less when a signal is aborted.
 *
 * @param ms How long.
 * @param signal Ends the wait early; that is no error.
 * @returns Resolves at the end of the wait.
 */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    function end(): void {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    }
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end, { once: true });
  });
}

/** How long work that is under way may still take once the command shall end. */
const graceMs = 2_000;

/**
 * Waits for the end of the time that a command may take to end in good order.
 *
 * @param interrupted Aborted when the command shall end.
 * @returns Resolves two seconds after that.
 */
export async function interruptGrace(interrupted: AbortSignal): Promise<void> {
  await aborted(interrupted);
  await sleep(graceMs);
}
