/**
 * The messages of a partition that are in nobody's hands and not simply fresh: those that wait for a
 * time (delayed), and those that are ready again, or ready ahead of others.
 *
 * Ready ones stand in a line for each priority, in the order of their offsets. A message that is taken
 * out of the middle, because it expired or somebody removed it, stays in its heap as a mere number until
 * it comes up there: whether it still waits is known from two sets of one bit a message.
 *
 * @module
 */

import { invariant } from "./invariant.ts";
import { MessageHeap, type RankedMessage } from "./message_heap.ts";
import { OffsetSet } from "./offset_set.ts";

/** So many numbers of messages that no longer wait are put up with in any case. */
const STALE_MIN = 4_096;

/** The highest priority. The lowest, and what a message has that asks for none, is 0. */
export const PRIORITY_MAX = 9;

/** What `next` says when the fresh message is next. */
export const FRESH = -1;

/** Delayed and ready messages. */
export class WaitingMessages {
  /** Filled by `take` and `takeDue`: the message. */
  offset = 0;
  /** Filled by `take` and `takeDue`: how often it was delivered. */
  deliveryCount = 0;
  /** Filled by `take` and `takeDue`: its priority. */
  priority = 0;

  /** How many deliveries in a row have passed over an older message. */
  passedOver = 0;

  readonly #ready = new OffsetSet();
  readonly #delayed = new OffsetSet();
  /** By priority, as far up as there have been any. */
  readonly #lines: MessageHeap[] = [];
  readonly #schedule = new MessageHeap();

  /** How many messages are ready. */
  get ready(): number {
    return this.#ready.size;
  }

  /** How many are delayed. */
  get delayed(): number {
    return this.#delayed.size;
  }

  /** When the first delayed one is due, or `undefined` when there is none. */
  get firstDueMs(): number | undefined {
    return this.#delayed.size === 0 ? undefined : this.#schedule.firstRank;
  }

  /**
   * Tells whether a message waits here.
   *
   * @param offset Its offset.
   * @returns Whether it does.
   */
  has(offset: number): boolean {
    return this.#ready.has(offset) || this.#delayed.has(offset);
  }

  /**
   * Tells whether a message is delayed.
   *
   * @param offset Its offset.
   * @returns Whether it is.
   */
  isDelayed(offset: number): boolean {
    return this.#delayed.has(offset);
  }

