/**
 * What a message is published with besides its body.
 *
 * @module
 */

import { delayMsMax, encodeMessageOptions, type MessageHeaders } from "../wire/mod.ts";
import type { Clock } from "./runtime.ts";

/** What a message may be published with besides its body. */
export interface MessageProperties {
  /** Decides the partition: messages of one key stay in order. */
  readonly key?: string;
  /** Names to values. */
  readonly headers?: MessageHeaders;
  /** Nobody gets it before so many milliseconds have passed, up to ten years. */
  readonly delayMs?: number;
  /** Nobody gets it before this time; a number is in milliseconds since the epoch. Not with `delayMs`. */
  readonly at?: Date | number;
  /** It expires so many milliseconds after it was published, if nobody holds it then: up to ten years. */
  readonly ttlMs?: number;
  /** From 0 to 9: those of a higher one are delivered first. @default {0} */
  readonly priority?: number;
  /**
   * Not again until acked: while a message with this text waits or is held, another one is not stored,
   * and its receipt is that of the first, with `duplicate: true`. Without a key it decides the partition;
   * with one, it is compared within the partition of the key. Up to 1,024 bytes of UTF-8.
   */
  readonly unique?: string;
}

/**
 * Checks and encodes what a message asks of its queue.
 *
 * @param properties Of the message.
 * @param clock Tells the time, where that matters.
 * @returns For `PublishBatch.add`; `undefined` where it asks for nothing.
 * @throws {TypeError} when one is not what it should be, or two exclude each other.
 * @throws {RangeError} when one is out of its range.
 */
export function encodeProperties(
  { delayMs, at, ttlMs, priority, unique }: MessageProperties,
  clock: Pick<Clock, "now">,
): Uint8Array | undefined {
  const isPlain = delayMs === undefined && at === undefined && ttlMs === undefined &&
    priority === undefined && unique === undefined;
  if (isPlain) return undefined;
  if (delayMs !== undefined && at !== undefined) {
    throw new TypeError("Cannot publish with both delayMs and at: leave one of them out");
  }
  const options = encodeMessageOptions({
    ...(delayMs === undefined ? {} : { delayMs }),
    ...(at === undefined ? {} : { atMs: timeOf(at, clock.now()) }),
    ...(ttlMs === undefined ? {} : { ttlMs }),
    ...(priority === undefined ? {} : { priority }),
    ...(unique === undefined ? {} : { unique }),
  });
  if (delayMs !== undefined && ttlMs !== undefined && ttlMs <= delayMs) {
    throw new RangeError(
      `Cannot publish a message that expires before it is due: delayMs is ${delayMs}, ` +
        `ttlMs is ${ttlMs}`,
    );
  }
  return options;
}

/** A time as a whole number; one that has passed long ago is as good as none. */
function timeOf(at: Date | number, nowMs: number): number {
  const ms = at instanceof Date ? at.getTime() : at;
  if (typeof ms !== "number") {
    throw new TypeError(
      `Cannot publish at a time that is neither a Date nor a number: current value is ${typeof ms}`,
    );
  }
  // Microseconds for milliseconds would wait for fifty thousand years.
  if (Number.isNaN(ms) || ms > nowMs + delayMsMax) {
    throw new RangeError(
      `Cannot publish at a time that is not within ten years, in milliseconds since the epoch: ` +
        `current value is ${ms}`,
    );
  }
  return Math.max(0, Math.ceil(ms));
}
