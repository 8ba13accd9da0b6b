/**
 * How much may be in one partition: its share of what its queue may have.
 *
 * @module
 */

import type { QueueSettings } from "./settings.ts";

/** The limits of one partition. Follow from the settings of its queue. */
export class PartitionLimits {
  /** With so many messages, or bytes, nothing more is taken. */
  #fullAt = Infinity;
  #fullAtBytes = Infinity;
  /** With more messages, or bytes, the oldest messages are dropped. */
  #dropAbove = Infinity;
  #dropAboveBytes = Infinity;

  /**
   * Takes the limits from the settings.
   *
   * @param settings The settings of the queue.
   * @param partitions How many partitions share what it may have.
   */
  set({ maxMessages, maxBytes, overflow }: QueueSettings, partitions: number): void {
    const share = (most: number) =>
      most === 0 ? Infinity : Math.max(1, Math.floor(most / partitions));
    this.#fullAt = overflow === "reject" ? share(maxMessages) : Infinity;
    this.#fullAtBytes = overflow === "reject" ? share(maxBytes) : Infinity;
    this.#dropAbove = overflow === "dropOldest" ? share(maxMessages) : Infinity;
    this.#dropAboveBytes = overflow === "dropOldest" ? share(maxBytes) : Infinity;
  }

  /**
   * Tells whether nothing more is taken.
   *
   * @param live Messages that wait or are leased.
   * @param bytes Their bytes, where those are counted.
   * @returns Whether there is as much as there may be.
   */
  isFull(live: number, bytes: number): boolean {
    return live >= this.#fullAt || bytes >= this.#fullAtBytes;
  }

  /**
   * Tells whether something has to go; but never the last message, however large it is.
   *
   * @param live Messages that wait or are leased.
   * @param bytes Their bytes, where those are counted.
   * @returns Whether there is more than there may be.
   */
  isOverfull(live: number, bytes: number): boolean {
    return live > this.#dropAbove || (bytes > this.#dropAboveBytes && live > 1);
  }
}
