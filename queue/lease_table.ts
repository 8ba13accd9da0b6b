/**
 * The messages of a partition that consumers hold.
 *
 * A message has a slot: the same place in each of a few typed arrays. Slots are found by offset through
 * an `OffsetIndex`, freed ones are linked into a list. A lease is in two lists more: the leases of its
 * consumer, and its lane: the leases that last equally long, in the order of their deadlines. Time never
 * moves back, so a new or extended lease simply goes to the end of its lane. Consumers that ask for no
 * time of their own share a lane, so most partitions have one.
 *
 * @module
 */

import type { Consumer, LeaseLane } from "./consumer.ts";
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

/** Slots of leased messages. */
export class LeaseTable {
  readonly #index = new OffsetIndex();
  #offsets = new Float64Array(0);
  #deadlines = new Float64Array(0);
  #deliveryCounts = new Uint32Array(0);
  #priorities = new Uint8Array(0);
  /** Who holds it; `undefined` for a free slot. */
  #holders: (Consumer | undefined)[] = [];
  #previous = new Uint32Array(0);
  /** The next lease of the lane; in a free slot, the next free one. */
  #next = new Uint32Array(0);
  #previousOfHolder = new Uint32Array(0);
  #nextOfHolder = new Uint32Array(0);
  #free = NO_SLOT;
  /** Those that consumers use, by how long their leases last. */
  readonly #lanes: LeaseLane[] = [];

  /** How many messages are leased. */
  get size(): number {
    return this.#index.size;
  }

  /** The lease that ends first, or `NO_SLOT`. */
  get first(): number {
    let first = NO_SLOT;
    for (const lane of this.#lanes) {
      if (lane.first === NO_SLOT) continue;
      if (first === NO_SLOT || this.#deadlines[lane.first]! < this.#deadlines[first]!) {
        first = lane.first;
      }
    }
    return first;
  }

