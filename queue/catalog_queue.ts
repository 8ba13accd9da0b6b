/**
 * What the catalog knows of one queue: its record, and what is left to be done so that the record is true.
 *
 * @module
 */

import type { PartitionAction, PartitionInfo, QueueInfo, QueueSettings } from "./commands.ts";

/** A queue in the catalog. */
export interface CatalogQueue {
  info: QueueInfo;
  /** What its shards have yet to do, by partition. */
  readonly unsettled: Map<number, Unsettled>;
  /** While it is getting more partitions. */
  growth: Growth | undefined;
}

/** Something that a shard has to do about a partition. */
export interface Unsettled {
  readonly action: PartitionAction;
  readonly partition: PartitionInfo;
}

/** How far a queue is that is getting more partitions. */
export interface Growth {
  /** Those that are being made; none when all are in the record. */
  readonly added: readonly PartitionInfo[];
  /** Ids of those that may have messages from before. */
  readonly draining: Set<number>;
  /** Since when all are in the record; 0 before that. */
  readonly revision: number;
}

/**
 * Counts the partitions of a queue.
 *
 * @param queue The queue.
 * @returns How many there are, those that are being made included.
 */
export function countOf({ info, growth }: CatalogQueue): number {
  return info.partitions.length + (growth?.added.length ?? 0);
}

/**
 * Tells whether all partitions of a queue are there.
 *
 * @param queue The queue.
 * @returns Whether none is being made.
 */
export function isCreated({ unsettled }: CatalogQueue): boolean {
  return unsettled.values().every(({ action }) => action !== "create");
}

/**
 * Tells what a partition is to know of its queue: one that is in no record yet is ahead of the others.
 *
 * @param queue The queue.
 * @param partitionNumber The number of the partition.
 * @returns What concerns its size.
 */
export function recordFor(
  queue: CatalogQueue,
  partitionNumber: number,
): { readonly settings: QueueSettings; readonly growingFrom?: number } {
  const { settings, partitions: { length: known }, growingFrom } = queue.info;
  if (partitionNumber >= known) {
    return { settings: { ...settings, partitions: countOf(queue) }, growingFrom: known };
  }
  return growingFrom === undefined ? { settings } : { settings, growingFrom };
}
