/**
 * How long a message waits after a failure before it is delivered again.
 *
 * The wait grows from failure to failure, up to a bound, and is spread a little, so that messages which
 * failed together do not all come back together. What spreads it is a hash of the message and of the
 * failure: every replica comes to the same.
 *
 * @module
 */

import type { QueueSettings } from "./settings.ts";

/** The settings that matter here. */
export type BackoffSettings = Pick<
  QueueSettings,
  "backoffFirstMs" | "backoffMaxMs" | "backoffFactor" | "backoffJitterPercent"
>;

/**
 * Tells how long a message waits.
 *
 * @param settings Those of its queue.
 * @param partitionId Its partition.
 * @param offset Its offset.
 * @param deliveryCount How often it was delivered, 1 or more.
 * @returns Milliseconds, 0 for not at all.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const settings = {
 *   backoffFirstMs: 100, backoffMaxMs: 1_000, backoffFactor: 2, backoffJitterPercent: 0,
 * };
 * const waits = [1, 2, 3, 4, 5, 6].map((count) => backoffMs(settings, 1, 0, count));
 * assertEquals(waits, [100, 200, 400, 800, 1_000, 1_000]);
 * ```
 */
export function backoffMs(
  settings: BackoffSettings,
  partitionId: number,
  offset: number,
  deliveryCount: number,
): number {
  const { backoffFirstMs, backoffMaxMs, backoffFactor, backoffJitterPercent } = settings;
  let waitMs = Math.min(backoffFirstMs, backoffMaxMs);
  if (waitMs === 0) return 0;
  if (backoffFactor > 1) {
    for (let failure = 1; failure < deliveryCount && waitMs < backoffMaxMs; failure++) {
      waitMs = Math.min(backoffMaxMs, waitMs * backoffFactor);
    }
  }
  // From -1 up to, and without, 1.
  const spread = hash(partitionId, offset, deliveryCount) / 2 ** 31 - 1;
  return Math.round(waitMs * (1 + backoffJitterPercent / 100 * spread));
}

/** A u32 in which every bit of the three numbers counts. */
function hash(partitionId: number, offset: number, deliveryCount: number): number {
  let word = mix(partitionId ^ 0x9e37_79b9);
  word = mix(word ^ offset);
  word = mix(word ^ Math.floor(offset / 2 ** 32));
  return mix(word ^ deliveryCount);
}

function mix(word: number): number {
  word = Math.imul(word ^ (word >>> 16), 0x85eb_ca6b);
  word = Math.imul(word ^ (word >>> 13), 0xc2b2_ae35);
  return (word ^ (word >>> 16)) >>> 0;
}
