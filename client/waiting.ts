/**
 * Waiting on a clock that is a parameter: pauses, growing pauses, promises that a signal can end.
 *
 * @module
 */

import type { Clock } from "./runtime.ts";

/**
 * Why a wait ends that has become pointless, where nobody will look. Without a reason, `abort()` makes
 * one: an error with its stack trace.
 */
export const ENOUGH = "nobody waits any more";

/**
 * Waits.
 *
 * @param clock Whose time.
 * @param ms How long.
 * @param signal Ends the wait early.
 * @throws The signal's reason when it is aborted.
 */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      clock.clearTimeout(timer);
      reject(signal!.reason);
    };
    const timer = clock.setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/**
 * Follows a promise until a signal ends the wait; what the promise does later is ignored then.
 *
 * @param promise What is waited for.
 * @param signal Ends the wait early.
 * @throws The signal's reason when it is aborted, and what the promise rejects with.
 */
export function untilAborted<T>(promise: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

/**
 * The first of several promises that is fulfilled. Once one of them has failed, the others have not much
 * time left.
 *
 * @param promises Any number.
 * @param clock Whose time.
 * @param patienceMs How much time.
 * @returns What that one brings.
 * @throws {AggregateError} when all have failed, or time is up.
 */
export async function firstOf<T>(
  promises: readonly Promise<T>[],
  clock: Clock,
  patienceMs: number,
): Promise<T> {
  const errors: unknown[] = [];
  const over = new AbortController();
  const { signal } = over;
  const late = new Promise<never>((_resolve, reject) => {
    const fail = (error: unknown) => {
      if (errors.push(error) > 1) return;
      sleep(clock, patienceMs, signal).then(() => reject(new AggregateError(errors)), () => {});
    };
    for (const promise of promises) promise.catch(fail);
  });
  try {
    return await Promise.race([Promise.any(promises), late]);
  } finally {
    over.abort(ENOUGH);
  }
}

/** Settings of a {@linkcode Backoff}. */
export interface BackoffOptions {
  /** The first pause. */
  readonly msMin: number;
  /** The longest pause. */
  readonly msMax: number;
  /** How much longer each is than the one before. */
  readonly factor: number;
}

/** Pauses that grow from attempt to attempt, with jitter so that many clients do not march in step. */
export class Backoff {
  readonly #options: BackoffOptions;
  readonly #random: () => number;
  #ms: number;

  /**
   * Begins with the first pause.
   *
   * @param options How long, and how the pauses grow.
   * @param random From 0 up to but not including 1.
   */
  constructor(options: BackoffOptions, random: () => number) {
    this.#options = options;
    this.#random = random;
    this.#ms = options.msMin;
  }

  /** The next pause, from half to the whole of its nominal length. */
  next(): number {
    const ms = this.#ms * (0.5 + this.#random() / 2);
    this.#ms = Math.min(this.#ms * this.#options.factor, this.#options.msMax);
    return ms;
  }

  /** Starts over with the first pause, after a success. */
  reset(): void {
    this.#ms = this.#options.msMin;
  }
}