  /**
   * Adds a message that may be delivered.
   *
   * @param offset One that is not here.
   * @param deliveryCount How often it was delivered.
   * @param priority From 0 to 9.
   */
  addReady(offset: number, deliveryCount: number, priority: number): void {
    while (this.#lines.length <= priority) this.#lines.push(new MessageHeap());
    this.#lines[priority]!.push(0, offset, wordOf(deliveryCount, priority));
    this.#ready.add(offset);
  }

  /**
   * Adds a message that has to wait.
   *
   * @param dueMs Until when.
   * @param offset One that is not here.
   * @param deliveryCount How often it was delivered.
   * @param priority From 0 to 9.
   */
  addDelayed(dueMs: number, offset: number, deliveryCount: number, priority: number): void {
    this.#schedule.push(dueMs, offset, wordOf(deliveryCount, priority));
    this.#delayed.add(offset);
  }

  /**
   * Takes the delayed message out that is due first, if one is due, and leaves what it is in `offset`,
   * `deliveryCount` and `priority`.
   *
   * @param nowMs The time of the log.
   * @returns Whether there was one.
   */
  takeDue(nowMs: number): boolean {
    const schedule = this.#schedule;
    if (this.#delayed.size === 0 || schedule.firstRank > nowMs) return false;
    this.#takeFirst(schedule, this.#delayed);
    return true;
  }

  /**
   * Decides which message is next: the first of the highest priority, or now and then the oldest one.
   *
   * @param freshOffset The first fresh message, `Infinity` where there is none.
   * @param starvationLimit How many deliveries in a row may pass over an older message; 0 for any.
   * @returns The line to `take` from, or `FRESH`. There is a message.
   */
  next(freshOffset: number, starvationLimit: number): number {
    const lines = this.#lines;
    let top = lines.length - 1;
    while (top >= 0 && lines[top]!.size === 0) top--;
    const bottom = top >= 0 && lines[0]!.size > 0 && lines[0]!.firstOffset < freshOffset
      ? 0
      : FRESH;
    if (top <= 0) {
      this.passedOver = 0;
      return bottom;
    }
    const oldest = this.oldest(freshOffset);
    const isStarved = starvationLimit > 0 && this.passedOver >= starvationLimit;
    const next = isStarved ? oldest : top;
    this.passedOver = next === oldest ? 0 : this.passedOver + 1;
    return next;
  }

  /**
   * Finds the oldest ready message, whatever its priority.
   *
   * @param freshOffset The first fresh message, `Infinity` where there is none.
   * @returns The line to `take` from, or `FRESH`. There is a message.
   */
  oldest(freshOffset: number): number {
    let oldest = FRESH;
    let oldestOffset = freshOffset;
    for (const [line, { size, firstOffset }] of this.#lines.entries()) {
      if (size === 0 || firstOffset > oldestOffset) continue;
      oldest = line;
      oldestOffset = firstOffset;
    }
    return oldest;
  }

  /**
   * Takes the first message of a line out, and leaves what it is in `offset`, `deliveryCount` and
   * `priority`.
   *
   * @param line The line.
   */
  take(line: number): void {
    this.#takeFirst(this.#lines[line]!, this.#ready);
  }

  /**
   * Takes a message out, wherever it is.
   *
   * @param offset One that waits here.
   */
  remove(offset: number): void {
    if (this.#delayed.has(offset)) {
      this.#delayed.delete(offset);
      this.#skipStale(this.#schedule, this.#delayed);
      if (this.#schedule.size > 2 * this.#delayed.size + STALE_MIN) this.#rebuildSchedule();
      return;
    }
    this.#ready.delete(offset);
    let size = 0;
    for (const line of this.#lines) {
      this.#skipStale(line, this.#ready);
      size += line.size;
    }
    if (size > 2 * this.#ready.size + STALE_MIN) this.#rebuildLines();
  }

  /** Takes all of them out. */
  clear(): void {
    this.#ready.clear();
    this.#delayed.clear();
    this.#schedule.clear();
    this.#lines.length = 0;
  }

  /**
   * Takes hold of the messages as they are now.
   *
   * @returns What is needed to list them, however this goes on.
   */
  capture(): WaitingCapture {
    if (this.ready === 0 && this.delayed === 0) return NOTHING_WAITS;
    return new WaitingCapture(
      this.#ready.capture(),
      this.#delayed.capture(),
      this.#lines.map((line) => line.capture()),
      this.#schedule.capture(),
    );
  }

  /**
   * Goes over the messages.
   *
   * @returns All of them, in no order; a rank above 0 is when it is due.
   */
  *[Symbol.iterator](): Generator<WaitingMessage> {
    for (const line of this.#lines) {
      for (const message of line) {
        if (this.#ready.has(message.offset)) yield waiting(message, undefined);
      }
    }
    for (const message of this.#schedule) {
      if (this.#delayed.has(message.offset)) yield waiting(message, message.rank);
    }
  }

  /** Checks that each message is in one heap, and that the first of each heap does wait. */
  checkInvariants(): void {
    this.#ready.checkInvariants();
    this.#delayed.checkInvariants();
    this.#schedule.checkInvariants();
    let ready = 0;
    for (const [priority, line] of this.#lines.entries()) {
      line.checkInvariants();
      invariant(
        line.size === 0 || this.#ready.has(line.firstOffset),
        "The first message of a line is ready",
      );
      for (const { offset, word } of line) {
        invariant(priorityIn(word) === priority, "A message is in the line of its priority");
        if (this.#ready.has(offset)) ready++;
      }
    }
    invariant(ready === this.#ready.size, "Every ready message is in one line");
    invariant(
      this.#schedule.size === 0 || this.#delayed.has(this.#schedule.firstOffset),
      "The message that is due first is delayed",
    );
    let delayed = 0;
    for (const { offset } of this.#schedule) {
      if (!this.#delayed.has(offset)) continue;
      invariant(!this.#ready.has(offset), "A message is ready or delayed");
      delayed++;
    }
    invariant(delayed === this.#delayed.size, "Every delayed message is scheduled once");
  }

  #takeFirst(heap: MessageHeap, live: OffsetSet): void {
    const word = heap.firstWord;
    this.offset = heap.firstOffset;
    this.deliveryCount = deliveryCountIn(word);
    this.priority = priorityIn(word);
    heap.pop();
    live.delete(this.offset);
    this.#skipStale(heap, live);
  }

  #skipStale(heap: MessageHeap, live: OffsetSet): void {
    while (heap.size > 0 && !live.has(heap.firstOffset)) heap.pop();
  }

  #rebuildSchedule(): void {
    const messages = [...this.#schedule];
    this.#schedule.clear();
    for (const { rank, offset, word } of messages) {
      if (this.#delayed.has(offset)) this.#schedule.push(rank, offset, word);
    }
  }

  #rebuildLines(): void {
    for (const line of this.#lines) {
      const messages = [...line];
      line.clear();
      for (const { rank, offset, word } of messages) {
        if (this.#ready.has(offset)) line.push(rank, offset, word);
      }
    }
  }
}

/** A message that waits. */
export interface WaitingMessage {
  readonly offset: number;
  readonly deliveryCount: number;
  readonly priority: number;
  /** When it is due; `undefined` for a ready one. */
  readonly dueMs: number | undefined;
}

/** The waiting messages of a partition as they were at one moment. */
export class WaitingCapture {
  readonly #ready: OffsetSet;
  readonly #delayed: OffsetSet;
  readonly #lines: readonly MessageHeap[];
  readonly #schedule: MessageHeap;

  /**
   * @param ready Which are ready.
   * @param delayed Which are delayed.
   * @param lines The ready ones by priority, and others.
   * @param schedule The delayed ones, and others.
   */
  constructor(
    ready: OffsetSet,
    delayed: OffsetSet,
    lines: readonly MessageHeap[],
    schedule: MessageHeap,
  ) {
    this.#ready = ready;
    this.#delayed = delayed;
    this.#lines = lines;
    this.#schedule = schedule;
  }

  /**
   * Lists the ready messages, once.
   *
   * @returns Them, by priority from 0, then in the order of their offsets.
   */
  *ready(): Generator<WaitingMessage> {
    for (const line of this.#lines) {
      for (const message of inOrder(line, this.#ready)) yield waiting(message, undefined);
    }
  }

  /**
   * Lists the delayed messages, once.
   *
   * @returns Them, in the order in which they are due.
   */
  *delayed(): Generator<WaitingMessage> {
    for (const message of inOrder(this.#schedule, this.#delayed)) {
      yield waiting(message, message.rank);
    }
  }
}

const NOTHING_WAITS = new WaitingCapture(new OffsetSet(), new OffsetSet(), [], new MessageHeap());

function* inOrder(heap: MessageHeap, live: OffsetSet): Generator<RankedMessage> {
  for (; heap.size > 0; heap.pop()) {
    const { firstRank: rank, firstOffset: offset, firstWord: word } = heap;
    if (live.has(offset)) yield { rank, offset, word };
  }
}

function waiting({ offset, word }: RankedMessage, dueMs: number | undefined): WaitingMessage {
  return { offset, deliveryCount: deliveryCountIn(word), priority: priorityIn(word), dueMs };
}

/** Both in a u32: up to 2^28 - 1 deliveries. */
function wordOf(deliveryCount: number, priority: number): number {
  return deliveryCount * 16 + priority;
}

function deliveryCountIn(word: number): number {
  return word >>> 4;
}

function priorityIn(word: number): number {
  return word & 15;
}
