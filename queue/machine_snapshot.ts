/**
 * The whole state of a shard as plain data, without message bodies: those stay in the log.
 *
 * The same state gives the same snapshot on every replica, whatever its tables went through to get
 * there: lists are in an order that follows from the log, and nothing that can be derived is in it.
 * The state hash is the hash of the snapshot, so the two cover the same.
 *
 * A change of these types changes what is on disk: raise `SNAPSHOT_VERSION` with it, and keep reading
 * the version before.
 *
 * @module
 */

import type { PartitionIdentity, QueueInfo } from "./commands.ts";
import type { SessionState } from "./session_table.ts";

/** The version of the layout below. */
export const SNAPSHOT_VERSION = 1;

/** The state of a shard at one index of its log. */
export interface MachineSnapshot {
  readonly version: number;
  readonly shard: number;
  readonly appliedIndex: number;
  readonly timestampMs: number;
  /** In the order of their ids. */
  readonly sessions: readonly SessionSnapshot[];
  /** In the order in which their sessions, and then they, were first used. */
  readonly producers: readonly ProducerSnapshot[];
  /** In the order in which they were created here. */
  readonly partitions: readonly PartitionSnapshot[];
  /** Deleted partitions, the oldest first. */
  readonly tombstones: readonly number[];
  /** In shard 0 only. */
  readonly catalog?: CatalogSnapshot;
}

/** A session; its consumers are with the partitions, its producer windows in their own list. */
export interface SessionSnapshot {
  readonly sessionId: number;
  readonly clientName: string;
  readonly timeoutMs: number;
  readonly state: SessionState;
  /** 0 while attached. */
  readonly deadlineMs: number;
  /** The log index of the command that opened or attached it last. */
  readonly attachIndex: number;
}

/** A window as plain data. */
export interface ProducerWindowSnapshot {
  readonly nextSequence: number;
  /** Five numbers a batch, oldest first: base sequence, outcome, index, term, publishedAtMs. */
  readonly batches: Float64Array;
}

/** The window of one session for one partition. */
export interface ProducerSnapshot extends ProducerWindowSnapshot {
  readonly sessionId: number;
  readonly partitionId: number;
}

/** A partition as plain data, the same on every replica at the same log index. */
export interface PartitionSnapshot extends PartitionIdentity {
  readonly nextOffset: number;
  readonly freshOffset: number;
  readonly bytesPublished: number;
  readonly redelivered: number;
  readonly batches: readonly BatchRun[];
  /** In the order in which they first attached. */
  readonly consumers: readonly ConsumerSnapshot[];
  /** Those with credit, as indexes into `consumers`, in the order of their turns. */
  readonly ring: Uint32Array;
  /** In the order of their deadlines; `holder` is an index into `consumers`. */
  readonly leases: {
    readonly offset: Float64Array;
    readonly deadlineMs: Float64Array;
    readonly deliveryCount: Uint32Array;
    readonly holder: Uint32Array;
  };
  /** In the order of their offsets. */
  readonly returned: { readonly offset: Float64Array; readonly deliveryCount: Uint32Array };
}

/** A consumer as plain data. */
export interface ConsumerSnapshot {
  readonly sessionId: number;
  readonly consumerId: number;
  readonly prefetch: number;
  readonly attached: boolean;
  readonly draining: boolean;
}

/**
 * A run of batch records as plain data: the first, then pairs of steps (offset, entry index) from one
 * record to the next. A second run begins only where a step is too big for 32 bits.
 */
export interface BatchRun {
  readonly firstOffset: number;
  readonly entryIndex: number;
  readonly steps: Uint32Array;
}

/** The catalog as plain data. */
export interface CatalogSnapshot {
  readonly nextQueueId: number;
  readonly nextPartitionId: number;
  /** In the order of their ids. */
  readonly queues: readonly QueueSnapshot[];
}

/** A queue as plain data. */
export interface QueueSnapshot extends QueueInfo {
  /** Ids of the partitions that are not yet what `state` says, ascending. */
  readonly unsettled: readonly number[];
}
