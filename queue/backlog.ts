/**
 * The messages of a partition that nobody holds, and where in the log all its messages are.
 *
 * A message costs what it must:
 *
 * - fresh (published, not delivered, and asking for nothing special): nothing, only the record of its
 *   batch. Fresh ones are handed out in the order of their offsets, from `freshOffset` on;
 * - passed (at or above `freshOffset`, and not fresh, because it was published with a delay or a
 *   priority, or has expired or was removed before its turn): one bit;
 * - delayed, or ready again, or ready ahead of others: a place among the waiting ones;
 * - gone: nothing. What lies below `freshOffset`, or was passed, and neither waits nor is leased, is gone.
 *
 * @module
 */

import { type BatchCapture, BatchIndex } from "./batch_index.ts";
import type { PublishDetails } from "./commands.ts";
import { ExpiryIndex } from "./expiry_index.ts";
import { HeldBytes } from "./held_bytes.ts";
import { invariant } from "./invariant.ts";
import type { BatchRun, OffsetRuns, PartitionPart } from "./machine_snapshot.ts";
import { OffsetSet } from "./offset_set.ts";
import type { NumberRanges, RangeCapture } from "./range_index.ts";
import type { QueueSettings } from "./settings.ts";
import {
  FRESH,
  PRIORITY_MAX,
  type WaitingCapture,
  type WaitingMessage,
  WaitingMessages,
} from "./waiting_messages.ts";

/** What a backlog hands over to a capture. */
export interface BacklogState {
  readonly batches: BatchCapture;
  readonly passed: OffsetSet;
  readonly waiting: WaitingCapture;
  readonly expiries: RangeCapture;
  readonly sizes: RangeCapture;
}

/** The fields of a partition's part of a snapshot that are of its backlog. */
export type BacklogPart = Pick<
  PartitionPart,
  | "nextOffset"
  | "freshOffset"
  | "bytesPublished"
  | "bytesHeld"
  | "passedOver"
  | "expiredToMs"
  | "expiredToOffset"
>;

/** Messages waiting in one partition. */
export class Backlog {
  /** Filled by `take`, `takeOldest` and `takeDue`: the message. */
  offset = 0;
  /** Filled by `take`: how often it was delivered before. */
  deliveryCount = 0;
  /** Filled by `take`: its priority. */
  priority = 0;
  /** Filled by `locate`: the log index of the entry that holds the message. */
  entryIndex = 0;
  /** Filled by `locate`: which message of the entry it is. */
  position = 0;

  readonly #batches = new BatchIndex();
  readonly #passed = new OffsetSet();
  readonly #waiting = new WaitingMessages();
  readonly #expiries = new ExpiryIndex();
  readonly #held = new HeldBytes();
  /** The next message published gets it. */
  #nextOffset = 0;
  /** The lowest fresh offset, or the next one where nothing is fresh. */
  #freshOffset = 0;
  #bytesPublished = 0;

  /** The offset that the next message gets. */
  get nextOffset(): number {
    return this.#nextOffset;
  }

  /** What lies below was delivered, or was never fresh. */
  get freshOffset(): number {
    return this.#freshOffset;
  }

  /** Bytes ever published. */
  get bytesPublished(): number {
    return this.#bytesPublished;
  }

  /** Bytes of the messages that wait or are leased; 0 where there is no limit of them. */
  get bytesHeld(): number {
    return this.#held.bytes;
  }

  /** Messages that could be delivered now. */
  get ready(): number {
    return this.#nextOffset - this.#freshOffset - this.#passed.size + this.#waiting.ready;
  }

  /** Messages that wait for a time. */
  get delayed(): number {
    return this.#waiting.delayed;
  }

  /** Whether all messages that wait are fresh. */
  get isFreshOnly(): boolean {
    return this.#waiting.ready === 0 && this.#waiting.delayed === 0;
  }

  /** The oldest entry of the log that a message of this partition is in, if there is a message. */
  get firstEntryIndex(): number | undefined {
    return this.#batches.firstEntryIndex;
  }

  /** When the first message is due, or expires, or `undefined` when none will. */
  get firstDeadlineMs(): number | undefined {
    const dueMs = this.#waiting.firstDueMs;
    const expiresAtMs = this.#expiries.firstDueMs();
    if (dueMs === undefined) return expiresAtMs;
    return expiresAtMs === undefined ? dueMs : Math.min(dueMs, expiresAtMs);
  }

