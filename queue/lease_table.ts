/**
 * The messages of a partition that were delivered and are not acked: leased ones, and returned ones
 * that wait for their next delivery. Messages never delivered and messages acked are not here.
 *
 * A message has a slot: the same place in each of a few typed arrays. Slots are found by offset through
 * an `OffsetIndex`, freed ones are linked into a list. A leased message is in two lists more: the leases
 * of its consumer, and all leases in the order of their deadlines. All leases of a partition last
 * equally long and time never moves back, so a new or extended lease simply goes to the end.
 *
 * @module
 */

import type { Consumer } from "./consumer.ts";
import { invariant } from "./invariant.ts";
import type { LeaseSnapshot } from "./machine_snapshot.ts";
import { NO_SLOT, OffsetIndex } from "./offset_index.ts";

const CAPACITY_MIN = 16;
/** An empty table keeps its memory up to here: a partition that is kept up with allocates nothing. */
const CAPACITY_KEPT = 65_536;

const NO_LEASES: LeaseSnapshot = {
  offset: new Float64Array(0),
  deadlineMs: new Float64Array(0),
  deliveryCount: new Uint32Array(0),
  holder: new Uint32Array(0),
};

/** Slots of delivered, unacked messages. */
export class LeaseTable {
  readonly #index = new OffsetIndex();
  #offsets = new Float64Array(0);
  #deadlines = new Float64Array(0);
  #deliveryCounts = new Uint32Array(0);
  /** Who holds it; `undefined` for a returned message and a free slot. */
  #holders: (Consumer | undefined)[] = [];
  #previous = new Uint32Array(0);
  /** The next lease by deadline; in a free slot, the next free one. */
  #next = new Uint32Array(0);
  #previousOfHolder = new Uint32Array(0);
  #nextOfHolder = new Uint32Array(0);
  #free = NO_SLOT;
  #first = NO_SLOT;
  #last = NO_SLOT;
  #leased = 0;

  /** How many messages are here, leased or returned. */
  get size(): number {
    return this.#index.size;
  }

  /** How many of them are leased. */
  get leased(): number {
    return this.#leased;
  }

  /** The lease that ends first, or `NO_SLOT`. */
  get first(): number {
    return this.#first;
  }

  /** When that is, or `undefined` when nothing is leased. */
  get firstDeadlineMs(): number | undefined {
    return this.#first === NO_SLOT ? undefined : this.#deadlines[this.#first];
  }

  /**
   * Finds a message.
   *
   * @param offset Its offset.
   * @returns Its slot, or `NO_SLOT` when it is not here.
   */
  find(offset: number): number {
    return this.#index.find(offset);
  }

  /**
   * Reads the offset in a slot.
   *
   * @param slot A slot in use.
   * @returns The offset.
   */
  offsetAt(slot: number): number {
    return this.#offsets[slot]!;
  }

  /**
   * Reads how often the message in a slot was delivered.
   *
   * @param slot A slot in use.
   * @returns The count, the delivery under way included.
   */
  deliveryCountAt(slot: number): number {
    return this.#deliveryCounts[slot]!;
  }

  /**
   * Reads who holds the message in a slot.
   *
   * @param slot A slot in use.
   * @returns The consumer, or `undefined` for a returned message.
   */
  holderAt(slot: number): Consumer | undefined {
    return this.#holders[slot];
  }

  /**
   * Reads when the lease in a slot ends.
   *
   * @param slot The slot of a leased message.
   * @returns Milliseconds since the epoch.
   */
  deadlineAt(slot: number): number {
    return this.#deadlines[slot]!;
  }

  /**
   * The next lease of the same consumer.
   *
   * @param slot The slot of a leased message.
   * @returns The next slot of its holder, or `NO_SLOT`.
   */
  nextOfHolderAt(slot: number): number {
    return this.#nextOfHolder[slot]!;
  }

