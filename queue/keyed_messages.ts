/**
 * The messages of a partition that have a key, where keys take turns.
 *
 * What is known of each is kept by its offset, in a `KeyColumn`; the ready ones of each key are linked in
 * their order, in `KeyChains`; whose turn it is says a `KeyLine`. A capture takes hold of the column and
 * the line; chains and counts follow from these.
 *
 * @module
 */

import { invariant } from "./invariant.ts";
import { NO_KEY } from "./key_hash.ts";
import { KeyChains } from "./key_chains.ts";
import { KeyColumn, KeyedState } from "./key_column.ts";
import type { KeyLimits } from "./key_limits.ts";
import { type KeyBlock, KeyLine, OTHERS } from "./key_line.ts";
import { KeyTable } from "./key_table.ts";
import { KeyedCapture } from "./keyed_capture.ts";
import type { KeyedSnapshot, SnapshotPart } from "./machine_snapshot.ts";
import type { KeyCounts } from "./message_view.ts";
import { NO_SLOT } from "./offset_index.ts";
import { PRIORITY_MAX, type WaitingMessage } from "./waiting_messages.ts";

/** Parts of a snapshot that are about messages with a key. */
export type KeyedPart = Extract<
  SnapshotPart,
  { kind: "keyed" | "keyTurns" | "keyRests" | "keyRates" }
>;

/** Messages with keys. */
export class KeyedMessages {
  /** Filled by `take`: the message. */
  offset = 0;
  /** Filled by `take`: how often it was delivered before. */
  deliveryCount = 0;
  /** Filled by `take`: its priority. */
  priority = 0;

  readonly #column = new KeyColumn();
  readonly #keys = new KeyTable();
  readonly #chains = new KeyChains(this.#keys);
  readonly #line = new KeyLine(this.#keys);
  /** The message that was taken out last: whoever puts it back does not know its key. */
  #outOffset = -1;
  #outHash = NO_KEY;
  /** How many messages are ready, those that wait for others of their key included. */
  get ready(): number {
    return this.#chains.size;
  }

  /** How many messages there are: ready, delayed and leased. */
  get size(): number {
    return this.#column.size;
  }

  /** When the first key has some of its rate again, or `undefined` when none waits for that. */
  get firstDueMs(): number | undefined {
    return this.#line.firstDueMs;
  }

  /** Whether keys are in line, or those without a key. */
  get hasTurns(): boolean {
    return this.#line.hasTurns;
  }

  /**
   * Tells whether a message is ready.
   *
   * @param offset Its offset.
   * @returns Whether it is here, and ready.
   */
  hasReady(offset: number): boolean {
    return this.#column.stateAt(offset) === KeyedState.ready;
  }

  /**
   * Sets what is allowed. What waits is judged by it from now on.
   *
   * @param limits What is.
   */
  limit(limits: KeyLimits): void {
    this.#line.limit(limits);
  }

  /**
   * Adds a new message.
   *
   * @param offset Its offset.
   * @param hash The hash of its key.
   * @param priority From 0 to 9.
   * @param isDelayed Whether it waits for a time first.
   * @param nowMs The time of the log.
   */
  publish(
    offset: number,
    hash: number,
    priority: number,
    isDelayed: boolean,
    nowMs: number,
  ): void {
    this.#keys.nowMs = nowMs;
    if (isDelayed) this.#addDelayed(offset, hash, 0, priority);
    else this.#addReady(offset, hash, 0, priority);
  }

  /**
   * Takes the message out whose turn it is, for a consumer, and leaves what it is in `offset`,
   * `deliveryCount` and `priority`; or says that it is the turn of those without a key.
   *
   * @param others How many messages without a key are ready.
   * @param nowMs The time of the log.
   * @returns Whose turn it is; `undefined` where no message may go.
   */
  take(others: number, nowMs: number): "key" | "others" | undefined {
    this.#keys.nowMs = nowMs;
    const key = this.#line.next(others, nowMs);
    if (key === NO_SLOT) return undefined;
    if (key === OTHERS) return "others";
    this.#takeFirst(key);
    this.#line.use(key, nowMs);
    return "key";
  }