  /**
   * Adds a batch of messages.
   *
   * @param count How many.
   * @param bytes Their size.
   * @param entryIndex The log index of the entry that holds them.
   * @returns The offset of the first one.
   */
  publish(count: number, bytes: number, entryIndex: number): number {
    const firstOffset = this.#nextOffset;
    this.#batches.append(firstOffset, entryIndex);
    this.#nextOffset += count;
    this.#bytesPublished += bytes;
    this.#held.add(firstOffset, count, bytes);
    return firstOffset;
  }

  /**
   * Notes when the newest messages expire, where they ask for nothing themselves.
   *
   * @param firstOffset The first of them.
   * @param ttlMs How long messages of the queue live, 0 for ever.
   * @param nowMs The time of the log.
   */
  limit(firstOffset: number, ttlMs: number, nowMs: number): void {
    this.#expiries.append(firstOffset, ttlMs > 0 ? nowMs + ttlMs : 0);
  }

  /**
   * Gives the newest messages what they ask for.
   *
   * @param firstOffset The first of them.
   * @param details What they ask for.
   * @param settings What all messages of the queue get.
   * @param nowMs The time of the log.
   * @param isRepeat Tells whether a message is not to be stored, as one with its unique text is alive.
   */
  consider(
    firstOffset: number,
    details: PublishDetails,
    settings: QueueSettings,
    nowMs: number,
    isRepeat: (offset: number, unique: string) => boolean,
  ): void {
    for (let offset = firstOffset; offset < this.#nextOffset; offset++) {
      const asked = details.at(offset - firstOffset);
      const { delayMs = 0, atMs = nowMs + delayMs, ttlMs = 0, priority: wanted = 0 } = asked;
      if (asked.unique !== undefined && isRepeat(offset, asked.unique)) {
        this.#expiries.append(offset, 0);
        this.#pass(offset);
        this.#held.forget(offset);
        continue;
      }
      const priority = Math.min(wanted, PRIORITY_MAX);
      const livesMs = ttlMs > 0 && settings.ttlMs > 0
        ? Math.min(ttlMs, settings.ttlMs)
        : ttlMs || settings.ttlMs;
      this.#expiries.append(offset, livesMs > 0 ? nowMs + livesMs : 0);
      if (atMs > nowMs) this.#waiting.addDelayed(atMs, offset, 0, priority);
      else if (priority > 0) this.#waiting.addReady(offset, 0, priority);
      else continue;
      this.#pass(offset);
    }
  }

  /**
   * Takes the next message, and leaves what it is in `offset`, `deliveryCount` and `priority`.
   *
   * @param starvationLimit How many deliveries in a row may pass over an older message; 0 for any.
   */
  take(starvationLimit: number): void {
    const waiting = this.#waiting;
    if (waiting.ready > 0) {
      const fresh = this.#freshOffset < this.#nextOffset ? this.#freshOffset : Infinity;
      const line = waiting.next(fresh, starvationLimit);
      if (line !== FRESH) {
        waiting.take(line);
        this.#taken();
        return;
      }
    } else {
      waiting.passedOver = 0;
    }
    this.offset = this.#freshOffset;
    this.deliveryCount = 0;
    this.priority = 0;
    this.#nextFresh();
  }

