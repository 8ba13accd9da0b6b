/**
 * What a consumer is made with, checked.
 *
 * @module
 */

import { prefetchMax, QUEUE_SETTINGS } from "../wire/mod.ts";
import { clientLimits } from "./options.ts";

/** Settings of `consume()`. */
export interface ConsumeOptions {
  /** How many messages the consumer may hold at once, all partitions together. @default {100} */
  readonly prefetch?: number;
  /**
   * The numbers of the partitions that it takes from, each once. Without it: all there are, and those that
   * the queue gets.
   */
  readonly partitions?: readonly number[];
  /** How long it may hold a message without a word, from 100 ms to a day. @default {the queue's leaseMs} */
  readonly leaseMs?: number;
  /**
   * How long the client, as long as it lives, extends the leases of messages that it has got and that are
   * not settled, those that nobody has taken from the iterator yet among them. 0: that is up to
   * `extendLease()`. @default {3_600_000}
   */
  readonly extendForMs?: number;
  /** Ends the iteration: it throws the signal's reason. `close()` ends it quietly. */
  readonly signal?: AbortSignal;
  /**
   * Whether to end when nothing is ready any more. What has been delivered by then may still be settled
   * after the end; the consumer detaches by itself when all of it is. @default {false}
   */
  readonly drain?: boolean;
}

/** Options that are fine, with the defaults filled in. */
export interface CheckedConsumeOptions {
  readonly prefetch: number;
  /** `undefined` for all of them. */
  readonly partitions: readonly number[] | undefined;
  /** `undefined` for what the queue says. */
  readonly leaseMs: number | undefined;
  readonly extendForMs: number;
  readonly signal: AbortSignal | undefined;
  readonly drain: boolean;
}

/**
 * Checks the options of a consumer.
 *
 * @param options What somebody wants.
 * @returns The same, with the defaults.
 * @throws {RangeError} when one is out of its range.
 */
export function checkConsumeOptions(options: ConsumeOptions): CheckedConsumeOptions {
  const { prefetch = 100, leaseMs, extendForMs = clientLimits.extendForMsDefault } = options;
  const { partitions, signal, drain = false } = options;
  if (!Number.isSafeInteger(prefetch) || prefetch < 1 || prefetch > prefetchMax) {
    throw new RangeError(
      `Cannot consume with a prefetch outside 1 to ${prefetchMax}: current value is ${prefetch}`,
    );
  }
  if (!Number.isSafeInteger(extendForMs) || extendForMs < 0) {
    throw new RangeError(
      `Cannot consume with an extendForMs that is not a whole number of 0 or more: ` +
        `current value is ${extendForMs}`,
    );
  }
  const { leaseMsMin, leaseMsMax } = clientLimits;
  if (
    leaseMs !== undefined &&
    (!Number.isSafeInteger(leaseMs) || leaseMs < leaseMsMin || leaseMs > leaseMsMax)
  ) {
    throw new RangeError(
      `Cannot consume with a leaseMs that is not a whole number from ${leaseMsMin} to ` +
        `${leaseMsMax}: current value is ${leaseMs}`,
    );
  }
  if (partitions !== undefined && !areNumbersOfPartitions(partitions)) {
    throw new RangeError(
      "Cannot consume from partitions that are not one or more different whole numbers from 0: " +
        `current value is ${JSON.stringify(partitions)}`,
    );
  }
  return { prefetch, partitions, leaseMs, extendForMs, signal, drain };
}

function areNumbersOfPartitions(numbers: readonly number[]): boolean {
  const { max } = QUEUE_SETTINGS.partitions;
  return numbers.length > 0 && new Set(numbers).size === numbers.length &&
    numbers.every((one) => Number.isSafeInteger(one) && one >= 0 && one < max);
}
