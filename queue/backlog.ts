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
 * - with a key, where keys take turns: what `KeyedMessages` keeps of it, until it is gone;
 * - held back, where the queue is growing: what it was, a fresh one or one with a key that takes turns;
 *   it only is not handed out. Those without a key are ready ones then, ahead of the fresh ones;
 * - gone: nothing. What lies below `freshOffset`, or was passed, and neither waits nor is leased, is gone.
 *
 * @module
 */

import { type BatchCapture, BatchIndex } from "./batch_index.ts";
import type { MessageDetails, PublishDetails } from "./commands.ts";
import { ExpiryIndex } from "./expiry_index.ts";
import { HeldBytes } from "./held_bytes.ts";
import { invariant } from "./invariant.ts";
import { hashKey } from "./key_hash.ts";
import { keyLimits, NO_LIMITS } from "./key_limits.ts";
import type { KeyedCapture } from "./keyed_capture.ts";
import { KeyedMessages, type KeyedPart } from "./keyed_messages.ts";
import type { PartitionPart, SnapshotPart } from "./machine_snapshot.ts";
import { OffsetSet } from "./offset_set.ts";
import type { RangeCapture } from "./range_index.ts";
import type { QueueSettings } from "./settings.ts";
import {
  FRESH,
  PRIORITY_MAX,
  type WaitingCapture,
  type WaitingMessage,
  WaitingMessages,
} from "./waiting_messages.ts";

/** The parts of a snapshot that say where messages are, and what is known about ranges of them. */
export type BacklogSnapshot = Extract<
  SnapshotPart,
  { kind: "batches" | "passed" | "expiries" | "sizes" }
>;