  /** When that is, or `undefined` when nothing is leased. */
  get firstDeadlineMs(): number | undefined {
    const { first } = this;
    return first === NO_SLOT ? undefined : this.#deadlines[first];
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
   * Reads the priority of the message in a slot.
   *
   * @param slot A slot in use.
   * @returns From 0 to 9.
   */
  priorityAt(slot: number): number {
    return this.#priorities[slot]!;
  }

  /**
   * Reads who holds the message in a slot.
   *
   * @param slot A slot in use.
   * @returns The consumer.
   */
  holderAt(slot: number): Consumer {
    return this.#holders[slot]!;
  }

  /**
   * Reads when the lease in a slot ends.
   *
   * @param slot A slot in use.
   * @returns Milliseconds since the epoch.
   */
  deadlineAt(slot: number): number {
    return this.#deadlines[slot]!;
  }

  /**
   * Lists what a consumer holds.
   *
   * @param consumer The consumer.
   * @returns The slots in the order of their offsets, which is the same after a restoration.
   */
  slotsOf(consumer: Consumer): number[] {
    const slots: number[] = [];
    for (let slot = consumer.firstLease; slot !== NO_SLOT; slot = this.#nextOfHolder[slot]!) {
      slots.push(slot);
    }
    return slots.sort((a, b) => this.#offsets[a]! - this.#offsets[b]!);
  }

  /**
   * Sets how long the leases of a consumer last. Those it has are renewed.
   *
   * @param consumer The consumer.
   * @param leaseMs How long.
   * @param nowMs The time of the log.
   */
  setDuration(consumer: Consumer, leaseMs: number, nowMs: number): void {
    const { lane } = consumer;
    if (lane?.leaseMs === leaseMs) return;
    const slots = this.slotsOf(consumer);
    for (const slot of slots) this.#unlink(slot);
    if (lane !== undefined) this.#leaveLane(lane);
    consumer.lane = this.#enterLane(leaseMs);
    for (const slot of slots) this.#append(slot, nowMs + leaseMs);
  }

  /**
   * Notes that a consumer takes no more leases.
   *
   * @param consumer One that holds nothing.
   */
  forget(consumer: Consumer): void {
    invariant(consumer.held === 0, "A consumer that is forgotten holds nothing");
    this.#leaveLane(consumer.lane!);
    consumer.lane = undefined;
  }

  /**
   * Leases a message.
   *
   * @param offset Its offset, which is not here.
   * @param deliveryCount How often it was delivered, this delivery included.
   * @param priority Its priority.
   * @param consumer Who gets it.
   * @param deadlineMs When the lease ends, not before that of any other of the consumer's lane.
   */
  lease(
    offset: number,
    deliveryCount: number,
    priority: number,
    consumer: Consumer,
    deadlineMs: number,
  ): void {
    if (this.#free === NO_SLOT) this.#grow();
    const slot = this.#free;
    this.#free = this.#next[slot]!;
    this.#offsets[slot] = offset;
    this.#deliveryCounts[slot] = deliveryCount;
    this.#priorities[slot] = priority;
    this.#index.add(offset, slot);
    this.#holders[slot] = consumer;
    this.#previousOfHolder[slot] = consumer.lastLease;
    this.#nextOfHolder[slot] = NO_SLOT;
    if (consumer.lastLease === NO_SLOT) consumer.firstLease = slot;
    else this.#nextOfHolder[consumer.lastLease] = slot;
    consumer.lastLease = slot;
    consumer.held++;
    this.#append(slot, deadlineMs);
  }

  /**
   * Ends a lease: the message is not here any more.
   *
   * @param slot A slot in use, free afterwards.
   */
  release(slot: number): void {
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
    this.#index.remove(this.#offsets[slot]!);
    if (this.#index.size === 0 && this.#offsets.length > CAPACITY_KEPT) {
      this.#reset();
      return;
    }
    this.#next[slot] = this.#free;
    this.#free = slot;
  }

  /**
   * Gives a lease all its time again.
   *
   * @param slot A slot in use.
   * @param nowMs The time of the log.
   */
  extend(slot: number, nowMs: number): void {
    this.#unlink(slot);
    this.#append(slot, nowMs + this.#holders[slot]!.lane!.leaseMs);
  }

  /**
   * Gives every lease all its time again; their order stays.
   *
   * @param nowMs The time of the log.
   */
  extendAll(nowMs: number): void {
    for (const { leaseMs, first } of this.#lanes) {
      for (let slot = first; slot !== NO_SLOT; slot = this.#next[slot]!) {
        this.#deadlines[slot] = nowMs + leaseMs;
      }
    }
  }

  /**
   * Copies the leases.
   *
   * @returns All of them, lane by lane in the order of their deadlines, each with the `place` of its
   * holder.
   */
  capture(): LeaseSnapshot {
    const { size } = this;
    if (size === 0) return NO_LEASES;
    const offset = new Float64Array(size);
    const deadlineMs = new Float64Array(size);
    const deliveryCount = new Uint32Array(size);
    const holder = new Uint32Array(size);
    const priority = new Uint8Array(size);
    let at = 0;
    let highest = 0;
    for (const { first } of this.#lanes) {
      for (let slot = first; slot !== NO_SLOT; slot = this.#next[slot]!, at++) {
        offset[at] = this.#offsets[slot]!;
        deadlineMs[at] = this.#deadlines[slot]!;
        deliveryCount[at] = this.#deliveryCounts[slot]!;
        holder[at] = this.#holders[slot]!.place;
        priority[at] = this.#priorities[slot]!;
        highest = Math.max(highest, priority[at]!);
      }
    }
    const leases = { offset, deadlineMs, deliveryCount, holder };
    return highest === 0 ? leases : { ...leases, priority };
  }

  /** Checks lists, links, counts and order. */
  checkInvariants(): void {
    let leased = 0;
    let lastMs = -1;
    for (const lane of this.#lanes) {
      invariant(lane.consumers > 0 && lane.leaseMs > lastMs, "Lanes are in use, and in order");
      lastMs = lane.leaseMs;
      leased += this.#checkLane(lane);
    }
    invariant(this.#index.size === leased, "A leased message is in the lane of its consumer");
    let free = 0;
    for (let slot = this.#free; slot !== NO_SLOT; slot = this.#next[slot]!) free++;
    invariant(free + leased === this.#offsets.length, "Every slot is used or free");
  }

  #checkLane(lane: LeaseLane): number {
    let leased = 0;
    let previous = NO_SLOT;
    let deadlineMs = -Infinity;
    for (let slot = lane.first; slot !== NO_SLOT; slot = this.#next[slot]!) {
      const consumer = this.#holders[slot];
      invariant(consumer !== undefined, "A lease has a holder");
      invariant(consumer.lane === lane, "A lease is in the lane of its holder");
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
    invariant(lane.last === previous, "A lane ends where it should");
    return leased;
  }

  #enterLane(leaseMs: number): LeaseLane {
    let lane = this.#lanes.find((lane) => lane.leaseMs === leaseMs);
    if (lane === undefined) {
      lane = { leaseMs, first: NO_SLOT, last: NO_SLOT, consumers: 0 };
      this.#lanes.push(lane);
      this.#lanes.sort((a, b) => a.leaseMs - b.leaseMs);
    }
    lane.consumers++;
    return lane;
  }

  #leaveLane(lane: LeaseLane): void {
    if (--lane.consumers === 0) this.#lanes.splice(this.#lanes.indexOf(lane), 1);
  }

  /** Puts a lease at the end of the lane of its holder. */
  #append(slot: number, deadlineMs: number): void {
    const lane = this.#holders[slot]!.lane!;
    const { last } = lane;
    if (last === NO_SLOT) {
      lane.first = slot;
    } else {
      invariant(this.#deadlines[last]! <= deadlineMs, "A new lease ends after all others");
      this.#next[last] = slot;
    }
    this.#previous[slot] = last;
    this.#next[slot] = NO_SLOT;
    this.#deadlines[slot] = deadlineMs;
    lane.last = slot;
  }

  #unlink(slot: number): void {
    const lane = this.#holders[slot]!.lane!;
    const previous = this.#previous[slot]!;
    const next = this.#next[slot]!;
    if (previous === NO_SLOT) lane.first = next;
    else this.#next[previous] = next;
    if (next === NO_SLOT) lane.last = previous;
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
    const priorities = new Uint8Array(capacity);
    priorities.set(this.#priorities);
    this.#priorities = priorities;
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
    this.#priorities = new Uint8Array(0);
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
