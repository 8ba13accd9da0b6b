/**
 * Where each message stands, read out of the state of a queue machine: for tools that look at a log.
 *
 * @module
 */

import type { BatchRun, MachineSnapshot, PartitionSnapshot } from "../queue/mod.ts";

/**
 * - `ready`: waits for a consumer;
 * - `leased`: is with a consumer;
 * - `acked`: is done with;
 * - `gone`: its queue is gone.
 */
export type MessageState = "ready" | "leased" | "acked" | "gone";

/** A batch of messages: what one entry of the log put into a partition. */
export interface PlacedBatch {
  readonly firstOffset: number;
  /** The offset behind its last message. */
  readonly endOffset: number;
  readonly entryIndex: number;
}

/**
 * Lists the batches that a partition has on record, oldest first.
 *
 * @param partition The partition.
 * @returns Its batches; the first may have lost some of its messages, and any of them all.
 */
export function* batchesOf(
  { batches, nextOffset }: Pick<PartitionSnapshot, "batches" | "nextOffset">,
): Generator<PlacedBatch, void> {
  let last: { readonly firstOffset: number; readonly entryIndex: number } | undefined;
  for (const start of batchStarts(batches)) {
    if (last !== undefined) yield { ...last, endOffset: start.firstOffset };
    last = start;
  }
  if (last !== undefined) yield { ...last, endOffset: nextOffset };
}

function* batchStarts(runs: readonly BatchRun[]) {
  for (const { firstOffset: first, entryIndex: index, steps } of runs) {
    let firstOffset = first;
    let entryIndex = index;
    yield { firstOffset, entryIndex };
    for (let at = 0; at < steps.length; at += 2) {
      firstOffset += steps[at]!;
      entryIndex += steps[at + 1]!;
      yield { firstOffset, entryIndex };
    }
  }
}

/** What is known of the messages of one partition. */
interface Known {
  readonly partition: PartitionSnapshot;
  readonly leased: ReadonlySet<number>;
  readonly returned: ReadonlySet<number>;
}

/** The messages of a shard at one moment. */
export class MessageStates {
  readonly #partitions: ReadonlyMap<number, Known>;

  /** @param snapshot The state of the shard. */
  constructor(snapshot: MachineSnapshot) {
    this.#partitions = new Map(snapshot.partitions.map((partition) => [partition.id, {
      partition,
      leased: new Set(partition.leases.offset),
      returned: new Set(partition.returned.offset),
    }]));
  }

  /**
   * Where a message stands.
   *
   * @param partitionId Where it was published.
   * @param offset Its offset there.
   * @returns Its state.
   */
  stateOf(partitionId: number, offset: number): MessageState {
    const known = this.#partitions.get(partitionId);
    return known === undefined ? "gone" : stateIn(known, offset);
  }

  /**
   * Lists the entries of the log that hold a message which is not acked.
   *
   * @returns Their indexes, ascending.
   */
  liveEntries(): Float64Array {
    const indexes: number[] = [];
    for (const known of this.#partitions.values()) {
      for (const batch of batchesOf(known.partition)) {
        if (isAlive(known, batch)) indexes.push(batch.entryIndex);
      }
    }
    return Float64Array.from(indexes).sort();
  }
}

function stateIn({ partition, leased, returned }: Known, offset: number): MessageState {
  if (offset >= partition.freshOffset || returned.has(offset)) return "ready";
  return leased.has(offset) ? "leased" : "acked";
}

function isAlive(known: Known, { firstOffset, endOffset }: PlacedBatch): boolean {
  for (let offset = firstOffset; offset < endOffset; offset++) {
    if (stateIn(known, offset) !== "acked") return true;
  }
  return false;
}
