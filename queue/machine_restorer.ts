/**
 * Fills the tables of a machine from the parts of a snapshot, one after the other, as they come from
 * a disk.
 *
 * @module
 */

import type { Consumer } from "./consumer.ts";
import { invariant, unreachable } from "./invariant.ts";
import type { MachineLimits } from "./limits.ts";
import {
  type LeaseSnapshot,
  type ShardPart,
  SNAPSHOT_VERSION,
  type SnapshotPart,
  type WaitingSnapshot,
} from "./machine_snapshot.ts";
import { Partition } from "./partition.ts";
import { ShardTables } from "./shard_tables.ts";

/** Tables that are filled from a snapshot. */
export class TablesRestorer {
  readonly #shard: number;
  readonly #limits: MachineLimits;
  #tables: ShardTables | undefined;
  /** What the parts that come are of. */
  #partition: Partition | undefined;
  #consumers: Consumer[] = [];
  #parts = 0;
  #isWhole = false;

  /**
   * @param shard The shard.
   * @param limits Its limits.
   */
  constructor(shard: number, limits: MachineLimits) {
    this.#shard = shard;
    this.#limits = limits;
  }

  /**
   * Takes the next part.
   *
   * @param part The part.
   * @throws {RangeError} when it cannot come here, or the snapshot has another version or shard.
   */
  take(part: SnapshotPart): void {
    if (this.#isWhole) throw new RangeError("Cannot restore a snapshot with parts behind its end");
    if (part.kind === "shard") this.#begin(part);
    else if (part.kind === "end") this.#end(part.parts);
    else this.#fill(this.#begun, part);
    this.#parts++;
  }

  /**
   * Ends the restoration.
   *
   * @returns The tables, checked.
   * @throws {RangeError} when parts are missing.
   */
  finish(): ShardTables {
    if (!this.#isWhole) throw new RangeError("Cannot restore a snapshot that is cut off");
    const tables = this.#begun;
    tables.restored();
    return tables;
  }

  get #begun(): ShardTables {
    if (this.#tables === undefined) {
      throw new RangeError("Cannot restore a snapshot that has lost its beginning");
    }
    return this.#tables;
  }

  #begin(part: ShardPart): void {
    if (part.version !== SNAPSHOT_VERSION) {
      throw new RangeError(
        `Cannot restore a snapshot as its version must be ${SNAPSHOT_VERSION}: ` +
          `current value is ${part.version}`,
      );
    }
    if (part.shard !== this.#shard) {
      throw new RangeError(
        `Cannot restore a snapshot as it must be of shard ${this.#shard}: ` +
          `current value is ${part.shard}`,
      );
    }
    if (this.#tables !== undefined) {
      throw new RangeError("Cannot restore a snapshot with two beginnings");
    }
    this.#tables = new ShardTables(this.#shard, this.#limits);
    this.#tables.restore(part);
  }

  #end(parts: number): void {
    if (parts !== this.#parts) {
      throw new RangeError(`Cannot restore a snapshot of ${parts} parts: there are ${this.#parts}`);
    }
    this.#isWhole = true;
  }

  #fill(tables: ShardTables, part: Exclude<SnapshotPart, { kind: "shard" | "end" }>): void {
    switch (part.kind) {
      case "queues":
        invariant(tables.catalog !== undefined, "Only the shard with the catalog has queues");
        for (const saved of part.queues) tables.catalog.restore(saved);
        return;
      case "sessions":
        for (const saved of part.sessions) tables.sessions.restore(saved);
        return;
      case "producers":
        for (const saved of part.producers) tables.publishers.restore(saved);
        return;
      case "outbox":
        return tables.outbox.restoreNextId(part.nextId);
      case "transfers":
        for (const saved of part.transfers) tables.outbox.restore(saved);
        return;
      case "transferMarks":
        for (const { partitionId, sourceShard, id } of part.marks) {
          tables.transferMarks.set(partitionId, sourceShard, id);
        }
        return;
      case "schedules":
        for (const saved of part.schedules) tables.schedules.put(saved);
        return;
      case "partition":
        this.#partition = Partition.restore(part, tables.outbox, tables);
        this.#consumers = [];
        tables.addPartition(this.#partition);
        return;
    }
    const partition = this.#partition;
    if (partition === undefined) {
      throw new RangeError(`Cannot restore ${part.kind} without a partition`);
    }
    switch (part.kind) {
      case "consumers":
        for (const saved of part.consumers) {
          const session = tables.sessions.get(saved.sessionId);
          invariant(session !== undefined, "The session of a consumer is in the snapshot");
          const consumer = partition.restoreConsumer(saved, session.state === "attached");
          session.addConsumer(consumer);
          this.#consumers.push(consumer);
        }
        return;
      case "ring":
        for (const place of part.consumers) partition.restoreTurn(this.#consumerAt(place));
        return;
      case "batches":
      case "passed":
      case "expiries":
      case "sizes":
        return partition.restoreBacklog(part);
      case "leases":
        return this.#restoreLeases(partition, part);
      case "uniques":
        return partition.restoreUniques(part);
      case "keyed":
      case "keyTurns":
      case "keyRests":
      case "keyRates":
        return partition.restoreKeyed(part);
      case "returned":
        for (const [offset, count, priority] of waitingIn(part)) {
          partition.restoreReady(offset, count, priority);
        }
        return;
      case "delayed":
        for (const [offset, count, priority, at] of waitingIn(part)) {
          partition.restoreDelayed(part.dueMs[at]!, offset, count, priority);
        }
        return;
      case "history":
      case "happenings":
      case "replayable":
      case "replaying":
        return partition.restoreHistory(part);
      default:
        unreachable(part);
    }
  }

  #restoreLeases(partition: Partition, part: LeaseSnapshot): void {
    const { offset, deadlineMs, deliveryCount, holder, priority } = part;
    for (let at = 0; at < offset.length; at++) {
      const consumer = this.#consumerAt(holder[at]!);
      partition.restoreLease(
        offset[at]!,
        deliveryCount[at]!,
        priority?.[at] ?? 0,
        consumer,
        deadlineMs[at]!,
      );
    }
  }

  #consumerAt(place: number): Consumer {
    const consumer = this.#consumers[place];
    invariant(consumer !== undefined, "The consumers of a partition come before what they hold");
    return consumer;
  }
}

function* waitingIn(
  { offset, deliveryCount, priority }: WaitingSnapshot,
): Generator<readonly [offset: number, deliveryCount: number, priority: number, at: number]> {
  for (let at = 0; at < offset.length; at++) {
    yield [offset[at]!, deliveryCount[at]!, priority?.[at] ?? 0, at];
  }
}