  /**
   * Takes a message out that was ready or delayed, or that a consumer had. It may be put back at once.
   *
   * @param offset Any message.
   * @returns Whether it was here.
   */
  takeOut(offset: number): boolean {
    const state = this.#column.stateAt(offset);
    if (state === KeyedState.none) return false;
    const hash = this.#column.hashAt(offset);
    const keys = this.#keys;
    const key = keys.find(hash);
    if (state === KeyedState.ready) {
      this.#chains.remove(this.#column.linkAt(offset));
      keys.ready[key]!--;
    } else if (state === KeyedState.leased) {
      keys.leased[key]!--;
    } else {
      keys.delayed[key]!--;
      if (this.#column.deliveryCountAt(offset) > 0) keys.returned[key]!--;
    }
    this.#column.remove(offset);
    this.#outOffset = offset;
    this.#outHash = hash;
    this.#line.wake(key);
    keys.tidy(key);
    return true;
  }

  /**
   * Puts a message back that may be delivered, if it is the one that was taken out last.
   *
   * @param offset The message.
   * @param deliveryCount How often it was delivered.
   * @param priority Its priority.
   * @returns Whether it is.
   */
  putBack(offset: number, deliveryCount: number, priority: number): boolean {
    if (offset !== this.#outOffset) return false;
    this.#outOffset = -1;
    this.#addReady(offset, this.#outHash, deliveryCount, priority);
    return true;
  }

  /**
   * Puts a message back that has to wait for a time, if it is the one that was taken out last.
   *
   * @param offset The message.
   * @param deliveryCount How often it was delivered.
   * @param priority Its priority.
   */
  delay(offset: number, deliveryCount: number, priority: number): void {
    if (offset !== this.#outOffset) return;
    this.#outOffset = -1;
    this.#addDelayed(offset, this.#outHash, deliveryCount, priority);
  }

  /**
   * Lets keys go on that have some of their rate again.
   *
   * @param nowMs The time of the log.
   */
  passTime(nowMs: number): void {
    this.#keys.nowMs = nowMs;
    this.#line.passTime(nowMs);
  }

  /**
   * Finds the oldest message that is ready.
   *
   * @param end The offset behind the newest message of the partition.
   * @returns Its offset, or `Infinity`.
   */
  oldest(end: number): number {
    return this.ready === 0 ? Infinity : this.#column.oldest(end);
  }

  /**
   * Looks at a ready message.
   *
   * @param offset The message.
   * @returns What it is.
   */
  view(offset: number): WaitingMessage {
    const deliveryCount = this.#column.deliveryCountAt(offset);
    return { offset, deliveryCount, priority: this.#column.priorityAt(offset), dueMs: undefined };
  }

  /**
   * Tells what key a message has.
   *
   * @param offset Any message.
   * @returns The hash of its key; `NO_KEY` where it is not here.
   */
  hashOf(offset: number): number {
    return this.#column.stateAt(offset) === KeyedState.none ? NO_KEY : this.#column.hashAt(offset);
  }

  /**
   * Tells what holds a message back.
   *
   * @param offset A message.
   * @param nowMs The time of the log.
   * @returns What does; `undefined` where its key may go, and where it is not ready.
   */
  blockOf(offset: number, nowMs: number): KeyBlock | undefined {
    if (!this.hasReady(offset)) return undefined;
    return this.#line.blockOf(this.#keys.find(this.#column.hashAt(offset)), nowMs);
  }

  /**
   * Counts keys and what they hold back. Goes over all keys.
   *
   * @param nowMs The time of the log.
   * @returns The counts.
   */
  counts(nowMs: number): KeyCounts {
    const { ready } = this.#keys;
    let keys = 0;
    let blocked = 0;
    for (const key of this.#keys.slots()) {
      if (ready[key] === 0) continue;
      keys++;
      if (this.#line.blockOf(key, nowMs) !== undefined) blocked += ready[key]!;
    }
    return { keys, blocked };
  }

  /** Takes everything out that no consumer has. */
  clear(): void {
    const leased = [...this.#column].filter((offset) =>
      this.#column.stateAt(offset) === KeyedState.leased
    );
    const messages = this.#column.capture();
    const rates = this.#line.rates(this.#keys.nowMs);
    this.#column.clear();
    this.#keys.clear();
    this.#chains.clear();
    this.#line.clear();
    this.#line.restoreRates(rates);
    for (const offset of leased) {
      this.#addLeased(
        offset,
        messages.hashAt(offset),
        messages.deliveryCountAt(offset),
        messages.priorityAt(offset),
      );
    }
  }

  /**
   * Takes hold of everything as it is now.
   *
   * @param nowMs The time of the log.
   * @returns What is needed to make parts of a snapshot of it, however this goes on.
   */
  capture(nowMs: number): KeyedCapture {
    return new KeyedCapture(
      this.#column.capture(),
      this.#line.capture(),
      this.#line.rates(nowMs),
    );
  }

  /**
   * Takes up what was in a snapshot: the messages first, then the rest.
   *
   * @param part A part of it.
   */
  restore(part: KeyedPart): void {
    switch (part.kind) {
      case "keyed":
        return this.#restoreMessages(part);
      case "keyTurns":
        return this.#line.restoreTurns(part.hash);
      case "keyRests":
        return this.#line.restoreRests(part);
      case "keyRates":
        return this.#line.restoreRates(part);
    }
  }

  /**
   * Checks everything that must hold between two commands.
   *
   * @param isLeased Tells whether a consumer holds a message.
   * @param isDelayed Tells whether one waits for a time.
   */
  checkInvariants(
    isLeased: (offset: number) => boolean,
    isDelayed: (offset: number) => boolean,
  ): void {
    this.#column.checkInvariants();
    this.#keys.checkInvariants();
    const left = new Map<
      number,
      [ready: number, leased: number, delayed: number, returned: number]
    >();
    for (const offset of this.#column) {
      const key = this.#keys.find(this.#column.hashAt(offset));
      invariant(key !== NO_SLOT, "The key of a message is there");
      if (!left.has(key)) left.set(key, [0, 0, 0, 0]);
      const state = this.#column.stateAt(offset);
      left.get(key)![state - 1]!++;
      if (state === KeyedState.delayed && this.#column.deliveryCountAt(offset) > 0) {
        left.get(key)![3]++;
      }
      invariant((state === KeyedState.leased) === isLeased(offset), "Who has it is known");
      invariant((state === KeyedState.delayed) === isDelayed(offset), "What is delayed is known");
    }
    let ready = 0;
    const { ready: readyOf, leased, delayed, returned, hashes } = this.#keys;
    for (const key of this.#keys.slots()) {
      const counts = [readyOf[key]!, leased[key]!, delayed[key]!, returned[key]!];
      invariant(
        counts.every((count, at) => count === (left.get(key)?.[at] ?? 0)),
        "A key counts its messages",
      );
      const chain = this.#chains.check(key);
      invariant(
        chain.length === readyOf[key] &&
          chain.every((offset) =>
            this.hasReady(offset) && this.#column.hashAt(offset) === hashes[key]
          ),
        "The chain of a key has its ready messages",
      );
      ready += chain.length;
    }
    invariant(ready === this.#chains.size, "Chains count their messages");
    this.#line.checkInvariants();
  }

  #restoreMessages({ offset, hash, state, deliveryCount, priority }: KeyedSnapshot): void {
    for (let at = 0; at < offset.length; at++) {
      const words = [offset[at]!, hash[at]!, deliveryCount[at]!, priority[at]!] as const;
      if (state[at] === KeyedState.ready) this.#addReady(...words, false);
      else if (state[at] === KeyedState.leased) this.#addLeased(...words);
      else this.#addDelayed(...words);
    }
  }

  #addReady(
    offset: number,
    hash: number,
    deliveryCount: number,
    priority: number,
    wakes = true,
  ): void {
    const key = this.#keys.at(hash);
    const link = this.#chains.add(key, offset, rankOf(deliveryCount, priority));
    this.#column.add(offset, hash, KeyedState.ready, deliveryCount, priority, link);
    this.#keys.ready[key]!++;
    if (wakes) this.#line.wake(key);
  }

  #addLeased(offset: number, hash: number, deliveryCount: number, priority: number): void {
    this.#column.add(offset, hash, KeyedState.leased, deliveryCount, priority, NO_SLOT);
    // Looked up first: it may move the arrays.
    const key = this.#keys.at(hash);
    this.#keys.leased[key]!++;
  }

  #addDelayed(offset: number, hash: number, deliveryCount: number, priority: number): void {
    this.#column.add(offset, hash, KeyedState.delayed, deliveryCount, priority, NO_SLOT);
    const key = this.#keys.at(hash);
    this.#keys.delayed[key]!++;
    if (deliveryCount > 0) this.#keys.returned[key]!++;
  }

  /** Gives the first message of a key to a consumer. */
  #takeFirst(key: number): void {
    const offset = this.#chains.first(key);
    this.offset = offset;
    this.deliveryCount = this.#column.deliveryCountAt(offset);
    this.priority = this.#column.priorityAt(offset);
    this.#chains.remove(this.#column.linkAt(offset));
    this.#column.lease(offset);
    this.#keys.ready[key]!--;
    this.#keys.leased[key]!++;
  }
}

/** What was delivered before goes first, the oldest first; then what has the highest priority. */
function rankOf(deliveryCount: number, priority: number): number {
  return deliveryCount > 0 ? 0 : 1 + PRIORITY_MAX - priority;
}
