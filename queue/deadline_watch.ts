/**
 * Which partition has to be looked at next for what time brings: leases that end, messages that are due
 * or expire.
 *
 * The order of these things in one partition is its own business. Here each partition for which there is
 * something to wait for has one time at which to look, never later than the first of them. Acks do not
 * move it, so it may be early: looking then moves it. That keeps the heap out of the way of every ack.
 *
 * @module
 */

import { DeadlineHeap } from "./deadline_heap.ts";
import { invariant } from "./invariant.ts";

/** What is watched: a partition, as far as this is concerned. */
export interface Watched {
  readonly identity: { readonly id: number };
  /** When time brings something to it, or `undefined` for never. */
  readonly firstDeadlineMs: number | undefined;
  /** When it is looked at, `Infinity` for never. Belongs to the watch. */
  watchedMs: number;
}

/** The partitions that time brings something to, the one to look at next first. */
export class DeadlineWatch<T extends Watched> {
  readonly #heap = new DeadlineHeap();
  readonly #watched = new Map<number, T>();

  /**
   * Sees to it that a partition is looked at in time. Cheap when it is already watched.
   *
   * @param partition One that may have something new to wait for.
   */
  watch(partition: T): void {
    const { firstDeadlineMs, watchedMs } = partition;
    if (firstDeadlineMs === undefined || firstDeadlineMs >= watchedMs) return;
    this.#look(partition);
  }

  /**
   * Stops watching a partition.
   *
   * @param partition The partition; one that is not watched is left alone.
   */
  forget(partition: T): void {
    partition.watchedMs = Infinity;
    this.#watched.delete(partition.identity.id);
    this.#heap.delete(partition.identity.id);
  }

  /**
   * Tells when time brings something to any partition.
   *
   * @returns Milliseconds, or `undefined` for never.
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
   * Finds a partition that time has brought something to. It stays the first until that is done.
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
      partition.firstDeadlineMs === undefined ||
        (this.#watched.get(id) === partition && partition.watchedMs <= partition.firstDeadlineMs),
      "A partition that waits for something is looked at in time",
    );
  }

  #first(): T | undefined {
    const id = this.#heap.firstId;
    return id === undefined ? undefined : this.#watched.get(id);
  }

  #look(partition: T): void {
    const { firstDeadlineMs, identity: { id } } = partition;
    if (firstDeadlineMs === undefined) return this.forget(partition);
    partition.watchedMs = firstDeadlineMs;
    this.#watched.set(id, partition);
    this.#heap.set(id, firstDeadlineMs);
  }
}