/** What a backlog hands over to a capture. */
export interface BacklogState {
  readonly batches: BatchCapture;
  readonly passed: OffsetSet;
  readonly waiting: WaitingCapture;
  readonly expiries: RangeCapture;
  readonly sizes: RangeCapture;
  /** Absent where no message has a key that matters. */
  readonly keyed: KeyedCapture | undefined;
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
  /** Those with a key, where keys take turns, or did. */
  #keyed: KeyedMessages | undefined;
  /** Whether what is published with a key is one of them. */
  #keysMatter = false;
  /** Whether messages with a key have to wait, all of them. */
  #isHolding = false;

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
    const others = this.#readyOthers;
    return this.#keyed === undefined ? others : others + this.#keyed.ready;
  }

  /** Messages that wait for a time. */
  get delayed(): number {
    return this.#waiting.delayed;
  }

  /** Whether all messages that wait are fresh. */
  get isFreshOnly(): boolean {
    return this.#waiting.ready === 0 && this.#waiting.delayed === 0 &&
      (this.#keyed === undefined || this.#keyed.ready === 0);
  }

  /** The oldest entry of the log that a message of this partition is in, if there is a message. */
  get firstEntryIndex(): number | undefined {
    return this.#batches.firstEntryIndex;
  }

  /** When the first message is due, or expires, or `undefined` when none will. */
  get firstDeadlineMs(): number | undefined {
    const dueMs = this.#waiting.firstDueMs;
    const expiresAtMs = this.#expiries.firstDueMs();
    const rateMs = this.#keyed?.firstDueMs;
    if (rateMs === undefined && expiresAtMs === undefined) return dueMs;
    return Math.min(dueMs ?? Infinity, expiresAtMs ?? Infinity, rateMs ?? Infinity);
  }

  /** Whether keys of what is published mean anything. */
  get keysMatter(): boolean {
    return this.#keysMatter;
  }

  /** What there is to know about keys, where they take turns. */
  get keyed(): KeyedMessages | undefined {
    return this.#keyed;
  }

  /**
   * Takes note of what the settings allow keys. What was published before, when keys meant nothing, has
   * none.
   *
   * @param settings The settings of the queue.
   */
  limitKeys(settings: QueueSettings): void {
    const limits = keyLimits(settings);
    const size = this.#keyed?.size ?? 0;
    if (!this.#keysMatter && size === 0) {
      this.#keyed = limits === undefined ? undefined : new KeyedMessages();
    }
    this.#keysMatter = limits !== undefined;
    this.#keyed?.limit(limits ?? NO_LIMITS);
  }

  /** Whether messages with a key are held back. */
  get isHolding(): boolean {
    return this.#isHolding;
  }

  /** Whether there is a message that `take` would give, as far as keys let it. */
  get hasTurns(): boolean {
    if (this.#isHolding) return this.#waiting.ready > 0;
    return this.ready > 0 && this.#keyed?.hasTurns !== false;
  }

  /**
   * Holds back messages with a key, or lets them go. Those that ask for a delay or a priority go on where
   * keys do not take turns: they have no place in the order of their key.
   *
   * @param isHolding Whether they are held back. What is held back at first was not published yet.
   */
  hold(isHolding: boolean): void {
    this.#isHolding = isHolding;
  }

  /**
   * Tells whether a message is held back.
   *
   * @param offset One that waits here.
   * @returns Whether it is.
   */
  isHeldBack(offset: number): boolean {
    return this.#isHolding && !this.#waiting.has(offset);
  }

  /**
   * Tells whether no message below an offset waits any more, but for those that were published with a
   * delay and have not been delivered yet.
   *
   * @param end The offset.
   * @returns Whether none does.
   */
  isDrainedTo(end: number): boolean {
    if (this.#freshOffset < end) return false;
    if (this.#keyed !== undefined && this.#keyed.oldest(this.#nextOffset) < end) return false;
    for (const { offset, deliveryCount, dueMs } of this.#waiting) {
      if (offset < end && (dueMs === undefined || deliveryCount > 0)) return false;
    }
    return true;
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
   * @param details What they ask for; `undefined` for nothing.
   * @param settings What all messages of the queue get.
   * @param nowMs The time of the log.
   * @param isRepeat Tells whether a message is not to be stored, as one with its unique text is alive.
   */
  consider(
    firstOffset: number,
    details: PublishDetails | undefined,
    settings: QueueSettings,
    nowMs: number,
    isRepeat: (offset: number, unique: string) => boolean,
  ): void {
    for (let offset = firstOffset; offset < this.#nextOffset; offset++) {
      const asked = details?.at(offset - firstOffset) ?? NOTHING;
      const { key, delayMs = 0, atMs = nowMs + delayMs, ttlMs = 0, priority: wanted = 0 } = asked;
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
      const isDelayed = atMs > nowMs;
      const hasKey = this.#keysMatter && key !== undefined;
      if (hasKey) this.#keyed!.publish(offset, hashKey(key), priority, isDelayed, nowMs);
      const goesAhead = !hasKey && (priority > 0 || (this.#isHolding && key === undefined));
      if (isDelayed) this.#waiting.addDelayed(atMs, offset, 0, priority);
      else if (goesAhead) this.#waiting.addReady(offset, 0, priority);
      else if (!hasKey) continue;
      this.#pass(offset);
    }
  }

  /**
   * Takes the next message, and leaves what it is in `offset`, `deliveryCount` and `priority`.
   *
   * @param starvationLimit How many deliveries in a row may pass over an older message; 0 for any.
   * @param nowMs The time of the log.
   * @returns Whether there was one: all that are ready may have to wait for something.
   */
  take(starvationLimit: number, nowMs: number): boolean {
    if (this.#isHolding) {
      if (this.#waiting.ready === 0) return false;
      this.#waiting.take(this.#waiting.next(Infinity, starvationLimit));
      return this.#takenFrom(this.#waiting);
    }
    if (this.#keyed !== undefined) {
      const turn = this.#keyed.take(this.#readyOthers, nowMs);
      if (turn === undefined) return false;
      if (turn === "key") return this.#takenFrom(this.#keyed);
    }
    const waiting = this.#waiting;
    if (waiting.ready > 0) {
      const fresh = this.#freshOffset < this.#nextOffset ? this.#freshOffset : Infinity;
      const line = waiting.next(fresh, starvationLimit);
      if (line !== FRESH) {
        waiting.take(line);
        return this.#takenFrom(waiting);
      }
    } else {
      waiting.passedOver = 0;
    }
    this.offset = this.#freshOffset;
    this.deliveryCount = 0;
    this.priority = 0;
    this.#nextFresh();
    return true;
  }

  /** Takes the oldest message that is ready, whatever its priority, and leaves it in `offset`. */
  takeOldest(): void {
    const fresh = this.#freshOffset < this.#nextOffset ? this.#freshOffset : Infinity;
    const keyed = this.#keyed?.oldest(this.#nextOffset) ?? Infinity;
    const line = this.#waiting.oldest(Math.min(fresh, keyed));
    if (line !== FRESH) {
      this.#waiting.take(line);
      this.offset = this.#waiting.offset;
    } else if (keyed < fresh) {
      this.#keyed!.takeOut(keyed);
      this.offset = keyed;
    } else {
      this.offset = fresh;
      this.#nextFresh();
    }
  }

  /**
   * Notes that a consumer has a message no more.
   *
   * @param offset One that was taken.
   */
  release(offset: number): void {
    this.#keyed?.takeOut(offset);
  }

  /**
   * Takes a message back that may be delivered again.
   *
   * @param offset One that was taken.
   * @param deliveryCount How often it was delivered.
   * @param priority Its priority.
   */
  putBack(offset: number, deliveryCount: number, priority: number): void {
    if (this.#keyed?.putBack(offset, deliveryCount, priority)) return;
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
    this.#keyed?.delay(offset, deliveryCount, priority);
    this.#waiting.addDelayed(dueMs, offset, deliveryCount, priority);
  }

  /**
   * Lets keys go on that have some of their rate again.
   *
   * @param nowMs The time of the log.
   */
  passKeyTime(nowMs: number): void {
    this.#keyed?.passTime(nowMs);
  }

  /**
   * Takes the delayed message out that is due first, if one is due, and leaves what it is in `offset`,
   * `deliveryCount` and `priority`.
   *
   * @param nowMs The time of the log.
   * @returns Whether there was one.
   */
  takeDue(nowMs: number): boolean {
    if (!this.#waiting.takeDue(nowMs)) return false;
    this.#keyed?.takeOut(this.#waiting.offset);
    return this.#takenFrom(this.#waiting);
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
    return this.#waiting.has(offset) || this.#isFresh(offset) ||
      (this.#keyed !== undefined && this.#keyed.hasReady(offset));
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
   * Goes over delayed messages, and others that wait and are not fresh.
   *
   * @returns All of them, in no order.
   */
  waiting(): Iterable<WaitingMessage> {
    return this.#waiting;
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
    for (let offset = start; offset < end && this.#keyed !== undefined; offset++) {
      if (this.#keyed.hasReady(offset)) found.set(offset, this.#keyed.view(offset));
    }
    return found;
  }

  /**
   * Takes a message out, for good.
   *
   * @param offset One that waits here.
   */
  remove(offset: number): void {
    if (this.#isFresh(offset)) return this.#pass(offset);
    this.#keyed?.takeOut(offset);
    if (this.#waiting.has(offset)) this.#waiting.remove(offset);
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
    this.#keyed?.clear();
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
   * @param kept The lowest offset whose place in the log is still needed, at or below `low`.
   */
  dropBelow(low: number, kept: number): void {
    this.#batches.dropBelow(kept, this.#nextOffset);
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
   * @param nowMs The time of the log.
   * @returns What is in other parts of a snapshot, however this goes on.
   */
  capture(nowMs: number): BacklogState {
    const isEmpty = !this.#keysMatter && this.#keyed?.size === 0;
    return {
      keyed: isEmpty ? undefined : this.#keyed?.capture(nowMs),
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
   * Adds what is known about messages, as it was in a snapshot, behind what is there.
   *
   * @param part A part of it.
   */
  restorePart(part: BacklogSnapshot): void {
    switch (part.kind) {
      case "batches":
        return this.#batches.restore(part);
      case "passed":
        return this.#passed.restore(part);
      case "expiries":
        return this.#expiries.restore({ firstOffset: part.firstOffset, value: part.expiresAtMs });
      case "sizes":
        return this.#held.restore({ firstOffset: part.firstOffset, value: part.bytes });
    }
  }

  /**
   * Takes up what was in a snapshot of messages with a key.
   *
   * @param part A part of it.
   */
  restoreKeyed(part: KeyedPart): void {
    this.#keyed ??= new KeyedMessages();
    this.#keyed.restore(part);
  }

  /**
   * Checks what must hold between two commands.
   *
   * @param lowOffset The lowest offset that is alive.
   * @param keptOffset The lowest offset whose place in the log is needed.
   * @param isLeased Tells whether a consumer holds a message.
   */
  checkInvariants(
    lowOffset: number,
    keptOffset: number,
    isLeased: (offset: number) => boolean,
  ): void {
    this.#batches.checkInvariants();
    this.#passed.checkInvariants();
    this.#waiting.checkInvariants();
    this.#expiries.checkInvariants();
    this.#held.checkInvariants(() => this.#liveFrom(lowOffset, isLeased));
    this.#keyed?.checkInvariants(isLeased, (offset) => this.isDelayed(offset));
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
      keptOffset === this.#nextOffset
        ? firstOffset === undefined
        : firstOffset !== undefined && firstOffset <= keptOffset,
      "The batches of messages that are kept are recorded, and none when there is no message",
    );
  }

  *#liveFrom(lowOffset: number, isLeased: (offset: number) => boolean): Generator<number> {
    for (let offset = lowOffset; offset < this.#nextOffset; offset++) {
      if (this.has(offset) || isLeased(offset)) yield offset;
    }
  }

  /** Ready messages that are not among those with a key. */
  get #readyOthers(): number {
    return this.#nextOffset - this.#freshOffset - this.#passed.size + this.#waiting.ready;
  }

  #takenFrom({ offset, deliveryCount, priority }: WaitingMessages | KeyedMessages): true {
    this.offset = offset;
    this.deliveryCount = deliveryCount;
    this.priority = priority;
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

const NOTHING: MessageDetails = {};
const NOTHING_PASSED = new OffsetSet();