  /** Takes the oldest message that is ready, whatever its priority, and leaves it in `offset`. */
  takeOldest(): void {
    const line = this.#waiting.oldest(
      this.#freshOffset < this.#nextOffset ? this.#freshOffset : Infinity,
    );
    if (line === FRESH) {
      this.offset = this.#freshOffset;
      this.#nextFresh();
    } else {
      this.#waiting.take(line);
      this.#taken();
    }
  }

  /**
   * Takes a message back that may be delivered again.
   *
   * @param offset One that was taken.
   * @param deliveryCount How often it was delivered.
   * @param priority Its priority.
   */
  putBack(offset: number, deliveryCount: number, priority: number): void {
    this.#waiting.addReady(offset, deliveryCount, priority);
  }

  /**
   * Takes a message back that has to wait.
   *
   * @param dueMs Until when.
   * @param offset One that was taken.
   * @param deliveryCount How often it was delivered.
   * @param priority Its priority.
   */
  delay(dueMs: number, offset: number, deliveryCount: number, priority: number): void {
    this.#waiting.addDelayed(dueMs, offset, deliveryCount, priority);
  }

  /**
   * Takes the delayed message out that is due first, if one is due, and leaves what it is in `offset`,
   * `deliveryCount` and `priority`.
   *
   * @param nowMs The time of the log.
   * @returns Whether there was one.
   */
  takeDue(nowMs: number): boolean {
    return this.#waiting.takeDue(nowMs) && this.#taken();
  }

  /**
   * Tells whether the time of a message is over.
   *
   * @param offset A live message.
   * @param nowMs The time of the log.
   * @returns Whether it has expired.
   */
  isExpired(offset: number, nowMs: number): boolean {
    return this.#expiries.at(offset) <= nowMs;
  }

  /**
   * Finds the messages of the next range whose time is over, apart from those that consumers hold.
   *
   * @param nowMs The time of the log.
   * @returns The offsets of messages that wait here, or `undefined` when there is no such range.
   */
  expired(nowMs: number): number[] | undefined {
    const range = this.#expiries.due(nowMs, this.#nextOffset);
    if (range === undefined) return undefined;
    const expired: number[] = [];
    for (let offset = range.start; offset < range.end; offset++) {
      if (this.has(offset)) expired.push(offset);
    }
    return expired;
  }

  /**
   * Tells whether a message waits here: fresh, ready or delayed.
   *
   * @param offset The offset of a message that was published.
   * @returns Whether it does.
   */
  has(offset: number): boolean {
    return this.#waiting.has(offset) || this.#isFresh(offset);
  }

  /**
   * Tells whether a message waits for a time.
   *
   * @param offset Its offset.
   * @returns Whether it does.
   */
  isDelayed(offset: number): boolean {
    return this.#waiting.isDelayed(offset);
  }

  /**
   * Lists messages that wait and are not fresh. Goes over all of them.
   *
   * @param start The lowest offset.
   * @param end The offset behind the highest.
   * @returns The messages, by offset.
   */
  waitingBetween(start: number, end: number): Map<number, WaitingMessage> {
    const found = new Map<number, WaitingMessage>();
    for (const message of this.#waiting) {
      if (message.offset >= start && message.offset < end) found.set(message.offset, message);
    }
    return found;
  }

  /**
   * Takes a message out, for good.
   *
   * @param offset One that waits here.
   */
  remove(offset: number): void {
    if (this.#isFresh(offset)) this.#pass(offset);
    else this.#waiting.remove(offset);
  }

  /**
   * Takes out everything that waits.
   *
   * @returns How many messages that were.
   */
  clear(): number {
    const count = this.ready + this.delayed;
    this.#waiting.clear();
    this.#passed.clear();
    this.#freshOffset = this.#nextOffset;
    return count;
  }

  /**
   * Counts the bytes of messages that wait or are leased, or does not.
   *
   * @param isWanted Whether it does.
   * @param lowOffset The lowest offset that is alive.
   * @param live How many messages are alive.
   */
  countBytes(isWanted: boolean, lowOffset: number, live: number): void {
    const [nextOffset, bytesPublished] = [this.#nextOffset, this.#bytesPublished];
    if (isWanted) this.#held.begin({ lowOffset, nextOffset, live, bytesPublished });
    else this.#held.end();
  }

  /**
   * Notes that a message is gone, which neither waits any more nor is leased.
   *
   * @param offset The message.
   */
  forget(offset: number): void {
    this.#held.forget(offset);
  }

  /**
   * Notes which messages are left when nothing waits any more.
   *
   * @param leased The offsets of those that consumers hold.
   */
  forgetAllBut(leased: Iterable<number>): void {
    this.#held.keep(leased);
  }

  /**
   * Finds a live message in the log and leaves the answer in `entryIndex` and `position`.
   *
   * @param offset Its offset.
   */
  locate(offset: number): void {
    this.#batches.locate(offset);
    this.entryIndex = this.#batches.entryIndex;
    this.position = this.#batches.position;
  }

  /**
   * Forgets what is known about messages below an offset.
   *
   * @param low The lowest offset that is still alive.
   */
  dropBelow(low: number): void {
    this.#batches.dropBelow(low, this.#nextOffset);
    this.#expiries.dropBelow(low, this.#nextOffset);
    this.#held.dropBelow(low, this.#nextOffset);
  }

  /** What is of it in the partition's own part of a snapshot. */
  get part(): BacklogPart {
    const { expiresAtMs, offset } = this.#expiries.passed;
    const { passedOver } = this.#waiting;
    const { bytes: bytesHeld } = this.#held;
    return {
      nextOffset: this.#nextOffset,
      freshOffset: this.#freshOffset,
      bytesPublished: this.#bytesPublished,
      ...(bytesHeld === 0 ? {} : { bytesHeld }),
      ...(passedOver === 0 ? {} : { passedOver }),
      ...(expiresAtMs === 0 ? {} : { expiredToMs: expiresAtMs, expiredToOffset: offset }),
    };
  }

  /**
   * Takes hold of the messages as they are now.
   *
   * @returns What is in other parts of a snapshot, however this goes on.
   */
  capture(): BacklogState {
    return {
      batches: this.#batches.capture(),
      passed: this.#passed.size === 0 ? NOTHING_PASSED : this.#passed.capture(),
      waiting: this.#waiting.capture(),
      expiries: this.#expiries.capture(),
      sizes: this.#held.capture(),
    };
  }

  /**
   * Takes up what the partition's part of a snapshot says, before anything else.
   *
   * @param part The part.
   */
  restore(part: BacklogPart): void {
    this.#nextOffset = part.nextOffset;
    this.#freshOffset = part.freshOffset;
    this.#bytesPublished = part.bytesPublished;
    this.#held.restoreBytes(part.bytesHeld ?? 0);
    this.#waiting.passedOver = part.passedOver ?? 0;
    this.#expiries.restorePassed(part.expiredToMs ?? 0, part.expiredToOffset ?? 0);
  }

  /**
   * Adds batch records as they were in a snapshot, behind those that are there.
   *
   * @param run The records.
   */
  restoreBatches(run: BatchRun): void {
    this.#batches.restore(run);
  }

  /**
   * Adds passed offsets as they were in a snapshot.
   *
   * @param runs The offsets.
   */
  restorePassed(runs: OffsetRuns): void {
    this.#passed.restore(runs);
  }

  /**
   * Adds what is known about when messages expire, as it was in a snapshot.
   *
   * @param ranges The records, behind those that are there.
   */
  restoreExpiries(ranges: NumberRanges): void {
    this.#expiries.restore(ranges);
  }

  /**
   * Adds the sizes of messages as they were in a snapshot.
   *
   * @param ranges The records, behind those that are there.
   */
  restoreSizes(ranges: NumberRanges): void {
    this.#held.restore(ranges);
  }

  /**
   * Checks what must hold between two commands.
   *
   * @param lowOffset The lowest offset that is alive.
   * @param isLeased Tells whether a consumer holds a message.
   */
  checkInvariants(lowOffset: number, isLeased: (offset: number) => boolean): void {
    this.#batches.checkInvariants();
    this.#passed.checkInvariants();
    this.#waiting.checkInvariants();
    this.#expiries.checkInvariants();
    this.#held.checkInvariants(() => this.#liveFrom(lowOffset, isLeased));
    invariant(
      lowOffset <= this.#freshOffset && this.#freshOffset <= this.#nextOffset,
      "Offsets that are gone, that were delivered and that are fresh follow each other",
    );
    invariant(!this.#passed.has(this.#freshOffset), "The first fresh message was not passed");
    for (const offset of this.#passed) {
      invariant(
        offset > this.#freshOffset && offset < this.#nextOffset,
        "Only messages behind the first fresh one are noted as passed",
      );
    }
    for (const { offset } of this.#waiting) {
      invariant(!isLeased(offset), "A message that waits is with no consumer");
      invariant(!this.#isFresh(offset), "A message that waits is not fresh");
      invariant(offset >= lowOffset, "A message that waits is alive");
    }
    const { firstOffset } = this.#batches;
    invariant(
      lowOffset === this.#nextOffset
        ? firstOffset === undefined
        : firstOffset !== undefined && firstOffset <= lowOffset,
      "The batches of live messages are recorded, and none when there is no message",
    );
  }

  *#liveFrom(lowOffset: number, isLeased: (offset: number) => boolean): Generator<number> {
    for (let offset = lowOffset; offset < this.#nextOffset; offset++) {
      if (this.has(offset) || isLeased(offset)) yield offset;
    }
  }

  #taken(): true {
    this.offset = this.#waiting.offset;
    this.deliveryCount = this.#waiting.deliveryCount;
    this.priority = this.#waiting.priority;
    return true;
  }

  #isFresh(offset: number): boolean {
    return offset >= this.#freshOffset && offset < this.#nextOffset && !this.#passed.has(offset);
  }

  /** Notes that a fresh message is no longer fresh. */
  #pass(offset: number): void {
    if (offset === this.#freshOffset) this.#nextFresh();
    else this.#passed.add(offset);
  }

  #nextFresh(): void {
    this.#freshOffset++;
    while (this.#passed.size > 0 && this.#passed.has(this.#freshOffset)) {
      this.#passed.delete(this.#freshOffset++);
    }
  }
}

const NOTHING_PASSED = new OffsetSet();
