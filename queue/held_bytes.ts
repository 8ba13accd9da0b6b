/**
 * How many bytes the messages of a partition have that wait or are leased: counted for queues that have a
 * limit of bytes, and for no others.
 *
 * The messages of a batch count alike, for their share of it, rounded up: so a number for each range of
 * neighbours is enough. Those that were there before the counting began count for the average of all that
 * were published until then.
 *
 * @module
 */

import { invariant } from "./invariant.ts";
import { type NumberRanges, type RangeCapture, RangeIndex } from "./range_index.ts";

/** What counting begins with. */
export interface HeldMessages {
  /** The lowest offset that is alive, and the next one that will be given. */
  readonly lowOffset: number;
  readonly nextOffset: number;
  /** How many messages are alive. */
  readonly live: number;
  /** Bytes ever published. */
  readonly bytesPublished: number;
}

/** The bytes of one partition. */
export class HeldBytes {
  readonly #sizes = new RangeIndex();
  #isCounting = false;
  #bytes = 0;

  /** Bytes of all messages that are alive; 0 while nobody counts. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Begins to count, unless it has begun.
   *
   * @param messages What there is already.
   */
  begin({ lowOffset, nextOffset, live, bytesPublished }: HeldMessages): void {
    if (this.#isCounting) return;
    this.#isCounting = true;
    if (live === 0) return;
    const each = Math.ceil(bytesPublished / nextOffset);
    this.#sizes.append(lowOffset, each);
    this.#bytes = live * each;
  }

  /** Counts no longer. */
  end(): void {
    this.#isCounting = false;
    this.#sizes.clear();
    this.#bytes = 0;
  }

  /**
   * Counts messages that are new.
   *
   * @param firstOffset The first of them.
   * @param count How many.
   * @param bytes Their size.
   */
  add(firstOffset: number, count: number, bytes: number): void {
    if (!this.#isCounting) return;
    const each = Math.ceil(bytes / count);
    if (this.#sizes.newest !== each) this.#sizes.append(firstOffset, each);
    this.#bytes += count * each;
  }

  /**
   * Counts a message no longer, which was alive until now.
   *
   * @param offset The message.
   */
  forget(offset: number): void {
    if (this.#isCounting) this.#bytes -= this.#sizes.at(offset)!;
  }

  /**
   * Counts only some messages.
   *
   * @param offsets Those that are alive.
   */
  keep(offsets: Iterable<number>): void {
    if (!this.#isCounting) return;
    this.#bytes = 0;
    for (const offset of offsets) this.#bytes += this.#sizes.at(offset)!;
  }

  /**
   * Forgets what is known about messages below an offset.
   *
   * @param low The lowest offset that is still alive.
   * @param end The offset behind the newest message.
   */
  dropBelow(low: number, end: number): void {
    this.#sizes.dropBelow(low, end);
  }

  /**
   * Takes hold of the sizes as they are now.
   *
   * @returns The sizes, however this goes on.
   */
  capture(): RangeCapture {
    return this.#sizes.capture();
  }

  /**
   * Takes up what a snapshot says, before the sizes come.
   *
   * @param bytes Bytes of all messages that are alive.
   */
  restoreBytes(bytes: number): void {
    this.#bytes = bytes;
  }

  /**
   * Adds sizes as they were in a snapshot, behind those that are there.
   *
   * @param ranges What a capture gave.
   */
  restore(ranges: NumberRanges): void {
    this.#sizes.restore(ranges);
  }

  /**
   * Checks the sizes.
   *
   * @param live The offsets of all messages that are alive.
   */
  checkInvariants(live: () => Iterable<number>): void {
    this.#sizes.checkInvariants();
    if (!this.#isCounting) {
      invariant(this.#sizes.size === 0 && this.#bytes === 0, "Nothing is counted without a limit");
      return;
    }
    let bytes = 0;
    for (const offset of live()) bytes += this.#sizes.at(offset) ?? NaN;
    invariant(bytes === this.#bytes, "The bytes are those of the messages that are alive");
  }
}
