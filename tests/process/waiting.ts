/**
 * Waiting with a deadline: a test says what it waits for, and fails with these words.
 *
 * @module
 */

/** For a machine that is slow and busy: a wait that ends well takes a small part of it. */
export const waitSeconds = 45;

/** Waits for a while. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * Looks again and again until something is true.
 *
 * @param what For the failure: "Waited 45 s in vain until …".
 * @param condition Looked at every few milliseconds; may throw to end the wait at once.
 * @param seconds How long to wait.
 */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  seconds: number = waitSeconds,
): Promise<void> {
  const deadline = performance.now() + seconds * 1_000;
  while (!await condition()) {
    if (performance.now() > deadline) throw new Error(`Waited ${seconds} s in vain until ${what}`);
    await pause(5);
  }
}

/**
 * Waits for a promise no longer than a deadline.
 *
 * @param what For the failure: "Waited 45 s in vain until …".
 * @param promise What to wait for.
 * @param seconds How long to wait.
 * @returns What it resolves to.
 */
export async function within<T>(
  what: string,
  promise: Promise<T>,
  seconds: number = waitSeconds,
): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Error(`Waited ${seconds} s in vain until ${what}`)),
    seconds * 1_000,
  );
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
