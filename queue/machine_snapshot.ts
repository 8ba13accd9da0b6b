/**
 * The whole state of a shard as plain data, without message bodies: those stay in the log.
 *
 * A snapshot is a sequence of parts, each of bounded size, so that neither whoever writes it nor whoever
 * restores it has to have all of it at a time. First comes what is of the shard as a whole, then queues,
 * sessions, producers, schedules, then the partitions, each followed by what is in it, and the end.
 *
 * The same state gives the same parts on every replica, whatever its tables went through to get there:
 * lists are in an order that follows from the log, and nothing that can be derived is in it. The state
 * hash is the hash of the parts, so the two cover the same.
 *
 * A change of these types changes what is on disk: raise `SNAPSHOT_VERSION` with it, and keep reading
 * the version before.
 *
 * @module
 */

import type { PartitionIdentity, PartitionInfo, QueueInfo, Transfer } from "./commands.ts";
import type { Schedule } from "./schedule.ts";
import type { SessionState } from "./session_table.ts";

/** The version of the layout below. */
export const SNAPSHOT_VERSION = 2;

/** The most items of a list that are in one part. */
export const PART_ITEMS_MAX = 256;

/** The most batch records that are in one part. */
export const PART_BATCHES_MAX = 32_768;

/** The most runs of neighbours that are in one part. */
export const PART_RUNS_MAX = 32_768;

/** The most leases, or waiting messages, that are in one part. */
export const PART_LEASES_MAX = 8_192;

/** A part of a snapshot. */
export type SnapshotPart =
  | ShardPart
  | { readonly kind: "queues"; readonly queues: readonly QueueSnapshot[] }
  | { readonly kind: "sessions"; readonly sessions: readonly SessionSnapshot[] }
  | { readonly kind: "producers"; readonly producers: readonly ProducerSnapshot[] }
  /** In the order in which they were made; there where there are any. */
  | { readonly kind: "schedules"; readonly schedules: readonly Schedule[] }
  /** Only where the outbox was used. */
  | { readonly kind: "outbox"; readonly nextId: number }
  /** In the order of their ids. */
  | { readonly kind: "transfers"; readonly transfers: readonly Transfer[] }
  | PartitionPart
  /** Of the partition before, as are all that follow; in the order in which they first attached. */
  | { readonly kind: "consumers"; readonly consumers: readonly ConsumerSnapshot[] }
  /** Those with credit, as indexes into the consumers, in the order of their turns. */
  | { readonly kind: "ring"; readonly consumers: Uint32Array }
  /** Oldest first. */
  | BatchRun & { readonly kind: "batches" }
  /** Of messages above `freshOffset` that are not fresh, ascending. */
  | OffsetRuns & { readonly kind: "passed" }
  /** In the order of the offsets. */
  | ExpirySnapshot & { readonly kind: "expiries" }
  /** In the order of the offsets; only of queues with a limit of bytes. */
  | SizeSnapshot & { readonly kind: "sizes" }
  /** From the one that is looked at next on. */
  | UniqueSnapshot & { readonly kind: "uniques" }
  /** Messages with a key, where keys take turns or did; in the order of their offsets. */
  | KeyedSnapshot & { readonly kind: "keyed" }
  /** Keys in the order of their turns, as hashes; 0 is what messages without a key have. */
  | { readonly kind: "keyTurns"; readonly hash: Float64Array }
  /** Keys that wait for some of their rate, by when they have it. */
  | KeyTimes & { readonly kind: "keyRests" }
  /** When the rates of keys are unused again; in the order of the hashes. */
  | KeyTimes & { readonly kind: "keyRates" }
  /** The shortest first, each kind in the order of the deadlines. */
  | LeaseSnapshot & { readonly kind: "leases" }
  /** Ready ones; by priority from 0, then in the order of their offsets. */
  | WaitingSnapshot & { readonly kind: "returned" }
  /** In the order in which they are due. */
  | WaitingSnapshot & { readonly kind: "delayed"; readonly dueMs: Float64Array }
  /** Only where the partition has a history. */
  | HistoryPart & { readonly kind: "history" }
  /** Oldest first. */
  | HappeningsSnapshot
  /** Acked messages that can be brought back, ascending. */
  | OffsetRuns & { readonly kind: "replayable" }
  /** Messages that are being brought back, and are not in the outbox yet; ascending. */
  | OffsetRuns & { readonly kind: "replaying" }
  /** Of the shard again: what its partitions have taken from outboxes. */
  | { readonly kind: "transferMarks"; readonly marks: readonly TransferMark[] }
  /** The last part: `parts` came before it. */
  | { readonly kind: "end"; readonly parts: number };

