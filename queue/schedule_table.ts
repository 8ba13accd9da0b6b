/**
 * The schedules of the partitions of a shard, and which of them is due first.
 *
 * @module
 */

import { DeadlineHeap } from "./deadline_heap.ts";
import { invariant } from "./invariant.ts";
import type { MachineLimits } from "./limits.ts";
import type { Schedule } from "./schedule.ts";

/** All schedules of a shard. */
export class ScheduleTable {
  readonly #limits: MachineLimits;
  /** By number, which is the order in which they were made. */
  readonly #schedules = new Map<number, Schedule>();
  /** Numbers by partition and id. Follows from the above, as does what is due. */
  readonly #numbers = new Map<number, Map<string, number>>();
  /** Those that will be due. */
  readonly #due = new DeadlineHeap();

  /**
   * Makes an empty table.
   *
   * @param limits How many schedules there may be.
   */
  constructor(limits: MachineLimits) {
    this.#limits = limits;
  }

  /** When the first schedule is due, or `undefined` when none ever is. */
  get firstDueMs(): number | undefined {
    return this.#due.firstDeadlineMs;
  }

  /** What has no room for one more schedule of a partition, and how much it holds, or `undefined`. */
  fullAt(partitionId: number): { readonly what: string; readonly limit: number } | undefined {
    const { schedulesPerPartition, schedulesPerShard } = this.#limits;
    if ((this.#numbers.get(partitionId)?.size ?? 0) >= schedulesPerPartition) {
      return { what: "schedules of a queue", limit: schedulesPerPartition };
    }
    if (this.#schedules.size >= schedulesPerShard) {
      return { what: "schedules of a shard", limit: schedulesPerShard };
    }
    return undefined;
  }

  /**
   * Finds a schedule by what people call it.
   *
   * @param partitionId Its partition.
   * @param id Its id there.
   * @returns The schedule, or `undefined`.
   */
  find(partitionId: number, id: string): Schedule | undefined {
    const number = this.#numbers.get(partitionId)?.get(id);
    return number === undefined ? undefined : this.#schedules.get(number);
  }

  /**
   * Finds a schedule by its number.
   *
   * @param number The log index of the command that made it.
   * @returns The schedule, or `undefined`.
   */
  get(number: number): Schedule | undefined {
    return this.#schedules.get(number);
  }

  /**
   * Lists the schedules of a partition.
   *
   * @param partitionId The partition.
   * @returns Its schedules, in the order in which they were made.
   */
  list(partitionId: number): Schedule[] {
    const numbers = [...this.#numbers.get(partitionId)?.values() ?? []];
    return numbers.map((number) => this.#schedules.get(number)!);
  }

  /**
   * Goes over the schedules that are due. Costs as much as there are schedules, so see first whether
   * there is any.
   *
   * @param nowMs The time.
   * @returns Those that are due then, in the order in which they were made.
   */
  *dueBy(nowMs: number): Generator<Schedule, void> {
    if ((this.firstDueMs ?? Infinity) > nowMs) return;
    for (const schedule of this.#schedules.values()) {
      if (willBeDue(schedule) && schedule.nextMs <= nowMs) yield schedule;
    }
  }

  /**
   * Adds a schedule, or replaces the record of one.
   *
   * @param schedule One of the number of which there is none, or the same one.
   */
  put(schedule: Schedule): void {
    const { partitionId, id, number } = schedule;
    let numbers = this.#numbers.get(partitionId);
    if (numbers === undefined) this.#numbers.set(partitionId, numbers = new Map());
    const current = numbers.get(id);
    invariant(current === undefined || current === number, "An id stands for one schedule");
    numbers.set(id, number);
    this.#schedules.set(number, schedule);
    if (willBeDue(schedule)) this.#due.set(number, schedule.nextMs);
    else this.#due.delete(number);
  }

  /**
   * Takes a schedule out.
   *
   * @param schedule One that is here.
   */
  remove({ partitionId, id, number }: Schedule): void {
    const numbers = this.#numbers.get(partitionId);
    numbers?.delete(id);
    if (numbers?.size === 0) this.#numbers.delete(partitionId);
    this.#schedules.delete(number);
    this.#due.delete(number);
  }

  /**
   * Takes out the schedules of a partition that is deleted.
   *
   * @param partitionId The partition.
   */
  forgetPartition(partitionId: number): void {
    for (const schedule of this.list(partitionId)) this.remove(schedule);
  }

  /**
   * Takes hold of the schedules as they are now.
   *
   * @returns All of them, in the order of their numbers.
   */
  capture(): Schedule[] {
    return [...this.#schedules.values()];
  }

  /**
   * Checks the schedules and what is due.
   *
   * @param lives Tells whether a partition lives here.
   * @param appliedIndex The index of the last command.
   */
  checkInvariants(lives: (partitionId: number) => boolean, appliedIndex: number): void {
    this.#due.checkInvariants();
    let last = 0;
    let due = 0;
    for (const [number, schedule] of this.#schedules) {
      const { partitionId, id, nextMs, lastMs } = schedule;
      invariant(number === schedule.number, "A schedule is found by its number");
      invariant(number > last && number <= appliedIndex, "Schedules are in the order of the log");
      last = number;
      invariant(lives(partitionId), "A schedule belongs to a partition that lives here");
      invariant(this.find(partitionId, id) === schedule, "A schedule is found by its id");
      invariant(nextMs === 0 || nextMs > lastMs, "A schedule is due after it was fired");
      invariant(this.#due.has(number) === willBeDue(schedule), "What will be due is waited for");
      if (willBeDue(schedule)) due++;
    }
    invariant(due === this.#due.size, "Only schedules are waited for");
    let ids = 0;
    for (const numbers of this.#numbers.values()) ids += numbers.size;
    invariant(ids === this.#schedules.size, "Only schedules have an id");
  }
}

function willBeDue({ paused, nextMs }: Schedule): boolean {
  return !paused && nextMs > 0;
}
