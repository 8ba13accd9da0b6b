/**
 * One partition: messages in the order of their offsets, and the consumers that share them.
 *
 * A message is in one of four states, and each costs what it must:
 *
 * - never delivered (offset at or above `freshOffset`): nothing, only the record of its batch;
 * - leased: a slot in the lease table;
 * - returned (lease expired, nacked, consumer gone): the slot, and a place in the heap of returned ones;
 * - acked, purged, or dropped: nothing. What lies below `freshOffset` and has no slot is gone.
 *
 * Batch records below `lowOffset`, the lowest offset that is not acked, are dropped.
 *
 * @module
 */

import { BatchIndex } from "./batch_index.ts";
import {
  type HeldMessage,
  type PartitionIdentity,
  type PartitionStats,
  SettleOperation,
  SettleStatus,
} from "./commands.ts";
import { Consumer, ReadyRing } from "./consumer.ts";
import type { EffectBuffer } from "./effects.ts";
import { invariant } from "./invariant.ts";
import { LeaseTable } from "./lease_table.ts";
import { OffsetHeap } from "./offset_heap.ts";
import type { BatchRun, ConsumerSnapshot, PartitionPart } from "./machine_snapshot.ts";
import type { LookOptions, MessagesSeen, MessageView } from "./message_view.ts";
import { NO_SLOT } from "./offset_index.ts";
import type { PartitionState } from "./partition_capture.ts";
import { type QueueSettings, queueSettings } from "./settings.ts";

// Most partitions have little in them, and there may be very many.
const NO_TURNS = new Uint32Array(0);
const NO_CONSUMERS: readonly ConsumerSnapshot[] = [];
const NOTHING_RETURNED = new OffsetHeap();

/** The state of one partition and everything that may happen to it. */
export class Partition {
  #identity: PartitionIdentity;
  /** Something may have become ready, or somebody to take it: it waits for `dispatch`. */
  touched = false;

  readonly #consumers = new Set<Consumer>();
  readonly #ring = new ReadyRing();
  readonly #batches = new BatchIndex();
  readonly #leases = new LeaseTable();
  readonly #returned = new OffsetHeap();
  /** The next message published gets it. */
  #nextOffset = 0;
  /** The lowest offset never delivered. */
  #freshOffset = 0;
  /** The lowest offset not acked. Follows from the rest. */
  #lowOffset = 0;
  #bytesPublished = 0;
  #redelivered = 0;
  #purged = 0;
  #delivered = 0;
  #dropped = 0;
  /** With so many messages nothing more is taken. Follows from the settings. */
  #fullAt = Infinity;
  /** With more messages the oldest ones are dropped. Follows from the settings. */
  #dropAbove = Infinity;
  /** How many consumers want to hear that nothing is ready. Follows from them. */
  #drainingCount = 0;

  /**
   * Makes an empty partition.
   *
   * @param identity What it is.
   */
  constructor(identity: PartitionIdentity) {
    this.#identity = identity;
    this.#limit();
  }

  /** What it is. */
  get identity(): PartitionIdentity {
    return this.#identity;
  }

  /** The consumers, in the order in which they first attached. */
  get consumers(): ReadonlySet<Consumer> {
    return this.#consumers;
  }

  /** Messages that could be delivered now. */
  get ready(): number {
    return this.#nextOffset - this.#freshOffset + this.#returned.size;
  }

