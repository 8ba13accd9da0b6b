/**
 * One partition: messages in the order of their offsets, and the consumers that share them.
 *
 * A message waits in the backlog, is with a consumer, or is gone: acked, dead, expired, dropped or
 * purged. What is gone costs nothing, and below `lowOffset`, the lowest offset that is not gone, nothing
 * is known any more.
 *
 * @module
 */

import { Backlog } from "./backlog.ts";
import {
  type PartitionIdentity,
  type PartitionStats,
  type PublishDetails,
  type Repeat,
  type SettleCommand,
  SettleOperation,
  SettleStatus,
} from "./commands.ts";
import type { Consumer } from "./consumer.ts";
import type { EffectBuffer } from "./effects.ts";
import { HappeningKind } from "./happenings.ts";
import { History, type HistoryShard, NO_SHARD } from "./history.ts";
import { invariant } from "./invariant.ts";
import { LeaseTable } from "./lease_table.ts";
import type { PartitionPart } from "./machine_snapshot.ts";
import { NO_SLOT } from "./offset_index.ts";
import { type Failure, type Graveyard, Outcomes } from "./outcomes.ts";
import type { PartitionState } from "./partition_capture.ts";
import { PartitionConsumers } from "./partition_consumers.ts";
import { PartitionLimits } from "./partition_limits.ts";
import { PartitionRestorer, type RestoredSessions } from "./partition_restorer.ts";
import { PartitionView } from "./partition_view.ts";
import { queueSettings } from "./settings.ts";
import { UniqueTable } from "./unique_table.ts";

/** What of a partition changes with its queue. */
export type QueueState = Pick<
  PartitionIdentity,
  "settings" | "paused" | "revision" | "growingFrom"
>;

/** What a consumer says about deliveries. */
export type SettleWords = Pick<
  SettleCommand,
  "operation" | "offsets" | "deliveryCounts" | "delayMs" | "reason"
>;

/** The state of one partition and everything that may happen to it. */
export class Partition {
  #identity: PartitionIdentity;
  /** Something may have become ready, or somebody to take it: it waits for `dispatch`. */
  touched = false;
  /** Filled by `publish`: the messages that were not stored. */
  repeats: Repeat[] | undefined;
  /** When it is looked at for what time brings; belongs to `DeadlineWatch`. */
  watchedMs = Infinity;

  readonly #consumers = new PartitionConsumers();
  readonly #backlog = new Backlog();
  readonly #leases = new LeaseTable();
  readonly #outcomes: Outcomes;
  /** Where the settings ask for one, or messages of it are still being brought back. */
  #history: History | undefined;
  readonly #shard: HistoryShard;
  /** The lowest offset that is not gone. Follows from the rest. */
  #lowOffset = 0;
  #redelivered = 0;
  #delivered = 0;
  /** Made for the first message that is unique by something. */
  #uniques: UniqueTable | undefined;
  readonly #limits = new PartitionLimits();
  /** While its queue grows, where it is one of those that are to be drained: up to here. */
  #drainTo: number | undefined;

  /**
   * Makes an empty partition.
   *
   * @param identity What it is.
   * @param graveyard Where its messages go that die.
   * @param shard Its shard, as far as its history needs it.
   */
  constructor(identity: PartitionIdentity, graveyard: Graveyard, shard: HistoryShard = NO_SHARD) {
    this.#identity = identity;
    this.#shard = shard;
    this.#outcomes = new Outcomes(this, this.#backlog, this.#leases, graveyard);
    this.#backlog.hold(isNewcomer(identity));
    this.#limit();
    this.#remember();
  }

  /** What it is. */
  get identity(): PartitionIdentity {
    return this.#identity;
  }

  /** The consumers, in the order in which they first attached. */
  get consumers(): ReadonlySet<Consumer> {
    return this.#consumers.all;
  }

  /** What happened to its messages, where that is remembered. */
  get history(): History | undefined {
    return this.#history;
  }

