/**
 * A partition as it was at one moment, to be made into parts of a snapshot afterwards, while the
 * partition itself goes on.
 *
 * Taking hold of it costs what consumers hold and not what waits: batch records are shared, leases
 * are copied.
 *
 * @module
 */

import type { BatchCapture } from "./batch_index.ts";
import {
  type ConsumerSnapshot,
  type LeaseSnapshot,
  PART_BATCHES_MAX,
  PART_ITEMS_MAX,
  PART_LEASES_MAX,
  type PartitionPart,
  type SnapshotPart,
} from "./machine_snapshot.ts";
import type { OffsetHeap } from "./offset_heap.ts";

/** What a partition hands over; all of it belongs to the capture, or does not change any more. */
export interface PartitionState {
  readonly partition: PartitionPart;
  readonly consumers: readonly ConsumerSnapshot[];
  readonly ring: Uint32Array;
  readonly batches: BatchCapture;
  readonly leases: LeaseSnapshot;
  readonly returned: OffsetHeap;
}

/**
 * Makes the parts of a partition, once.
 *
 * @param state The partition.
 * @returns Its parts, each made when it is asked for.
 */
export function* partsOfPartition(state: PartitionState): Generator<SnapshotPart> {
  const { consumers, ring, leases, returned } = state;
  yield state.partition;
  for (let at = 0; at < consumers.length; at += PART_ITEMS_MAX) {
    yield { kind: "consumers", consumers: consumers.slice(at, at + PART_ITEMS_MAX) };
  }
  if (ring.length > 0) yield { kind: "ring", consumers: ring };
  for (const run of state.batches.runs(PART_BATCHES_MAX)) yield { kind: "batches", ...run };
  for (let at = 0; at < leases.offset.length; at += PART_LEASES_MAX) {
    const end = at + PART_LEASES_MAX;
    yield {
      kind: "leases",
      offset: leases.offset.subarray(at, end),
      deadlineMs: leases.deadlineMs.subarray(at, end),
      deliveryCount: leases.deliveryCount.subarray(at, end),
      holder: leases.holder.subarray(at, end),
    };
  }
  while (returned.size > 0) {
    const count = Math.min(returned.size, PART_LEASES_MAX);
    const offset = new Float64Array(count);
    const deliveryCount = new Uint32Array(count);
    for (let at = 0; at < count; at++) {
      deliveryCount[at] = returned.firstDeliveryCount;
      offset[at] = returned.pop();
    }
    yield { kind: "returned", offset, deliveryCount };
  }
}
