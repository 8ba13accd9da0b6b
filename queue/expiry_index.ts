/**
 * When the messages of a partition expire: a small record for each range of neighbours that expire at
 * the same time, none for each message (`range_index.ts`).
 *
 * A message that comes back from a consumer late still finds its time. When the time of a range comes, is
 * the business of a heap; ranges that have had their turn are told from those that have not by time and
 * offset alone, in which the heap goes forward only.
 *
 * @module
 */

import { invariant } from "./invariant.ts";
import { MessageHeap } from "./message_heap.ts";
import {
  type NumberRange,
  type NumberRanges,
  type RangeCapture,
  RangeIndex,
} from "./range_index.ts";

/** The longest a range gets, so that its turn is short. */
const RANGE_MAX = 4_096;

/** The ranges of one partition, in the order of their offsets. */
export class ExpiryIndex {
  /** 0 for messages that do not expire. */
  readonly #ranges = new RangeIndex();
  readonly #heap = new MessageHeap();
  /** The range that had its turn last: its time, and where it begins. */
  #passedMs = 0;
  #passedOffset = 0;

  /** How many ranges there are. */
  get size(): number {
    return this.#ranges.size;
  }

  /** The range that had its turn last. */
  get passed(): { readonly expiresAtMs: number; readonly offset: number } {
    return { expiresAtMs: this.#passedMs, offset: this.#passedOffset };
  }

  /**
   * Records when messages expire, behind all others.
   *
   * @param firstOffset The first of them.
   * @param expiresAtMs When, or 0 for never.
   */
  append(firstOffset: number, expiresAtMs: number): void {
    const ranges = this.#ranges;
    const isLikeNewest = (ranges.newest ?? 0) === expiresAtMs;
    if (isLikeNewest && (expiresAtMs === 0 || firstOffset - ranges.newestOffset < RANGE_MAX)) {
      return;
    }
    ranges.append(firstOffset, expiresAtMs);
    if (expiresAtMs > 0) this.#heap.push(expiresAtMs, firstOffset, 0);
  }

  /**
   * Tells when a message expires.
   *
   * @param offset A live message.
   * @returns When, or `Infinity` for never.
   */
  at(offset: number): number {
    return this.#ranges.at(offset) || Infinity;
  }

  /**
   * Tells when the first range has its turn.
   *
   * @returns Milliseconds, or `undefined` when none will.
   */
  firstDueMs(): number | undefined {
    const heap = this.#heap;
    // What lies below the lowest live message has no record any more.
    while (heap.size > 0 && heap.firstOffset < this.#ranges.firstOffset) heap.pop();
    return heap.size === 0 ? undefined : heap.firstRank;
  }

  /**
   * Finds the next range whose time has come. It has had its turn then.
   *
   * @param nowMs The time of the log.
   * @param end The offset behind the newest message.
   * @returns The range, or `undefined` when there is none.
   */
  due(nowMs: number, end: number): NumberRange | undefined {
    const dueMs = this.firstDueMs();
    if (dueMs === undefined || dueMs > nowMs) return undefined;
    const start = this.#heap.firstOffset;
    this.#heap.pop();
    this.#passedMs = dueMs;
    this.#passedOffset = start;
    const range = this.#ranges.rangeOf(start, end);
    invariant(range.start === start, "A range in the heap has a record");
    return range;
  }

  /**
   * Forgets the ranges all of whose messages lie below an offset.
   *
   * @param low The lowest offset that is still alive.
   * @param end The offset behind the newest message.
   */
  dropBelow(low: number, end: number): void {
    this.#ranges.dropBelow(low, end);
    if (this.#ranges.size === 0) this.#heap.clear();
  }

  /**
   * Takes hold of the records as they are now.
   *
   * @returns The records, however the index goes on.
   */
  capture(): RangeCapture {
    return this.#ranges.capture();
  }

  /**
   * Takes up from where the index of a snapshot was, before its records come.
   *
   * @param expiresAtMs The time of the range that had its turn last.
   * @param offset Where that begins.
   */
  restorePassed(expiresAtMs: number, offset: number): void {
    this.#passedMs = expiresAtMs;
    this.#passedOffset = offset;
  }

  /**
   * Adds records as they were in a snapshot, behind those that are there.
   *
   * @param ranges What a capture gave.
   */
  restore(ranges: NumberRanges): void {
    this.#ranges.restore(ranges);
    for (const [at, offset] of ranges.firstOffset.entries()) {
      const dueMs = ranges.value[at]!;
      if (this.#isToCome(offset, dueMs)) this.#heap.push(dueMs, offset, 0);
    }
  }

  /** Checks the order of the records, and that the heap knows those that have not had their turn. */
  checkInvariants(): void {
    this.#heap.checkInvariants();
    this.#ranges.checkInvariants();
    let waiting = 0;
    for (const [offset, dueMs] of this.#ranges) if (this.#isToCome(offset, dueMs)) waiting++;
    for (const { offset } of this.#heap) if (offset >= this.#ranges.firstOffset) waiting--;
    invariant(waiting === 0, "The ranges that wait for their turn are in the heap");
  }

  /** Whether the range that begins there has yet to have its turn. */
  #isToCome(offset: number, expiresAtMs: number): boolean {
    return expiresAtMs > this.#passedMs ||
      (expiresAtMs > 0 && expiresAtMs === this.#passedMs && offset > this.#passedOffset);
  }
}
