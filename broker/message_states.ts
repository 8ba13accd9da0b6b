/**
 * Where each message stands, read out of the state of a queue machine: for tools that look at a log.
 *
 * @module
 */

import type {
  BatchRun,
  OffsetRuns,
  PartitionPart,
  ShardMachine,
  TransferLane,
} from "../queue/mod.ts";
import { offsetRanges } from "../queue/offset_set.ts";
import { StepReader } from "../queue/step_codec.ts";

/**
 * - `ready`: waits for a consumer;
 * - `delayed`: waits for a time;
 * - `leased`: is with a consumer;
 * - `acked`: is done with: acked, dead, expired, dropped or removed;
 * - `gone`: its queue is gone.
 */
export type MessageState = "ready" | "delayed" | "leased" | "acked" | "gone";

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
  { batches, nextOffset }: { readonly batches: readonly BatchRun[]; readonly nextOffset: number },
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
    const reader = new StepReader(steps);
    while (reader.next()) {
      for (let i = 0; i < reader.count; i++) {
        firstOffset += reader.offsetStep;
        entryIndex += reader.indexStep;
        yield { firstOffset, entryIndex };
      }
    }
  }
}

/** A partition with what is in it. */
export interface PartitionContents extends PartitionPart {
  /** Oldest first. */
  readonly batches: BatchRun[];
  /** Offsets of messages that consumers hold. */
  readonly leased: Set<number>;
  /** Offsets of messages that are ready, and not fresh. */
  readonly returned: Set<number>;
  /** Offsets of messages that wait for a time. */
  readonly delayed: Set<number>;
  /** Offsets above `freshOffset` of messages that are not fresh. */
  readonly passed: Set<number>;
  /** Offsets of messages that were acked, and may be brought back. */
  readonly kept: Set<number>;
}

/**
 * Gathers what a machine has in its partitions.
 *
 * @param machine The machine.
 * @returns The partitions, by id.
 */
export function partitionsOf(machine: ShardMachine): Map<number, PartitionContents> {
  const partitions = new Map<number, PartitionContents>();
  let current: PartitionContents | undefined;
  for (const part of machine.capture().parts()) {
    if (part.kind === "partition") {
      current = {
        ...part,
        batches: [],
        leased: new Set(),
        returned: new Set(),
        delayed: new Set(),
        passed: new Set(),
        kept: new Set(),
      };
      partitions.set(part.id, current);
    } else if (part.kind === "batches") {
      current!.batches.push(part);
    } else if (part.kind === "leases") {
      for (const offset of part.offset) current!.leased.add(offset);
    } else if (part.kind === "returned") {
      for (const offset of part.offset) current!.returned.add(offset);
    } else if (part.kind === "delayed") {
      for (const offset of part.offset) current!.delayed.add(offset);
    } else if (part.kind === "passed") {
      addRanges(current!.passed, part);
    } else if (part.kind === "replayable" || part.kind === "replaying") {
      addRanges(current!.kept, part);
    }
  }
  return partitions;
}

function addRanges(set: Set<number>, runs: OffsetRuns): void {
  for (const [start, end] of offsetRanges(runs)) {
    for (let offset = start; offset < end; offset++) set.add(offset);
  }
}

/** The messages of a shard at one moment. */
export class MessageStates {
  readonly #partitions: ReadonlyMap<number, PartitionContents>;
  readonly #lanes: readonly TransferLane[];

  /** @param machine Has the state of the shard. */
  constructor(machine: ShardMachine) {
    this.#partitions = partitionsOf(machine);
    this.#lanes = [...machine.transferLanes()];
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
   * Lists the entries of the log that hold a message which is not acked, may be brought back, or is on
   * its way to another queue.
   *
   * @returns Their indexes, ascending.
   */
  liveEntries(): Float64Array {
    const indexes: number[] = [];
    for (const known of this.#partitions.values()) {
      for (const batch of batchesOf(known)) {
        if (isAlive(known, batch)) indexes.push(batch.entryIndex);
      }
    }
    for (const { transfers } of this.#lanes) {
      for (const { entryIndex } of transfers.values()) indexes.push(entryIndex);
    }
    return Float64Array.from(new Set(indexes)).sort();
  }
}

function stateIn(
  { freshOffset, leased, returned, delayed, passed }: PartitionContents,
  offset: number,
): MessageState {
  if (returned.has(offset) || (offset >= freshOffset && !passed.has(offset))) return "ready";
  if (delayed.has(offset)) return "delayed";
  return leased.has(offset) ? "leased" : "acked";
}

function isAlive(known: PartitionContents, { firstOffset, endOffset }: PlacedBatch): boolean {
  for (let offset = firstOffset; offset < endOffset; offset++) {
    if (stateIn(known, offset) !== "acked" || known.kept.has(offset)) return true;
  }
  return false;
}