  /**
   * Adds a message in nobody's hands.
   *
   * @param offset Its offset, which is not here.
   * @param deliveryCount How often it was delivered.
   * @returns Its slot.
   */
  add(offset: number, deliveryCount: number): number {
    if (this.#free === NO_SLOT) this.#grow();
    const slot = this.#free;
    this.#free = this.#next[slot]!;
    this.#offsets[slot] = offset;
    this.#deliveryCounts[slot] = deliveryCount;
    this.#index.add(offset, slot);
    return slot;
  }

  /**
   * Leases a message that is in nobody's hands. It counts as one more delivery.
   *
   * @param slot Its slot.
   * @param consumer Who gets it.
   * @param deadlineMs When the lease ends, not before that of any other.
   */
  lease(slot: number, consumer: Consumer, deadlineMs: number): void {
    this.#deliveryCounts[slot]!++;
    this.#grant(slot, consumer, deadlineMs);
  }

  /**
   * Restores a lease as it was in a snapshot, in the order of the deadlines.
   *
   * @param offset The offset of the message.
   * @param deliveryCount Its count, this delivery included.
   * @param consumer Who holds it.
   * @param deadlineMs When the lease ends.
   */
  restoreLease(
    offset: number,
    deliveryCount: number,
    consumer: Consumer,
    deadlineMs: number,
  ): void {
    this.#grant(this.add(offset, deliveryCount), consumer, deadlineMs);
  }

  /**
   * Ends a lease; the message stays, in nobody's hands.
   *
   * @param slot The slot of a leased message.
   * @returns Who held it.
   */
  release(slot: number): Consumer {
    const consumer = this.#holders[slot];
    invariant(consumer !== undefined, "Only a leased message is released");
    this.#unlink(slot);
    const previous = this.#previousOfHolder[slot]!;
    const next = this.#nextOfHolder[slot]!;
    if (previous === NO_SLOT) consumer.firstLease = next;
    else this.#nextOfHolder[previous] = next;
    if (next === NO_SLOT) consumer.lastLease = previous;
    else this.#previousOfHolder[next] = previous;
    this.#holders[slot] = undefined;
    consumer.held--;
    this.#leased--;
    return consumer;
  }

  /**
   * Forgets a message in nobody's hands.
   *
   * @param slot Its slot, free afterwards.
   */
  remove(slot: number): void {
    invariant(this.#holders[slot] === undefined, "Only a released message is removed");
    this.#index.remove(this.#offsets[slot]!);
    if (this.#index.size === 0 && this.#offsets.length > CAPACITY_KEPT) {
      this.#reset();
      return;
    }
    this.#next[slot] = this.#free;
    this.#free = slot;
  }

  /**
   * Gives a lease more time.
   *
   * @param slot The slot of a leased message.
   * @param deadlineMs When it ends now, not before any other.
   */
  extend(slot: number, deadlineMs: number): void {
    this.#unlink(slot);
    this.#append(slot, deadlineMs);
  }

  /**
   * Gives every lease the same end; their order stays.
   *
   * @param deadlineMs When they end, not before any of them did.
   */
  extendAll(deadlineMs: number): void {
    for (let slot = this.#first; slot !== NO_SLOT; slot = this.#next[slot]!) {
      this.#deadlines[slot] = deadlineMs;
    }
  }

  /**
   * Copies the leases.
   *
   * @returns All of them in the order of their deadlines, each with the `place` of its holder.
   */
  capture(): LeaseSnapshot {
    if (this.#leased === 0) return NO_LEASES;
    const offset = new Float64Array(this.#leased);
    const deadlineMs = new Float64Array(this.#leased);
    const deliveryCount = new Uint32Array(this.#leased);
    const holder = new Uint32Array(this.#leased);
    for (let at = 0, slot = this.#first; slot !== NO_SLOT; slot = this.#next[slot]!, at++) {
      offset[at] = this.#offsets[slot]!;
      deadlineMs[at] = this.#deadlines[slot]!;
      deliveryCount[at] = this.#deliveryCounts[slot]!;
      holder[at] = this.#holders[slot]!.place;
    }
    return { offset, deadlineMs, deliveryCount, holder };
  }

  /** Checks lists, links, counts and order. */
  checkInvariants(): void {
    let leased = 0;
    let previous = NO_SLOT;
    let deadlineMs = -Infinity;
    for (let slot = this.#first; slot !== NO_SLOT; slot = this.#next[slot]!) {
      const consumer = this.#holders[slot];
      invariant(consumer !== undefined, "A lease has a holder");
      invariant(this.#previous[slot] === previous, "Leases are linked both ways");
      invariant(this.#deadlines[slot]! >= deadlineMs, "Leases are in the order of their deadlines");
      invariant(this.#index.find(this.#offsets[slot]!) === slot, "A leased message is indexed");
      invariant(this.#deliveryCounts[slot]! > 0, "A leased message was delivered");
      const before = this.#previousOfHolder[slot]!;
      invariant(
        before === NO_SLOT
          ? consumer.firstLease === slot
          : this.#nextOfHolder[before] === slot && this.#holders[before] === consumer,
        "The leases of a consumer are linked both ways",
      );
      deadlineMs = this.#deadlines[slot]!;
      previous = slot;
      leased++;
    }
    invariant(this.#last === previous, "The list of leases ends where it should");
    invariant(this.#leased === leased, "The count of leases is right");
    let free = 0;
    for (let slot = this.#free; slot !== NO_SLOT; slot = this.#next[slot]!) free++;
    invariant(free + this.#index.size === this.#offsets.length, "Every slot is used or free");
  }

  #grant(slot: number, consumer: Consumer, deadlineMs: number): void {
    invariant(this.#holders[slot] === undefined, "A message is leased to one consumer at a time");
    this.#holders[slot] = consumer;
    this.#previousOfHolder[slot] = consumer.lastLease;
    this.#nextOfHolder[slot] = NO_SLOT;
    if (consumer.lastLease === NO_SLOT) consumer.firstLease = slot;
    else this.#nextOfHolder[consumer.lastLease] = slot;
    consumer.lastLease = slot;
    consumer.held++;
    this.#leased++;
    this.#append(slot, deadlineMs);
  }

  #append(slot: number, deadlineMs: number): void {
    const last = this.#last;
    if (last === NO_SLOT) {
      this.#first = slot;
    } else {
      invariant(this.#deadlines[last]! <= deadlineMs, "A new lease ends after all others");
      this.#next[last] = slot;
    }
    this.#previous[slot] = last;
    this.#next[slot] = NO_SLOT;
    this.#deadlines[slot] = deadlineMs;
    this.#last = slot;
  }

  #unlink(slot: number): void {
    const previous = this.#previous[slot]!;
    const next = this.#next[slot]!;
    if (previous === NO_SLOT) this.#first = next;
    else this.#next[previous] = next;
    if (next === NO_SLOT) this.#last = previous;
    else this.#previous[next] = previous;
  }

  #grow(): void {
    const from = this.#offsets.length;
    const capacity = Math.max(CAPACITY_MIN, from * 2);
    this.#offsets = grownFloats(this.#offsets, capacity);
    this.#deadlines = grownFloats(this.#deadlines, capacity);
    this.#deliveryCounts = grownWords(this.#deliveryCounts, capacity);
    this.#previous = grownWords(this.#previous, capacity);
    this.#next = grownWords(this.#next, capacity);
    this.#previousOfHolder = grownWords(this.#previousOfHolder, capacity);
    this.#nextOfHolder = grownWords(this.#nextOfHolder, capacity);
    for (let slot = from; slot < capacity; slot++) {
      this.#holders.push(undefined);
      this.#next[slot] = slot + 1 < capacity ? slot + 1 : this.#free;
    }
    this.#free = from;
  }

  #reset(): void {
    this.#index.clear();
    this.#offsets = new Float64Array(0);
    this.#deadlines = new Float64Array(0);
    this.#deliveryCounts = new Uint32Array(0);
    this.#holders = [];
    this.#previous = new Uint32Array(0);
    this.#next = new Uint32Array(0);
    this.#previousOfHolder = new Uint32Array(0);
    this.#nextOfHolder = new Uint32Array(0);
    this.#free = NO_SLOT;
  }
}

function grownFloats(array: Float64Array, capacity: number): Float64Array<ArrayBuffer> {
  const grown = new Float64Array(capacity);
  grown.set(array);
  return grown;
}

function grownWords(array: Uint32Array, capacity: number): Uint32Array<ArrayBuffer> {
  const grown = new Uint32Array(capacity);
  grown.set(array);
  return grown;
}
