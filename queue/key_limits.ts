/**
 * What the settings of a queue allow its keys.
 *
 * @module
 */

import type { QueueSettings } from "./settings.ts";

/** What keys of a partition may do. */
export interface KeyLimits {
  /** How many messages of a key may be with consumers at a time. */
  readonly concurrency: number;
  /** Whether a message that comes back and has to wait holds up the others of its key. */
  readonly holds: boolean;
  /** How many messages of a key may be delivered in a second; 0 for any. */
  readonly ratePerSecond: number;
}

/** What keys may do that nothing holds back. */
export const NO_LIMITS: KeyLimits = { concurrency: Infinity, holds: false, ratePerSecond: 0 };

/**
 * Reads the limits out of settings.
 *
 * @param settings The settings of a queue.
 * @returns Its limits, or `undefined` where keys mean nothing to its partitions.
 */
export function keyLimits(settings: QueueSettings): KeyLimits | undefined {
  const { order, fairKeys, keyConcurrency, keyRatePerSecond: ratePerSecond } = settings;
  const holds = order === "key";
  if (!holds && !fairKeys && keyConcurrency === 0 && ratePerSecond === 0) return undefined;
  return { concurrency: holds ? 1 : keyConcurrency || Infinity, holds, ratePerSecond };
}

const SECOND_MS = 1_000;

/**
 * A bucket of tokens for each key that holds what comes in a second, one for each delivery. All there is
 * to know of a bucket is when it will be full again.
 */
export class KeyRate {
  /** In which one more token comes; 0 where nobody counts. */
  readonly #tokenMs: number;

  /**
   * @param perSecond How many tokens come in a second; 0 for any number.
   */
  constructor(perSecond: number) {
    this.#tokenMs = perSecond === 0 ? 0 : SECOND_MS / perSecond;
  }

  /**
   * Tells when there is a token.
   *
   * @param fullAtMs When the bucket is full.
   * @returns To the nearest millisecond; a time that has passed where there is one now.
   */
  freeAtMs(fullAtMs: number): number {
    return this.#tokenMs === 0 ? 0 : Math.round(fullAtMs - SECOND_MS + this.#tokenMs);
  }

  /**
   * Takes a token out.
   *
   * @param fullAtMs When the bucket would be full.
   * @param nowMs The time.
   * @returns When it will be.
   */
  use(fullAtMs: number, nowMs: number): number {
    return this.#tokenMs === 0 ? 0 : Math.max(fullAtMs, nowMs) + this.#tokenMs;
  }
}
