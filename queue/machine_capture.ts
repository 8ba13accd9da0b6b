/**
 * The state of a machine as it was at one moment, to be made into the parts of a snapshot afterwards,
 * while the machine goes on: nothing that it does changes what the capture holds.
 *
 * Taking hold of the state is the one thing for which the machine has to stand still, so it costs
 * little: what grows with the backlog, the batch records, is shared and not copied; of sessions,
 * producers and partitions there is a small object each.
 *
 * @module
 */

import type { Transfer } from "./commands.ts";
import {
  PART_ITEMS_MAX,
  type QueueSnapshot,
  type SessionSnapshot,
  type ShardPart,
  type SnapshotPart,
  type TransferMark,
} from "./machine_snapshot.ts";
import { type PartitionState, partsOfPartition } from "./partition_capture.ts";
import type { ProducerCapture } from "./publisher_table.ts";
import type { Schedule } from "./schedule.ts";

/** What moves between the queues of this shard and of others, at one moment. */
export interface OutboxCapture {
  readonly nextId: number;
  readonly transfers: readonly Transfer[];
  readonly marks: readonly TransferMark[];
}

/** The state of a machine at one moment. */
export class MachineCapture {
  readonly #shard: ShardPart;
  readonly #queues: readonly QueueSnapshot[];
  readonly #sessions: readonly SessionSnapshot[];
  readonly #producers: readonly ProducerCapture[];
  readonly #outbox: OutboxCapture;
  readonly #partitions: readonly PartitionState[];
  readonly #schedules: readonly Schedule[];

  /**
   * @param shard What is of the shard as a whole.
   * @param queues The queues of the catalog.
   * @param sessions The sessions.
   * @param producers What they publish.
   * @param outbox What moves between queues.
   * @param partitions The partitions.
   * @param schedules The schedules.
   */
  constructor(
    shard: ShardPart,
    queues: readonly QueueSnapshot[],
    sessions: readonly SessionSnapshot[],
    producers: readonly ProducerCapture[],
    outbox: OutboxCapture,
    partitions: readonly PartitionState[],
    schedules: readonly Schedule[],
  ) {
    this.#shard = shard;
    this.#queues = queues;
    this.#sessions = sessions;
    this.#producers = producers;
    this.#outbox = outbox;
    this.#partitions = partitions;
    this.#schedules = schedules;
  }

  /**
   * Makes the snapshot, once.
   *
   * @returns Its parts, each made when it is asked for: a millisecond's work at most.
   */
  *parts(): Generator<SnapshotPart> {
    let parts = 0;
    for (const part of this.#partsBeforeEnd()) {
      yield part;
      parts++;
    }
    yield { kind: "end", parts };
  }

  *#partsBeforeEnd(): Generator<SnapshotPart> {
    yield this.#shard;
    for (const queues of groups(this.#queues, ({ partitions }) => partitions.length)) {
      yield { kind: "queues", queues };
    }
    for (const sessions of groups(this.#sessions, () => 1)) yield { kind: "sessions", sessions };
    for (
      const captured of groups(
        this.#producers,
        ({ window }) => 1 + (window.size + window.repeatCount) / 64,
      )
    ) {
      const producers = captured.map(({ sessionId, partitionId, window }) => {
        return { sessionId, partitionId, ...window.snapshot() };
      });
      yield { kind: "producers", producers };
    }
    for (
      const schedules of groups(this.#schedules, ({ message }) => 1 + message.body.length / 64)
    ) {
      yield { kind: "schedules", schedules };
    }
    const { nextId, transfers, marks } = this.#outbox;
    if (nextId > 1) yield { kind: "outbox", nextId };
    for (const some of groups(transfers, () => 1)) yield { kind: "transfers", transfers: some };
    for (const partition of this.#partitions) yield* partsOfPartition(partition);
    for (const some of groups(marks, () => 1)) yield { kind: "transferMarks", marks: some };
  }
}

/** Items one after the other, so many to a part that their weights do not add up to much. */
function* groups<T>(items: readonly T[], weightOf: (item: T) => number): Generator<readonly T[]> {
  let start = 0;
  let weight = 0;
  for (let end = 0; end < items.length; end++) {
    weight += weightOf(items[end]!);
    if (weight < PART_ITEMS_MAX) continue;
    yield items.slice(start, end + 1);
    start = end + 1;
    weight = 0;
  }
  if (start < items.length) yield items.slice(start);
}
