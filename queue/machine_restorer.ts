/**
 * Fills the tables of a machine from the parts of a snapshot, one after the other, as they come from
 * a disk.
 *
 * @module
 */

import { invariant } from "./invariant.ts";
import type { MachineLimits } from "./limits.ts";
import {
  type PartitionPart,
  type ShardPart,
  SNAPSHOT_VERSION,
  type SnapshotPart,
} from "./machine_snapshot.ts";
import { Partition } from "./partition.ts";
import type { PartitionRestorer } from "./partition_restorer.ts";
import { ShardTables } from "./shard_tables.ts";

/** Tables that are filled from a snapshot. */
export class TablesRestorer {
  readonly #shard: number;
  readonly #limits: MachineLimits;
  #tables: ShardTables | undefined;
  /** What the parts that come are of. */
  #partition: PartitionRestorer | undefined;
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
        return this.#beginPartition(tables, part);
      default:
        if (this.#partition === undefined) {
          throw new RangeError(`Cannot restore ${part.kind} without a partition`);
        }
        return this.#partition.take(part);
    }
  }

  #beginPartition(tables: ShardTables, part: PartitionPart): void {
    const partition = Partition.restore(part, tables.outbox, tables);
    this.#partition = partition.restorer(tables.sessions);
    tables.addPartition(partition);
  }
}
