/**
 * What the partitions of a shard have taken from the outboxes of others: for each partition and each
 * shard, the highest id of a transfer that is stored.
 *
 * Transfers of one shard to one partition come in the order of their ids, so that one number tells
 * them all: what is at or below the mark has arrived.
 *
 * @module
 */

import { invariant } from "./invariant.ts";
import type { TransferMark } from "./machine_snapshot.ts";

/** Marks by partition and shard. */
export class TransferMarks {
  /** By partition, then by shard. */
  readonly #marks = new Map<number, Map<number, number>>();

  /**
   * Tells how far a partition has come with a shard.
   *
   * @param partitionId The partition.
   * @param sourceShard Where transfers come from.
   * @returns The id of the newest transfer that it has taken, 0 before the first.
   */
  get(partitionId: number, sourceShard: number): number {
    return this.#marks.get(partitionId)?.get(sourceShard) ?? 0;
  }

  /**
   * Notes that transfers have arrived.
   *
   * @param partitionId The partition.
   * @param sourceShard Where they come from.
   * @param id The newest of them.
   */
  set(partitionId: number, sourceShard: number, id: number): void {
    const ofPartition = this.#marks.get(partitionId);
    if (ofPartition === undefined) this.#marks.set(partitionId, new Map([[sourceShard, id]]));
    else ofPartition.set(sourceShard, id);
  }

  /**
   * Forgets a partition: it is gone, and its id is never used again.
   *
   * @param partitionId The partition.
   */
  forgetPartition(partitionId: number): void {
    this.#marks.delete(partitionId);
  }

  /**
   * Copies the marks into plain data.
   *
   * @returns All of them, in the order in which they were first set.
   */
  capture(): TransferMark[] {
    const marks: TransferMark[] = [];
    for (const [partitionId, ofPartition] of this.#marks) {
      for (const [sourceShard, id] of ofPartition) marks.push({ partitionId, sourceShard, id });
    }
    return marks;
  }

  /**
   * Checks the marks.
   *
   * @param lives Tells whether a partition lives here.
   */
  checkInvariants(lives: (partitionId: number) => boolean): void {
    for (const [partitionId, ofPartition] of this.#marks) {
      invariant(lives(partitionId), "Only partitions that live here have taken something");
      for (const id of ofPartition.values()) invariant(id > 0, "A mark is the id of a transfer");
    }
  }
}