/** What is of the shard as a whole: the first part. */
export interface ShardPart {
  readonly kind: "shard";
  readonly version: number;
  readonly shard: number;
  readonly appliedIndex: number;
  readonly timestampMs: number;
  /** Deleted partitions, the oldest first. */
  readonly tombstones: Uint32Array;
  /** In shard 0 only. */
  readonly catalog?: CatalogNumbers;
}

/** What the catalog counts. */
export interface CatalogNumbers {
  readonly nextQueueId: number;
  readonly nextPartitionId: number;
}

/** A queue, in the order of the ids. */
export interface QueueSnapshot extends QueueInfo {
  /** Ids of the partitions that are not yet what `state` says, ascending. */
  readonly unsettled: readonly number[];
  /** Ids of others that have not heard of the newest revision, ascending. @default {[]} */
  readonly updating?: readonly number[];
  /** While it is getting more partitions. */
  readonly growth?: GrowthSnapshot;
}

/** How far a queue has come that is getting more partitions. */
export interface GrowthSnapshot {
  /** Those that are being made: nobody knows of them yet. */
  readonly added: readonly PartitionInfo[];
  /** Ids of those that may have messages from before, ascending. */
  readonly draining: readonly number[];
  /** The revision since which all are known, 0 before that. */
  readonly revision: number;
}

/** A session, in the order of the ids; its consumers are with the partitions. */
export interface SessionSnapshot {
  readonly sessionId: number;
  readonly clientName: string;
  readonly timeoutMs: number;
  readonly state: SessionState;
  /** 0 while attached. */
  readonly deadlineMs: number;
  /** The log index of the command that opened or attached it last. */
  readonly attachIndex: number;
  /** Absent where it publishes under no name. */
  readonly producer?: string;
  /** Absent where it never acked and published in one. */
  readonly settles?: SettleWindowSnapshot;
}

/** The acks that publish of a session, as far as they may be repeated. */
export interface SettleWindowSnapshot {
  /** All below are answered. */
  readonly floor: number;
  /** Those that were done, in the order in which they were. */
  readonly done: Float64Array;
}

/** How far a partition has come with the outbox of a shard. */
export interface TransferMark {
  readonly partitionId: number;
  readonly sourceShard: number;
  /** The newest transfer that it has taken. */
  readonly id: number;
}

/** A window as plain data. */
export interface ProducerWindowSnapshot {
  readonly nextSequence: number;
  /** Five numbers a batch, oldest first: base sequence, outcome, index, term, publishedAtMs. */
  readonly batches: Float64Array;
  /**
   * Five numbers for each message that was not stored, in the order of the batches: base sequence of the
   * batch, position, and offset, index and term of the message that is there. Absent where there are none.
   */
  readonly repeats?: Float64Array;
}

/** The window of one session for one partition, in the order in which they were first used. */
export interface ProducerSnapshot extends ProducerWindowSnapshot {
  readonly sessionId: number;
  readonly partitionId: number;
}