  /** Messages that wait or are leased. */
  get #live(): number {
    return this.#nextOffset - this.#freshOffset + this.#leases.size;
  }

  /** There are as many messages as there may be. */
  get isFull(): boolean {
    return this.#live >= this.#fullAt;
  }

  /** The oldest entry of the log that a message of this partition is in, if there is a message. */
  get firstEntryIndex(): number | undefined {
    return this.#batches.firstEntryIndex;
  }

  /** When the first lease ends, or `undefined` when nothing is leased. */
  get firstDeadlineMs(): number | undefined {
    return this.#leases.firstDeadlineMs;
  }

  /**
   * Adds a batch of messages, and drops the oldest ones where there are too many then.
   *
   * @param count How many.
   * @param bytes Their size, for the statistics.
   * @param entryIndex The log index of the entry that holds them.
   * @returns The offset of the first one.
   */
  publish(count: number, bytes: number, entryIndex: number): number {
    const firstOffset = this.#nextOffset;
    this.#batches.append(firstOffset, entryIndex);
    this.#nextOffset += count;
    this.#bytesPublished += bytes;
    if (this.#live > this.#dropAbove) this.#dropOldest();
    return firstOffset;
  }

  /**
   * Takes note of what its queue is like now. Where leases last another time, those that run get all of
   * it, so that they still end in the order in which they were given.
   *
   * @param settings The settings of the queue.
   * @param paused Whether nothing is to be delivered.
   * @param revision Counts the changes of the queue.
   * @param nowMs The time of the log.
   */
  update(settings: QueueSettings, paused: boolean, revision: number, nowMs: number): void {
    const { leaseMs } = this.#identity.settings;
    this.#identity = { ...this.#identity, settings, paused, revision };
    if (settings.leaseMs !== leaseMs) this.renewLeases(nowMs);
    this.#limit();
    if (this.#live > this.#dropAbove) this.#dropOldest();
  }

  /**
   * Removes every message that nobody holds.
   *
   * @returns How many.
   */
  purge(): number {
    const count = this.ready;
    while (this.#returned.size > 0) this.#leases.remove(this.#leases.find(this.#returned.pop()));
    this.#freshOffset = this.#nextOffset;
    this.#purged += count;
    this.#dropAcked();
    return count;
  }

  /**
   * Adds a consumer.
   *
   * @param consumer One of this partition that is new.
   */
  attach(consumer: Consumer): void {
    invariant(!this.#consumers.has(consumer), "A consumer is attached once");
    this.#consumers.add(consumer);
    this.refresh(consumer);
  }

  /**
   * Ends a consumer: what it holds is ready again.
   *
   * @param consumer One that is attached.
   */
  detach(consumer: Consumer): void {
    const wasAttached = this.#consumers.delete(consumer);
    invariant(wasAttached, "Only an attached consumer is detached");
    consumer.attached = false;
    consumer.receiving = false;
    this.setDraining(consumer, false);
    this.refresh(consumer);
    while (consumer.firstLease !== NO_SLOT) this.#return(consumer.firstLease);
  }

  /**
   * Puts a consumer into the ring, or out of it, after its credit has changed.
   *
   * @param consumer One that is attached.
   */
  refresh(consumer: Consumer): void {
    if (consumer.hasCredit === consumer.inRing) return;
    if (consumer.inRing) this.#ring.leave(consumer);
    else this.#ring.join(consumer);
  }

  /**
   * Notes whether a consumer wants to hear that nothing is ready.
   *
   * @param consumer One of this partition.
   * @param draining Whether it does.
   */
  setDraining(consumer: Consumer, draining: boolean): void {
    if (consumer.draining === draining) return;
    consumer.draining = draining;
    this.#drainingCount += draining ? 1 : -1;
  }

  /**
   * Acks, returns or extends deliveries, one after the other: a second word about the same delivery
   * finds what the first one left.
   *
   * @param consumer Who says so; `undefined` for one that is not attached, which holds nothing.
   * @param operation What to do.
   * @param offsets The messages.
   * @param deliveryCounts The deliveries that are meant.
   * @param nowMs The time of the log.
   * @returns A status for each offset.
   */
  settle(
    consumer: Consumer | undefined,
    operation: SettleOperation,
    offsets: readonly number[],
    deliveryCounts: readonly number[],
    nowMs: number,
  ): Uint8Array {
    const leases = this.#leases;
    const deadlineMs = nowMs + this.#identity.settings.leaseMs;
    const statuses = new Uint8Array(offsets.length);
    for (let at = 0; at < offsets.length; at++) {
      const offset = offsets[at]!;
      const slot = this.#find(offset);
      if (slot === NO_SLOT) {
        statuses[at] = this.#isAcked(offset) ? SettleStatus.ok : SettleStatus.leaseLost;
      } else if (
        consumer === undefined || leases.holderAt(slot) !== consumer ||
        leases.deliveryCountAt(slot) !== deliveryCounts[at]
      ) {
        statuses[at] = SettleStatus.leaseLost;
      } else if (operation === SettleOperation.ack) {
        leases.release(slot);
        leases.remove(slot);
      } else if (operation === SettleOperation.nack) {
        this.#return(slot);
      } else {
        leases.extend(slot, deadlineMs);
      }
    }
    if (consumer !== undefined) this.refresh(consumer);
    if (operation === SettleOperation.ack) this.#dropAcked();
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
   * Ends the leases whose time is over.
   *
   * @param nowMs The time of the log.
   */
  expire(nowMs: number): void {
    for (;;) {
      const deadlineMs = this.#leases.firstDeadlineMs;
      if (deadlineMs === undefined || deadlineMs > nowMs) return;
      this.refresh(this.#return(this.#leases.first));
    }
  }

  /**
   * Gives every lease its full time again.
   *
   * @param nowMs The time of the log.
   */
  renewLeases(nowMs: number): void {
    this.#leases.extendAll(nowMs + this.#identity.settings.leaseMs);
  }

  /**
   * Hands out what is ready to consumers with credit, in turns, unless the queue is paused; then says
   * `drained` to those who asked, if nothing is to be had.
   *
   * @param nowMs The time of the log.
   * @param effects Where the deliveries are written down.
   */
  dispatch(nowMs: number, effects: EffectBuffer): void {
    const { paused } = this.#identity;
    const leases = this.#leases;
    const batches = this.#batches;
    const deadlineMs = nowMs + this.#identity.settings.leaseMs;
    for (
      let consumer = this.#ring.head;
      consumer !== undefined && this.ready > 0 && !paused;
      consumer = this.#ring.head
    ) {
      let slot: number;
      if (this.#returned.size > 0) {
        slot = leases.find(this.#returned.pop());
        this.#redelivered++;
      } else {
        slot = leases.add(this.#freshOffset++, 0);
      }
      leases.lease(slot, consumer, deadlineMs);
      this.#delivered++;
      const offset = leases.offsetAt(slot);
      batches.locate(offset);
      effects.deliver(
        consumer,
        offset,
        leases.deliveryCountAt(slot),
        batches.entryIndex,
        batches.position,
      );
      if (consumer.held < consumer.prefetch) this.#ring.rotate();
      else this.#ring.leave(consumer);
    }
    if (this.#drainingCount > 0 && (paused || this.ready === 0)) this.#reportDrained(effects);
  }

  /**
   * Lists what a consumer holds.
   *
   * @param consumer One that is attached.
   * @returns Its messages, in the order of their offsets.
   */
  heldBy(consumer: Consumer): HeldMessage[] {
    const held: HeldMessage[] = [];
    for (
      let slot = consumer.firstLease;
      slot !== NO_SLOT;
      slot = this.#leases.nextOfHolderAt(slot)
    ) {
      const offset = this.#leases.offsetAt(slot);
      this.#batches.locate(offset);
      held.push({
        offset,
        deliveryCount: this.#leases.deliveryCountAt(slot),
        entryIndex: this.#batches.entryIndex,
        position: this.#batches.position,
      });
    }
    return held.sort((a, b) => a.offset - b.offset);
  }

  /**
   * Looks at messages that are not gone.
   *
   * @param options Which ones.
   * @returns What there is to see of them.
   */
  look({ fromOffset, state, messagesMax, offsetsMax }: LookOptions): MessagesSeen {
    const messages: MessageView[] = [];
    let offset = Math.max(fromOffset, this.#lowOffset);
    for (let left = offsetsMax; left > 0 && offset < this.#nextOffset; left--) {
      const view = this.#view(offset++);
      if (view === undefined || (state !== undefined && view.state !== state)) continue;
      messages.push(view);
      if (messages.length === messagesMax) break;
    }
    return { messages, nextOffset: offset < this.#nextOffset ? offset : undefined };
  }

  /**
   * Tells since when a consumer has held what it has held longest.
   *
   * @param consumer One that is attached.
   * @returns When that lease began or was last extended, or `undefined` when it holds nothing.
   */
  heldSinceMs({ firstLease }: Consumer): number | undefined {
    return firstLease === NO_SLOT
      ? undefined
      : this.#leases.deadlineAt(firstLease) - this.identity.settings.leaseMs;
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
    return {
      partitionId: this.#identity.id,
      published: this.#nextOffset,
      acked: this.#freshOffset - this.#leases.size - this.#purged - this.#dropped,
      purged: this.#purged,
      dropped: this.#dropped,
      ready: this.ready,
      leased: this.#leases.leased,
      bytesPublished: this.#bytesPublished,
      redelivered: this.#redelivered,
      consumers: this.#consumers.size,
      nextOffset: this.#nextOffset,
    };
  }

  /**
   * Takes hold of the partition as it is now.
   *
   * @returns Its whole state, however the partition goes on.
   */
  capture(): PartitionState {
    const { id, queueId, queueName, number, settings, paused, revision } = this.#identity;
    return {
      partition: {
        kind: "partition",
        id,
        queueId,
        queueName,
        number,
        settings,
        paused,
        revision,
        nextOffset: this.#nextOffset,
        freshOffset: this.#freshOffset,
        bytesPublished: this.#bytesPublished,
        redelivered: this.#redelivered,
        purged: this.#purged,
        delivered: this.#delivered,
        dropped: this.#dropped,
      },
      consumers: this.#captureConsumers(),
      ring: this.#ring.head === undefined
        ? NO_TURNS
        : Uint32Array.from(this.#ring, ({ place }) => place),
      batches: this.#batches.capture(),
      leases: this.#leases.capture(),
      returned: this.#returned.size === 0 ? NOTHING_RETURNED : this.#returned.copy(),
    };
  }

  /**
   * Makes a partition of a snapshot, still without consumers and messages.
   *
   * @param part What `capture` gave.
   * @returns The partition.
   */
  static restore(part: PartitionPart): Partition {
    const { id, queueId, queueName, number, paused = false, revision = 0 } = part;
    const settings = queueSettings(part.settings);
    const partition = new Partition({
      id,
      queueId,
      queueName,
      number,
      settings,
      paused,
      revision,
    });
    partition.#nextOffset = part.nextOffset;
    partition.#freshOffset = part.freshOffset;
    partition.#lowOffset = part.freshOffset;
    partition.#bytesPublished = part.bytesPublished;
    partition.#redelivered = part.redelivered;
    partition.#purged = part.purged ?? 0;
    partition.#delivered = part.delivered ?? part.freshOffset + part.redelivered;
    partition.#dropped = part.dropped ?? 0;
    return partition;
  }

  /**
   * Adds a consumer as it was in a snapshot.
   *
   * @param saved The consumer.
   * @param isAttached Whether its session is attached.
   * @returns The consumer.
   */
  restoreConsumer(saved: ConsumerSnapshot, isAttached: boolean): Consumer {
    const { sessionId, consumerId, prefetch, attached, draining } = saved;
    const consumer = new Consumer(sessionId, consumerId, this.#identity.id, prefetch);
    consumer.attached = attached;
    consumer.receiving = attached && isAttached;
    this.setDraining(consumer, draining);
    this.#consumers.add(consumer);
    return consumer;
  }

  /**
   * Gives a consumer its turn behind those that have one, as it was in a snapshot.
   *
   * @param consumer One that was restored.
   */
  restoreTurn(consumer: Consumer): void {
    this.#ring.join(consumer);
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
   * Adds a lease as it was in a snapshot, in the order of their deadlines.
   *
   * @param offset The message.
   * @param deliveryCount How often it was delivered.
   * @param consumer Who holds it.
   * @param deadlineMs When the lease ends.
   */
  restoreLease(
    offset: number,
    deliveryCount: number,
    consumer: Consumer,
    deadlineMs: number,
  ): void {
    this.#leases.restoreLease(offset, deliveryCount, consumer, deadlineMs);
    this.#lowOffset = Math.min(this.#lowOffset, offset);
  }

  /**
   * Adds a returned message as it was in a snapshot.
   *
   * @param offset The message.
   * @param deliveryCount How often it was delivered.
   */
  restoreReturned(offset: number, deliveryCount: number): void {
    this.#leases.add(offset, deliveryCount);
    this.#returned.push(offset, deliveryCount);
    this.#lowOffset = Math.min(this.#lowOffset, offset);
  }

  /** Checks everything that must hold between two commands. */
  checkInvariants(): void {
    this.#batches.checkInvariants();
    this.#leases.checkInvariants();
    this.#returned.checkInvariants();
    invariant(!this.touched, "Nothing waits for a dispatch between two commands");
    invariant(
      this.#lowOffset <= this.#freshOffset && this.#freshOffset <= this.#nextOffset,
      "Acked, delivered and fresh messages follow each other",
    );
    invariant(
      this.#leases.leased + this.#returned.size === this.#leases.size,
      "A delivered message that is not acked is leased or returned",
    );
    invariant(
      this.#lowOffset === this.#freshOffset || this.#leases.find(this.#lowOffset) !== NO_SLOT,
      "The lowest live offset is live",
    );
    const firstOffset = this.#batches.firstOffset;
    invariant(
      this.#lowOffset === this.#nextOffset
        ? firstOffset === undefined
        : firstOffset !== undefined && firstOffset <= this.#lowOffset,
      "The batches of live messages are recorded, and none when there is no message",
    );
    for (const [offset, deliveryCount] of this.#returned.entries()) {
      const slot = this.#leases.find(offset);
      invariant(slot !== NO_SLOT, "A returned message has a slot");
      invariant(
        this.#leases.deliveryCountAt(slot) === deliveryCount,
        "A returned message is known to have been delivered as often as it was",
      );
      invariant(this.#leases.holderAt(slot) === undefined, "A returned message has no holder");
      invariant(offset >= this.#lowOffset, "A returned message is live");
    }
    this.#checkConsumers();
  }

  #checkConsumers(): void {
    let held = 0;
    let draining = 0;
    let inRing = 0;
    for (const consumer of this.#consumers) {
      held += consumer.held;
      if (consumer.draining) draining++;
      if (consumer.inRing) inRing++;
      invariant(consumer.inRing === consumer.hasCredit, "Who has credit is in the ring");
      let own = 0;
      for (let slot = consumer.firstLease; slot !== NO_SLOT;) {
        invariant(this.#leases.holderAt(slot) === consumer, "A consumer's lease is its own");
        own++;
        slot = this.#leases.nextOfHolderAt(slot);
      }
      invariant(own === consumer.held, "A consumer holds as many messages as it has leases");
    }
    let members = 0;
    for (const consumer of this.#ring) {
      invariant(this.#consumers.has(consumer), "Only attached consumers are in the ring");
      members++;
    }
    invariant(members === inRing, "Who is in the ring is linked into it");
    invariant(held === this.#leases.leased, "Every lease is held by an attached consumer");
    invariant(draining === this.#drainingCount, "The count of draining consumers is right");
    invariant(
      this.ready === 0 || this.#ring.head === undefined || this.#identity.paused,
      "Nothing is ready while somebody has credit",
    );
  }

  #captureConsumers(): readonly ConsumerSnapshot[] {
    if (this.#consumers.size === 0) return NO_CONSUMERS;
    const consumers: ConsumerSnapshot[] = [];
    for (const consumer of this.#consumers) {
      const { sessionId, consumerId, prefetch, attached, draining } = consumer;
      consumer.place = consumers.length;
      consumers.push({ sessionId, consumerId, prefetch, attached, draining });
    }
    return consumers;
  }

  /** What there is to see of a message, `undefined` when it is gone. */
  #view(offset: number): MessageView | undefined {
    const slot = this.#find(offset);
    if (slot === NO_SLOT && offset < this.#freshOffset) return undefined;
    this.#batches.locate(offset);
    const { entryIndex, position } = this.#batches;
    const place = { offset, entryIndex, position };
    if (slot === NO_SLOT) return { ...place, state: "ready", deliveryCount: 0 };
    const deliveryCount = this.#leases.deliveryCountAt(slot);
    const holder = this.#leases.holderAt(slot);
    if (holder === undefined) return { ...place, state: "ready", deliveryCount };
    const { sessionId, consumerId } = holder;
    const endsAtMs = this.#leases.deadlineAt(slot);
    const sinceMs = endsAtMs - this.identity.settings.leaseMs;
    const lease = { sessionId, consumerId, sinceMs, endsAtMs };
    return { ...place, state: "leased", deliveryCount, lease };
  }

  #find(offset: number): number {
    // What was never delivered has no slot; the index expects no other numbers.
    return offset >= 0 && offset < this.#freshOffset ? this.#leases.find(offset) : NO_SLOT;
  }

  /** Of an offset without a slot. */
  #isAcked(offset: number): boolean {
    return Number.isSafeInteger(offset) && offset >= 0 && offset < this.#freshOffset;
  }

  #return(slot: number): Consumer {
    const consumer = this.#leases.release(slot);
    this.#returned.push(this.#leases.offsetAt(slot), this.#leases.deliveryCountAt(slot));
    return consumer;
  }

  /** Takes the limits from the settings. */
  #limit(): void {
    const { maxMessages, partitions, overflow } = this.#identity.settings;
    const most = maxMessages === 0 ? Infinity : Math.max(1, Math.floor(maxMessages / partitions));
    this.#fullAt = overflow === "reject" ? most : Infinity;
    this.#dropAbove = overflow === "dropOldest" ? most : Infinity;
  }

  /** Drops the oldest messages that nobody holds, until there are no more than there may be. */
  #dropOldest(): void {
    const count = Math.min(this.#live - this.#dropAbove, this.ready);
    const returned = Math.min(count, this.#returned.size);
    for (let i = 0; i < returned; i++) {
      this.#leases.remove(this.#leases.find(this.#returned.pop()));
    }
    this.#freshOffset += count - returned;
    this.#dropped += count;
    this.#dropAcked();
  }

  /** Each offset is passed once in the life of the partition. */
  #dropAcked(): void {
    const before = this.#lowOffset;
    if (this.#leases.size === 0) this.#lowOffset = this.#freshOffset;
    while (
      this.#lowOffset < this.#freshOffset && this.#leases.find(this.#lowOffset) === NO_SLOT
    ) this.#lowOffset++;
    if (this.#lowOffset > before) this.#batches.dropBelow(this.#lowOffset, this.#nextOffset);
  }

  #reportDrained(effects: EffectBuffer): void {
    for (const consumer of this.#consumers) {
      if (!consumer.draining || !consumer.receiving) continue;
      const { sessionId, consumerId, partitionId } = consumer;
      effects.drained.push({ sessionId, consumerId, partitionId });
      this.setDraining(consumer, false);
    }
  }
}
