/**
 * What the parts of a shard's model ask of the whole.
 *
 * @module
 */

import type { Entry } from "../../raft/mod.ts";
import type { ModelPartition } from "./partition_model.ts";

/** The model of a shard. */
export interface ShardHost {
  /** The time of the log. */
  readonly nowMs: number;
  readonly partitions: ReadonlyMap<number, ModelPartition>;
  /** Finds the partition that an entry is about. */
  partition(entry: Entry, id: number): ModelPartition;
  /** Counts something that happened. */
  count(what: string, by?: number): void;
  /** An entry is not what it must be. */
  violated(invariant: string, entry: Entry, details: string): never;
}