/** A partition, in the order in which they were created here. */
export interface PartitionPart extends PartitionIdentity {
  readonly kind: "partition";
  readonly nextOffset: number;
  readonly freshOffset: number;
  readonly bytesPublished: number;
  readonly redelivered: number;
  // What is absent is 0.
  /** While its queue grows: the offset below which it is to be drained. Where it is not, absent. */
  readonly drainTo?: number;
  /** How many deliveries in a row have passed over an older message. */
  readonly passedOver?: number;
  /** The range of messages that had its turn to expire last: its time, and its first offset. */
  readonly expiredToMs?: number;
  readonly expiredToOffset?: number;
  /** Bytes of the messages that wait or are leased; of queues with a limit of them. */
  readonly bytesHeld?: number;
  readonly dead?: number;
  readonly expired?: number;
  readonly dropped?: number;
  readonly purged?: number;
  readonly repeated?: number;
  /** @default {freshOffset + redelivered} */
  readonly delivered?: number;
}

/** A consumer as plain data. */
export interface ConsumerSnapshot {
  readonly sessionId: number;
  readonly consumerId: number;
  readonly prefetch: number;
  readonly attached: boolean;
  readonly draining: boolean;
  /** Absent where it leaves that to the queue. */
  readonly leaseMs?: number;
}

/** A run of batch records: the first, then the steps from one record to the next (`step_codec.ts`). */
export interface BatchRun {
  readonly firstOffset: number;
  readonly entryIndex: number;
  readonly steps: Uint8Array;
}

/** Messages that consumers hold; `holder` is an index into the consumers of the partition. */
export interface LeaseSnapshot {
  readonly offset: Float64Array;
  readonly deadlineMs: Float64Array;
  readonly deliveryCount: Uint32Array;
  readonly holder: Uint32Array;
  /** Absent where all are 0. */
  readonly priority?: Uint8Array;
}

/** Messages that wait, and are not simply fresh. */
export interface WaitingSnapshot {
  readonly offset: Float64Array;
  readonly deliveryCount: Uint32Array;
  /** Absent where all are 0. */
  readonly priority?: Uint8Array;
}

/** Messages with a key. Those that are leased or delayed are in a part of that kind, too. */
export interface KeyedSnapshot {
  readonly offset: Float64Array;
  /** Of the key: `hashKey`. */
  readonly hash: Float64Array;
  /** What the message does: a `KeyedState`. */
  readonly state: Uint8Array;
  /** A delivery under way is not counted. */
  readonly deliveryCount: Uint32Array;
  readonly priority: Uint8Array;
}

/** Times of keys. */
export interface KeyTimes {
  readonly hash: Float64Array;
  readonly atMs: Float64Array;
}

/** Runs of neighbouring offsets: steps of how many are left out, and how many follow. */
export interface OffsetRuns {
  /** The first offset of all. */
  readonly firstOffset: number;
  readonly steps: Uint8Array;
}

/** Texts that messages are unique by, some of messages that are gone. */
export interface UniqueSnapshot {
  readonly texts: readonly string[];
  readonly offset: Float64Array;
  /** Of the entry that holds the message. */
  readonly term: Float64Array;
}

/** When messages expire: those from each offset on, up to the next one. */
export interface ExpirySnapshot {
  readonly firstOffset: Float64Array;
  /** 0 for never. */
  readonly expiresAtMs: Float64Array;
}

/** How many bytes messages count for: those from each offset on, up to the next one. */
export interface SizeSnapshot {
  readonly firstOffset: Float64Array;
  readonly bytes: Float64Array;
}

/** A history, without what happened. */
export interface HistoryPart {
  /** It knows all that happened from then on, as far as its window reaches. */
  readonly beganMs: number;
  /** When the next messages that are brought back go to the outbox. */
  readonly feedMs: number;
  /** Sessions, and what their clients were called, in the order in which they first did something. */
  readonly clients: readonly (readonly [sessionId: number, name: string])[];
}

/** What happened: see `happenings.ts`. */
export interface HappeningsSnapshot {
  readonly kind: "happenings";
  readonly what: Uint8Array;
  readonly offset: Float64Array;
  readonly count: Float64Array;
  readonly index: Float64Array;
  readonly atMs: Float64Array;
  readonly sessionId: Float64Array;
  readonly consumerId: Uint32Array;
  readonly deliveryCount: Uint32Array;
  /** Those that there are, by place. */
  readonly details?: readonly (readonly [at: number, text: string])[];
}
