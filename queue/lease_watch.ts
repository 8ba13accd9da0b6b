/**
 * Which partition has to be looked at next for leases that end.
 *
 * The order of the leases of one partition is the business of its lease table. Here each partition with
 * leases has one time at which to look, never later than its first lease ends. Acks do not move it, so
 * it may be early: looking then moves it. That keeps the heap out of the way of every ack.
 *
 * @module
 */

import { DeadlineHeap } from "./deadline_heap.ts";
import { invariant } from "./invariant.ts";

/** What is watched: a partition, as far as this is concerned. */
export interface Watched {
  readonly identity: { readonly id: number };
  /** When its first lease ends, or `undefined` when it has none. */
  readonly firstDeadlineMs: number | undefined;
}

/** The partitions with leases, the one to look at next first. */
export class LeaseWatch<T extends Watched> {
  readonly #heap = new DeadlineHeap();
  readonly #watched = new Map<number, T>();

  /**
   * Sees to it that a partition is looked at in time. Cheap when it is already watched.
   *
   * @param partition One whose leases may have become more, or later.
   */
  watch(partition: T): void {
    if (partition.firstDeadlineMs === undefined || this.#watched.has(partition.identity.id)) return;
    this.#watched.set(partition.identity.id, partition);
    this.#heap.set(partition.identity.id, partition.firstDeadlineMs);
  }

  /**
   * Stops watching a partition.
   *
   * @param id Its id; one that is not watched is left alone.
   */
  forget(id: number): void {
    this.#watched.delete(id);
    this.#heap.delete(id);
  }

  /**
   * Tells when the first lease of all partitions ends.
   *
   * @returns Milliseconds, or `undefined` when there is no lease.
   */
  firstDeadlineMs(): number | undefined {
    for (;;) {
      const partition = this.#first();
      const deadlineMs = this.#heap.firstDeadlineMs;
      if (partition === undefined || partition.firstDeadlineMs === deadlineMs) return deadlineMs;
      this.#look(partition);
    }
  }

  /**
   * Finds a partition with a lease whose time is over. It stays the first until its leases change.
   *
   * @param nowMs The time of the log.
   * @returns The partition, or `undefined` when there is none.
   */
  due(nowMs: number): T | undefined {
    const deadlineMs = this.firstDeadlineMs();
    return deadlineMs === undefined || deadlineMs > nowMs ? undefined : this.#first();
  }

  /**
   * Checks that a partition is watched if it must be.
   *
   * @param partition Any partition.
   */
  checkInvariants(partition: T): void {
    const { id } = partition.identity;
    this.#heap.checkInvariants();
    invariant(this.#heap.size === this.#watched.size, "What is watched has a time");
    invariant(
      partition.firstDeadlineMs === undefined || this.#watched.get(id) === partition,
      "A partition with leases is watched",
    );
  }

  #first(): T | undefined {
    const id = this.#heap.firstId;
    return id === undefined ? undefined : this.#watched.get(id);
  }

  #look(partition: T): void {
    const { firstDeadlineMs, identity: { id } } = partition;
    if (firstDeadlineMs === undefined) this.forget(id);
    else this.#heap.set(id, firstDeadlineMs);
  }
}