  /** The offset that the next message gets. */
  get nextOffset(): number {
    return this.#backlog.nextOffset;
  }

  /** Messages that could be delivered now. */
  get ready(): number {
    return this.#backlog.ready;
  }

  /** Messages that wait or are leased. */
  get #live(): number {
    return this.#backlog.ready + this.#backlog.delayed + this.#leases.size;
  }

  /** There are as many messages as there may be, or as many bytes. */
  get isFull(): boolean {
    return this.#limits.isFull(this.#live, this.#backlog.bytesHeld);
  }

  /** Whether messages with a key have to wait, as older ones of their key may be in other partitions. */
  get isHolding(): boolean {
    return this.#backlog.isHolding;
  }

  /** Whether it is to tell when all that it had is gone, as others wait for that. */
  get isToDrain(): boolean {
    return this.#drainTo !== undefined;
  }

  /**
   * Whether all is gone that it had when its queue began to get more partitions. What was published with a
   * delay has no place in the order of its key; but as long as a message that is unique by something is
   * alive, it is to be found where it is.
   */
  get isDrained(): boolean {
    const end = this.#drainTo;
    if (end === undefined) return false;
    if (this.#lowOffset >= end) return true;
    for (const offset of this.#leasedOffsets()) if (offset < end) return false;
    if (!this.#backlog.isDrainedTo(end)) return false;
    return this.#uniques?.some(({ offset }) => offset < end && this.#isAlive(offset)) !== true;
  }

  /** The oldest entry of the log that a message of this partition is in, if there is a message. */
  get firstEntryIndex(): number | undefined {
    return this.#backlog.firstEntryIndex;
  }

  /**
   * When time brings something: a lease ends, a message is due or expires, something may be forgotten;
   * `undefined` for never.
   */
  get firstDeadlineMs(): number | undefined {
    const first = Math.min(
      this.#leases.firstDeadlineMs ?? Infinity,
      this.#backlog.firstDeadlineMs ?? Infinity,
      this.#history?.firstDeadlineMs ?? Infinity,
    );
    return first === Infinity ? undefined : first;
  }

  /**
   * Adds a batch of messages, and drops the oldest ones where there are too many then.
   *
   * @param count How many.
   * @param bytes Their size.
   * @param entryIndex The log index of the entry that holds them.
   * @param term The term of that entry.
   * @param details What they ask for; `undefined` for nothing.
   * @param nowMs The time of the log.
   * @param sessionId Whose client publishes them, 0 for nobody's.
   * @returns The offset of the first one; `repeats` has those that are not stored.
   */
  publish(
    count: number,
    bytes: number,
    entryIndex: number,
    term: number,
    details: PublishDetails | undefined,
    nowMs: number,
    sessionId = 0,
  ): number {
    const { settings } = this.#identity;
    const firstOffset = this.#backlog.publish(count, bytes, entryIndex);
    this.repeats = undefined;
    const { keysMatter, isHolding } = this.#backlog;
    if (isHolding || (details !== undefined && (details.hasOptions || keysMatter))) {
      const isRepeat = (offset: number, unique: string) =>
        this.#isRepeat(firstOffset, offset, unique, term);
      this.#backlog.consider(firstOffset, details, settings, nowMs, isRepeat);
    } else this.#backlog.limit(firstOffset, settings.ttlMs, nowMs);
    this.#history?.noteAll(HappeningKind.published, firstOffset, count, sessionId);
    if (this.#isOverfull) this.#dropOldest();
    return firstOffset;
  }

  /**
   * Takes note of what its queue is like now. Where leases last another time, those that run get all of
   * it, so that they still end in the order in which they were given.
   *
   * @param state What may change of its identity.
   * @param nowMs The time of the log.
   */
  update(state: QueueState, nowMs: number): void {
    const { growingFrom: before, ...identity } = this.#identity;
    this.#identity = { ...identity, ...state };
    const { number, growingFrom } = this.#identity;
    if (growingFrom !== before) {
      const isOld = growingFrom !== undefined && number < growingFrom;
      this.#drainTo = isOld ? this.nextOffset : undefined;
      this.#backlog.hold(isNewcomer(this.#identity));
    }
    for (const consumer of this.consumers) this.setLease(consumer, consumer.leaseMs, nowMs);
    this.#limit();
    this.#remember();
    if (this.#isOverfull) this.#dropOldest();
  }

  /**
   * Removes every message that nobody holds.
   *
   * @returns How many.
   */
  purge(): number {
    const low = this.#lowOffset;
    const count = this.#backlog.clear();
    this.#backlog.forgetAllBut(this.#leasedOffsets());
    this.#outcomes.purged += count;
    if (count > 0) this.#history?.noteAll(HappeningKind.purged, low, this.nextOffset - low);
    this.#dropGone();
    return count;
  }

  /**
   * Adds a consumer.
   *
   * @param consumer One of this partition that is new.
   * @param nowMs The time of the log.
   */
  attach(consumer: Consumer, nowMs: number): void {
    this.#consumers.add(consumer);
    this.setLease(consumer, consumer.leaseMs, nowMs);
    this.refresh(consumer);
  }

  /**
   * Sets how long a consumer holds a message. What it holds already is renewed, if that is a change.
   *
   * @param consumer One that is attached.
   * @param leaseMs How long; 0 for what the queue says.
   * @param nowMs The time of the log.
   */
  setLease(consumer: Consumer, leaseMs: number, nowMs: number): void {
    consumer.leaseMs = leaseMs;
    this.#leases.setDuration(consumer, leaseMs || this.#identity.settings.leaseMs, nowMs);
  }

  /**
   * Ends a consumer: what it holds is ready again, at once after an orderly end.
   *
   * @param consumer One that is attached.
   * @param failure Why it ended, where that was not orderly.
   * @param nowMs The time of the log.
   */
  detach(consumer: Consumer, failure: Failure | undefined, nowMs: number): void {
    this.#consumers.remove(consumer);
    const what = failure === undefined ? HappeningKind.returned : HappeningKind[failure];
    for (const slot of this.#leases.slotsOf(consumer)) {
      this.#noteLease(what, slot, consumer);
      if (failure === undefined) this.#outcomes.return(slot, nowMs);
      // It counts as a failure, but the message need not wait: it was the consumer that went.
      else this.#outcomes.fail(slot, failure, 0, nowMs);
    }
    this.#leases.forget(consumer);
    this.#dropGone();
  }

  /**
   * Puts a consumer into the ring, or out of it, after its credit has changed.
   *
   * @param consumer One that is attached.
   */
  refresh(consumer: Consumer): void {
    this.#consumers.refresh(consumer);
  }

  /**
   * Notes whether a consumer wants to hear that nothing is ready.
   *
   * @param consumer One of this partition.
   * @param draining Whether it does.
   */
  setDraining(consumer: Consumer, draining: boolean): void {
    this.#consumers.setDraining(consumer, draining);
  }

  /**
   * Acks, returns, extends or rejects deliveries, one after the other: a second word about the same
   * delivery finds what the first one left.
   *
   * @param consumer Who says so; `undefined` for one that is not attached, which holds nothing.
   * @param words What it says.
   * @param nowMs The time of the log.
   * @returns A status for each offset.
   */
  settle(consumer: Consumer | undefined, words: SettleWords, nowMs: number): Uint8Array {
    const { operation, offsets, deliveryCounts, delayMs, reason } = words;
    const leases = this.#leases;
    const statuses = new Uint8Array(offsets.length);
    for (let at = 0; at < offsets.length; at++) {
      const offset = offsets[at]!;
      const slot = this.#find(offset);
      if (slot === NO_SLOT) {
        statuses[at] = this.#isGone(offset) ? SettleStatus.ok : SettleStatus.leaseLost;
      } else if (
        consumer === undefined || leases.holderAt(slot) !== consumer ||
        leases.deliveryCountAt(slot) !== deliveryCounts[at]
      ) {
        statuses[at] = SettleStatus.leaseLost;
      } else if (operation === SettleOperation.ack) {
        this.#noteLease(HappeningKind.acked, slot, consumer);
        leases.release(slot);
        this.#backlog.release(offset);
        this.#backlog.forget(offset);
      } else if (operation === SettleOperation.extend) {
        leases.extend(slot, nowMs);
      } else if (operation === SettleOperation.nack) {
        this.#noteLease(HappeningKind.nacked, slot, consumer, reason);
        this.#outcomes.fail(slot, reason, delayMs, nowMs);
      } else {
        this.#noteLease(HappeningKind.rejected, slot, consumer, reason);
        this.#outcomes.reject(slot, reason, nowMs);
      }
    }
    if (consumer !== undefined) this.refresh(consumer);
    if (operation !== SettleOperation.extend) this.#dropGone();
    return statuses;
  }

  /**
   * Tells whether a delivery is the current one.
   *
   * @param consumer Who says that it holds the message.
   * @param offset The message.
   * @param deliveryCount The delivery that is meant.
   * @returns Whether it does.
   */
  isHeld(consumer: Consumer, offset: number, deliveryCount: number): boolean {
    const slot = this.#find(offset);
    return slot !== NO_SLOT && this.#leases.holderAt(slot) === consumer &&
      this.#leases.deliveryCountAt(slot) === deliveryCount;
  }

  /**
   * Carries out what time brings: leases end, messages are due, messages expire.
   *
   * @param nowMs The time of the log.
   * @param countMax How many messages may be due, or expire, about; what is left stays due.
   * @returns How many did.
   */
  passTime(nowMs: number, countMax: number): number {
    for (;;) {
      const slot = this.#leases.first;
      if (slot === NO_SLOT || this.#leases.firstDeadlineMs! > nowMs) break;
      const consumer = this.#leases.holderAt(slot);
      this.#noteLease(HappeningKind.leaseExpired, slot, consumer);
      this.#outcomes.fail(slot, "leaseExpired", undefined, nowMs);
      this.refresh(consumer);
    }
    let count = 0;
    const backlog = this.#backlog;
    backlog.passKeyTime(nowMs);
    for (; count < countMax && backlog.takeDue(nowMs); count++) {
      const { offset, deliveryCount, priority } = backlog;
      this.#outcomes.putBack(offset, deliveryCount, priority, nowMs);
    }
    while (count < countMax) {
      const expired = backlog.expired(nowMs);
      if (expired === undefined) break;
      for (const offset of expired) this.#outcomes.expireWaiting(offset, nowMs);
      count += Math.max(1, expired.length);
    }
    if (this.#history !== undefined) count += this.#passHistory(this.#history, countMax - count);
    this.#dropGone();
    return count;
  }

  /**
   * Gives every lease its full time again.
   *
   * @param nowMs The time of the log.
   */
  renewLeases(nowMs: number): void {
    this.#leases.extendAll(nowMs);
  }

  /**
   * Takes out a message that waits.
   *
   * @param offset Its offset.
   * @returns Whether it did; a message that is with a consumer, or gone, stays what it is.
   */
  removeMessage(offset: number): boolean {
    if (!this.#backlog.has(offset)) return false;
    this.#backlog.remove(offset);
    this.#backlog.forget(offset);
    this.#outcomes.purged++;
    this.#history?.note(HappeningKind.removed, offset);
    this.#dropGone();
    return true;
  }

  /**
   * Tells whether a consumer holds a message.
   *
   * @param offset Its offset.
   * @returns Whether one does.
   */
  isLeased(offset: number): boolean {
    return this.#find(offset) !== NO_SLOT;
  }

  /**
   * Hands out what is ready to consumers with credit, in turns, unless the queue is paused; then says
   * `drained` to those who asked, if nothing is to be had.
   *
   * @param nowMs The time of the log.
   * @param effects Where the deliveries are written down.
   */
  dispatch(nowMs: number, effects: EffectBuffer): void {
    const { paused, settings: { starvationLimit } } = this.#identity;
    const { ring } = this.#consumers;
    const leases = this.#leases;
    const backlog = this.#backlog;
    const history = this.#history;
    for (
      let consumer = ring.head;
      consumer !== undefined && backlog.ready > 0 && !paused;
      consumer = ring.head
    ) {
      if (!backlog.take(starvationLimit, nowMs)) break;
      const { offset, priority } = backlog;
      const deliveryCount = backlog.deliveryCount + 1;
      if (deliveryCount > 1) this.#redelivered++;
      this.#delivered++;
      leases.lease(offset, deliveryCount, priority, consumer, nowMs + consumer.lane!.leaseMs);
      history?.note(HappeningKind.leased, offset, consumer, deliveryCount);
      backlog.locate(offset);
      effects.deliver(consumer, offset, deliveryCount, backlog.entryIndex, backlog.position);
      if (consumer.held < consumer.prefetch) ring.rotate();
      else ring.leave(consumer);
    }
    if (paused || backlog.ready === 0) this.#consumers.reportDrained(effects);
  }

  /** What there is to see of it. */
  get view(): PartitionView {
    return new PartitionView({
      backlog: this.#backlog,
      leases: this.#leases,
      consumers: this.consumers,
      history: this.#history,
      lowOffset: this.#lowOffset,
    });
  }

  /** Deliveries there have been, each delivery of a message counted. */
  get delivered(): number {
    return this.#delivered;
  }

  /**
   * Counts what is here.
   *
   * @returns The counts at this moment.
   */
  stats(): PartitionStats {
    const { ready, delayed, nextOffset } = this.#backlog;
    const leased = this.#leases.size;
    const { dead, expired, dropped, purged, repeated } = this.#outcomes;
    const otherwise = dead + expired + dropped + purged + repeated;
    const stats = {
      partitionId: this.#identity.id,
      published: nextOffset,
      acked: nextOffset - ready - delayed - leased - otherwise,
      ready,
      leased,
      bytesPublished: this.#backlog.bytesPublished,
      redelivered: this.#redelivered,
      consumers: this.consumers.size,
      nextOffset,
      delayed,
      dead,
      expired,
      dropped,
      purged,
      repeated,
    };
    const { bytesHeld } = this.#backlog;
    return this.#identity.settings.maxBytes === 0 ? stats : { ...stats, bytesHeld };
  }

  /**
   * Takes hold of the partition as it is now.
   *
   * @param nowMs The time of the log.
   * @returns Its whole state, however the partition goes on.
   */
  capture(nowMs: number): PartitionState {
    const { nextOffset, freshOffset, bytesPublished, ...rest } = this.#backlog.part;
    return {
      partition: {
        kind: "partition",
        ...this.#identity,
        ...(this.#drainTo === undefined ? {} : { drainTo: this.#drainTo }),
        nextOffset,
        freshOffset,
        bytesPublished,
        redelivered: this.#redelivered,
        delivered: this.#delivered,
        ...rest,
        ...this.#outcomes.part,
      },
      ...this.#consumers.capture(),
      backlog: this.#backlog.capture(nowMs),
      leases: this.#leases.capture(),
      uniques: this.#uniques?.capture(),
      history: this.#history?.capture(),
    };
  }

  /**
   * Makes a partition of a snapshot, still without consumers and messages.
   *
   * @param part What `capture` gave.
   * @param graveyard Where its messages go that die.
   * @param shard Its shard, as far as its history needs it.
   * @returns The partition.
   */
  static restore(
    part: PartitionPart,
    graveyard: Graveyard,
    shard: HistoryShard = NO_SHARD,
  ): Partition {
    const { id, queueId, queueName, number, paused = false, revision = 0, growingFrom } = part;
    const settings = queueSettings(part.settings);
    const identity = { id, queueId, queueName, number, settings, paused, revision };
    const partition = new Partition(
      growingFrom === undefined ? identity : { ...identity, growingFrom },
      graveyard,
      shard,
    );
    partition.#drainTo = part.drainTo;
    partition.#backlog.restore(part);
    partition.#lowOffset = part.freshOffset;
    partition.#redelivered = part.redelivered;
    partition.#outcomes.restore(part);
    partition.#delivered = part.delivered ?? part.freshOffset + part.redelivered;
    return partition;
  }

  /**
   * Gives what fills it with the rest of its snapshot.
   *
   * @param sessions Those of its consumers, restored before.
   * @returns It, for the parts behind that of the partition itself.
   */
  restorer(sessions: RestoredSessions): PartitionRestorer {
    const tables = {
      identity: this.#identity,
      backlog: this.#backlog,
      leases: this.#leases,
      consumers: this.#consumers,
      uniques: () => this.#uniques ??= new UniqueTable(),
      history: () => this.#history ??= this.#newHistory(),
      lives: (offset: number) => {
        this.#lowOffset = Math.min(this.#lowOffset, offset);
      },
    };
    return new PartitionRestorer(tables, sessions);
  }

  /** Checks everything that must hold between two commands. */
  checkInvariants(): void {
    const low = this.#lowOffset;
    this.#leases.checkInvariants();
    this.#uniques?.checkInvariants();
    this.#backlog.checkInvariants(low, this.#keptOffset, (offset) => this.isLeased(offset));
    this.#history?.checkInvariants((offset) => !this.isLeased(offset) && this.#isGone(offset));
    invariant(
      this.isHolding === isNewcomer(this.#identity) && !(this.isHolding && this.isToDrain),
      "Of a queue that grows, a partition holds messages back or is to be drained",
    );
    invariant(!this.touched, "Nothing waits for a dispatch between two commands");
    invariant(
      low === this.#backlog.nextOffset || this.#backlog.has(low) || this.isLeased(low),
      "The lowest live offset is live",
    );
    invariant(this.stats().acked >= 0, "No more messages are gone than there were");
    this.#consumers.checkInvariants();
    this.#checkLeases();
  }

  #checkLeases(): void {
    let held = 0;
    for (const consumer of this.consumers) {
      held += consumer.held;
      const slots = this.#leases.slotsOf(consumer);
      for (const slot of slots) {
        const offset = this.#leases.offsetAt(slot);
        invariant(this.#leases.holderAt(slot) === consumer, "A consumer's lease is its own");
        invariant(
          offset >= this.#lowOffset && !this.#backlog.has(offset),
          "A message that is with a consumer is alive, and does not wait",
        );
      }
      invariant(
        slots.length === consumer.held,
        "A consumer holds as many messages as it has leases",
      );
    }
    invariant(held === this.#leases.size, "Every lease is held by an attached consumer");
    invariant(
      !this.#backlog.hasTurns || this.#consumers.ring.head === undefined || this.#identity.paused,
      "Nothing is ready while somebody has credit",
    );
  }

  *#leasedOffsets(): Generator<number> {
    for (const consumer of this.consumers) {
      for (const slot of this.#leases.slotsOf(consumer)) yield this.#leases.offsetAt(slot);
    }
  }

  readonly #isAlive = (offset: number): boolean =>
    this.#backlog.has(offset) || this.#find(offset) !== NO_SLOT;

  /** Tells whether a message is not to be stored, and notes where the one is that has its text. */
  #isRepeat(firstOffset: number, offset: number, text: string, term: number): boolean {
    this.#uniques ??= new UniqueTable();
    const earlier = this.#uniques.find(text);
    if (earlier === undefined || !this.#isAlive(earlier.offset)) {
      this.#uniques.add(text, { offset, term }, this.#isAlive);
      return false;
    }
    this.#backlog.locate(earlier.offset);
    this.repeats ??= [];
    this.repeats.push({
      position: offset - firstOffset,
      offset: earlier.offset,
      index: this.#backlog.entryIndex,
      term: earlier.term,
    });
    this.#outcomes.repeated++;
    return true;
  }

  #find(offset: number): number {
    // The index expects no other numbers.
    return offset >= 0 && offset < this.#backlog.nextOffset ? this.#leases.find(offset) : NO_SLOT;
  }

  /** Of an offset that is not leased. */
  #isGone(offset: number): boolean {
    return Number.isSafeInteger(offset) && offset >= 0 && offset < this.#backlog.nextOffset &&
      !this.#backlog.has(offset);
  }

  /** Takes the limits from the settings. */
  #limit(): void {
    const { settings, growingFrom = settings.partitions } = this.#identity;
    this.#backlog.limitKeys(settings);
    // What is to be drained keeps the room that it had.
    this.#limits.set(settings, growingFrom);
    this.#backlog.countBytes(settings.maxBytes > 0, this.#lowOffset, this.#live);
  }

  get #isOverfull(): boolean {
    return this.#limits.isOverfull(this.#live, this.#backlog.bytesHeld);
  }

  /** Drops the oldest messages that nobody holds, until there are no more than there may be. */
  #dropOldest(): void {
    const backlog = this.#backlog;
    while (backlog.ready > 0 && this.#isOverfull) {
      backlog.takeOldest();
      backlog.forget(backlog.offset);
      this.#history?.note(HappeningKind.dropped, backlog.offset);
      this.#outcomes.dropped++;
    }
    this.#dropGone();
  }

  /** Begins or ends the history as the settings say. */
  #remember(): void {
    const { historyMs } = this.#identity.settings;
    if (historyMs > 0) this.#history ??= this.#newHistory();
    if (this.#history === undefined) return;
    this.#history.setWindow(historyMs);
    this.#forgetOver();
  }

  /** What time brings to the history. */
  #passHistory(history: History, countMax: number): number {
    history.passTime();
    const { queueName: queue, number: partition } = this.#identity;
    // More may have expired than there was room for.
    const count = history.feed(Math.max(0, countMax), (offset) => {
      this.#backlog.locate(offset);
      const { entryIndex, position } = this.#backlog;
      return this.#shard.outbox.revive({ queue, partition }, offset, entryIndex, position);
    });
    this.#forgetOver();
    return count;
  }

  #newHistory(): History {
    return new History(this.#shard, () => this.#dropUnneeded());
  }

  /** Forgets where messages are in the log that nobody will ask for any more. */
  #dropUnneeded(): void {
    this.#backlog.dropBelow(this.#lowOffset, this.#keptOffset);
  }

  /** Lets go of what is not remembered any more. */
  #forgetOver(): void {
    if (this.#history?.isOver) this.#history = undefined;
    this.#dropUnneeded();
  }

  /** Notes what happens to a message that a consumer holds. */
  #noteLease(what: HappeningKind, slot: number, consumer: Consumer, detail?: string): void {
    if (this.#history === undefined) return;
    const deliveryCount = this.#leases.deliveryCountAt(slot);
    this.#history.note(what, this.#leases.offsetAt(slot), consumer, deliveryCount, detail);
  }

  /** The lowest offset whose place in the log is needed. */
  get #keptOffset(): number {
    return this.#history?.lowestKept(this.#lowOffset) ?? this.#lowOffset;
  }

  /** Each offset is passed once in the life of the partition. */
  #dropGone(): void {
    const { freshOffset } = this.#backlog;
    const before = this.#lowOffset;
    if (this.#leases.size === 0 && this.#backlog.isFreshOnly) this.#lowOffset = freshOffset;
    while (
      this.#lowOffset < freshOffset && this.#leases.find(this.#lowOffset) === NO_SLOT &&
      !this.#backlog.has(this.#lowOffset)
    ) this.#lowOffset++;
    if (this.#lowOffset > before || this.#history !== undefined) this.#dropUnneeded();
  }
}

/** Whether a partition is one of those that its queue is getting. */
function isNewcomer({ number, growingFrom }: PartitionIdentity): boolean {
  return growingFrom !== undefined && number >= growingFrom;
}
