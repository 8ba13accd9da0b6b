/**
 * A consumer attached to a partition, and the ring in which consumers with credit wait for their turn.
 *
 * Round robin is strict, message by message: the consumer at the head of the ring gets one message and
 * goes to the tail, or leaves the ring when its credit is used up. One that gets credit joins at the
 * tail. So no dispatch ever looks at a consumer that can take nothing.
 *
 * @module
 */

import { invariant } from "./invariant.ts";
import { NO_SLOT } from "./offset_index.ts";

/** Leases of a partition that last equally long, in the order of their deadlines. */
export interface LeaseLane {
  readonly leaseMs: number;
  /** Ends of the list; the links are in the lease table. */
  first: number;
  last: number;
  /** How many consumers hold messages for so long. */
  consumers: number;
}

/** One attachment of a consumer to one partition. Its fields belong to the files of this folder. */
export class Consumer {
  readonly sessionId: number;
  readonly consumerId: number;
  readonly partitionId: number;
  prefetch: number;
  /** Leases it holds. */
  held = 0;
  /** Wants a `drained` effect as soon as nothing is ready. */
  draining = false;
  /** Attached since its session last lost its connection. */
  attached = true;
  /** `attached`, and so is its session: deliveries would reach it. Follows from the two. */
  receiving = false;

  /** How long it holds a message, where it does not leave that to the queue; 0 where it does. */
  leaseMs = 0;
  /** Its leases are in it, among others that last as long. */
  lane: LeaseLane | undefined = undefined;
  /** Ends of the list of its leases; the links are in the lease table. */
  firstLease = NO_SLOT;
  lastLease = NO_SLOT;

  /** Neighbours in the ready ring; both `undefined` for a lone member too, hence `inRing`. */
  ringPrevious: Consumer | undefined = undefined;
  ringNext: Consumer | undefined = undefined;
  inRing = false;

  /** Its place among the consumers of its partition, while a snapshot is taken. */
  place = 0;

  /**
   * Makes a consumer that holds nothing.
   *
   * @param sessionId Whose it is.
   * @param consumerId The client's name for it.
   * @param partitionId Where it takes from.
   * @param prefetch How many messages it may hold.
   */
  constructor(sessionId: number, consumerId: number, partitionId: number, prefetch: number) {
    this.sessionId = sessionId;
    this.consumerId = consumerId;
    this.partitionId = partitionId;
    this.prefetch = prefetch;
  }

  /** Whether the next message may go to it. */
  get hasCredit(): boolean {
    return this.receiving && this.held < this.prefetch;
  }
}

/** The consumers of a partition that have credit, in the order of their turns. */
export class ReadyRing {
  #head: Consumer | undefined;
  #tail: Consumer | undefined;

  /** Whose turn it is, or `undefined` when nobody has credit. */
  get head(): Consumer | undefined {
    return this.#head;
  }

  /**
   * Puts a consumer at the tail.
   *
   * @param consumer One that is not in the ring.
   */
  join(consumer: Consumer): void {
    invariant(!consumer.inRing, "A consumer is in the ring once");
    consumer.inRing = true;
    consumer.ringPrevious = this.#tail;
    consumer.ringNext = undefined;
    if (this.#tail === undefined) this.#head = consumer;
    else this.#tail.ringNext = consumer;
    this.#tail = consumer;
  }

  /**
   * Takes a consumer out, wherever it is.
   *
   * @param consumer One that is in the ring.
   */
  leave(consumer: Consumer): void {
    invariant(consumer.inRing, "Only a member leaves the ring");
    const { ringPrevious, ringNext } = consumer;
    if (ringPrevious === undefined) this.#head = ringNext;
    else ringPrevious.ringNext = ringNext;
    if (ringNext === undefined) this.#tail = ringPrevious;
    else ringNext.ringPrevious = ringPrevious;
    consumer.ringPrevious = undefined;
    consumer.ringNext = undefined;
    consumer.inRing = false;
  }

  /** Ends the turn of the head: it goes to the tail. */
  rotate(): void {
    const head = this.#head;
    if (head === undefined || head === this.#tail) return;
    this.leave(head);
    this.join(head);
  }

  /**
   * Goes over the members in the order of their turns.
   *
   * @returns An iterator; the ring must not change meanwhile.
   */
  *[Symbol.iterator](): IterableIterator<Consumer> {
    for (let at = this.#head; at !== undefined; at = at.ringNext) yield at;
  }
}
