/**
 * Everything that can change the state of a shard: the commands in its Raft log, the reply each one
 * gets, and the effects the leader's shell carries out afterwards.
 *
 * All identifiers are safe integers. A command is plain data; its bytes are the business of `wire/`.
 *
 * @module
 */

import type { Schedule, ScheduleCommand } from "./schedule.ts";
import type { QueueSettings } from "./settings.ts";

/** What the log says about a command besides its content. The machine asks no clock. */
export interface CommandMeta {
  readonly index: number;
  readonly term: number;
  /** Milliseconds since the epoch, stamped by the leader; the machine never lets it move back. */
  readonly timestampMs: number;
}

export type { QueueSettings };

/** Publish `count` consecutive messages of one producer to one partition: all or none. */
export interface PublishCommand {
  readonly kind: "publish";
  readonly sessionId: number;
  readonly partitionId: number;
  /** The producer's number of the first message; its messages to a partition count up from 0. */
  readonly baseSequence: number;
  readonly count: number;
  /** Bytes of the messages, for the statistics. The bodies stay in the log. */
  readonly bytes: number;
  /**
   * How many partitions the queue had for whoever chose this one by the keys of the messages; 0 where it
   * was not chosen so. @default {0}
   */
  readonly partitionCount?: number;
  /** What its messages ask for; absent where they are plain and without keys. */
  readonly details?: PublishDetails;
}

/** What each message of a batch asks for, read out of its bytes when somebody wants to know. */
export interface PublishDetails {
  /** Whether any of them asks for more than that its key is kept in order. */
  readonly hasOptions: boolean;
  /**
   * Reads what one message asks for.
   *
   * @param position Its place in the batch.
   * @returns Its details.
   */
  at(position: number): MessageDetails;
}

/** What a message asks for. Whatever is absent was not asked for. */
export interface MessageDetails {
  readonly key?: string;
  /** Wait so long after it is published. */
  readonly delayMs?: number;
  /** Wait until then, in milliseconds since the epoch. */
  readonly atMs?: number;
  /** Expire so long after it is published. */
  readonly ttlMs?: number;
  /** From 0 to 9; 9 goes first. */
  readonly priority?: number;
  /** Not again until the one before with the same text is acked. */
  readonly unique?: string;
}

/** How far a producer has come in a partition. */
export interface ProducerPosition {
  readonly partitionId: number;
  /** The number of its next message. */
  readonly nextSequence: number;
}

/** A message of a batch that was not stored, and the live one that has its unique text. */
export interface Repeat {
  /** Its place in the batch; its offset stays unused. */
  readonly position: number;
  /** The offset of the live one. */
  readonly offset: number;
  /** Of the entry that holds the live one. */
  readonly index: number;
  readonly term: number;
}

/** What a consumer says about a message it holds. Stored as one byte. */
export const SettleOperation = { ack: 0, nack: 1, extend: 2, reject: 3 } as const;
export type SettleOperation = (typeof SettleOperation)[keyof typeof SettleOperation];

/** Ack, nack, extend or reject the leases of a consumer on messages of one partition. */
export interface SettleCommand {
  readonly kind: "settle";
  readonly sessionId: number;
  readonly consumerId: number;
  readonly partitionId: number;
  readonly operation: SettleOperation;
  readonly offsets: readonly number[];
  /** The delivery each word is about: one that is no longer the current one does not count. */
  readonly deliveryCounts: readonly number[];
  /** For a nack: wait so long instead of the back-off; 0 is at once. */
  readonly delayMs?: number;
  /** For a nack or a reject: why, up to 1,024 bytes. For people. */
  readonly reason?: string;
}

/**
 * Ack messages and publish others, all or nothing. The messages are in the entry, and go to their
 * queues through the outbox.
 */
export interface SettleAndPublishCommand {
  readonly kind: "settleAndPublish";
  readonly sessionId: number;
  readonly consumerId: number;
  readonly partitionId: number;
  /** What is acked, in rising order. */
  readonly offsets: readonly number[];
  readonly deliveryCounts: readonly number[];
  /** The session's number of this command, by which a repeat is known. */
  readonly sequence: number;
  /** The client has the answers to all numbers below. */
  readonly answeredBelow: number;
  /** Where each message of the entry goes. */
  readonly targets: readonly TransferTarget[];
}

/**
 * Messages from the outbox of a shard come to one partition: all or none. Proposed by the keeper of that
 * outbox, in the order of the ids.
 */
export interface TransferCommand {
  readonly kind: "transfer";
  readonly partitionId: number;
  /** Whose outbox. */
  readonly sourceShard: number;
  /** The lowest and the highest of their ids there. */
  readonly firstId: number;
  readonly lastId: number;
  readonly count: number;
  /** Bytes of the messages, for the statistics. */
  readonly bytes: number;
  /** What its messages ask for; absent where they are plain and without keys. */
  readonly details?: PublishDetails;
}

/** Messages of the outbox of this shard are where they were to go. Idempotent. */
export interface TransferDoneCommand {
  readonly kind: "transferDone";
  readonly ids: readonly number[];
}

export interface OpenSessionCommand {
  readonly kind: "openSession";
  /** How long a session outlives its connection before its leases are given to others. */
  readonly timeoutMs: number;
  /** For people: shown by `queue info`. */
  readonly clientName: string;
  /**
   * Under which name it publishes. It goes on where the last session of that name has ended, and if that
   * one lives, ends it: of a name there is one.
   */
  readonly producer?: string;
}

/** The session has a connection again. */
export interface AttachSessionCommand {
  readonly kind: "attachSession";
  readonly sessionId: number;
}

/**
 * The session lost a connection: its time-out starts, unless it has been attached again since. Without
 * that condition, word of an old connection's end that comes late would cut off the new one.
 */
export interface DetachSessionCommand {
  readonly kind: "detachSession";
  readonly sessionId: number;
  /** The log index of the command that attached the session over that connection. */
  readonly attachIndex: number;
}

/** An orderly end: leases return at once, the producer's window is forgotten. */
export interface CloseSessionCommand {
  readonly kind: "closeSession";
  readonly sessionId: number;
}

/** Start, or change, a consumer of a partition. Idempotent. */
export interface AttachConsumerCommand {
  readonly kind: "attachConsumer";
  readonly sessionId: number;
  /** Chosen by the client, unique within its session. */
  readonly consumerId: number;
  readonly partitionId: number;
  /** How many messages it may hold at once, 1 or more: its credit is this less what it holds. */
  readonly prefetch: number;
  /** Say once, by a `drained` effect, when nothing is ready for it. */
  readonly drain: boolean;
  /** How long it holds a message, instead of what the queue says; 0 is what the queue says. */
  readonly leaseMs?: number;
}

/** An orderly end of a consumer: what it holds becomes ready at once. */
export interface DetachConsumerCommand {
  readonly kind: "detachConsumer";
  readonly sessionId: number;
  readonly consumerId: number;
  readonly partitionId: number;
}

/** The first command of a leader: every session gets its full time-out to find the new leader. */
export interface BeginTermCommand {
  readonly kind: "beginTerm";
}

/** Nothing but its timestamp: lets deadlines pass on a quiet shard. */
export interface TickCommand {
  readonly kind: "tick";
  /** A number by which somebody waits for this place in the log; means nothing to the machine. */
  readonly mark?: number;
}

/** A partition comes to live in this shard. Idempotent. Proposed by the catalog's keeper. */
export interface CreatePartitionCommand {
  readonly kind: "createPartition";
  readonly partitionId: number;
  readonly queueId: number;
  readonly queueName: string;
  readonly partitionNumber: number;
  readonly settings: QueueSettings;
  /** Which state of the queue's record this is. @default {0} */
  readonly revision?: number;
  /** The queue is paused. @default {false} */
  readonly paused?: boolean;
  /** See `PartitionIdentity`. */
  readonly growingFrom?: number;
}

/** The queue of a partition has been changed. Idempotent; what is older than the last one is ignored. */
export interface UpdatePartitionCommand {
  readonly kind: "updatePartition";
  readonly partitionId: number;
  readonly revision: number;
  readonly settings: QueueSettings;
  readonly paused: boolean;
  /** See `PartitionIdentity`. */
  readonly growingFrom?: number;
}

/** Everything in a partition that no consumer holds is gone. */
export interface PurgePartitionCommand {
  readonly kind: "purgePartition";
  readonly partitionId: number;
}

/**
 * Take a message out of a partition: one that waits, ready or delayed. Said again, it finds the message
 * gone.
 */
export interface RemoveMessageCommand {
  readonly kind: "removeMessage";
  readonly partitionId: number;
  readonly offset: number;
}

/**
 * Put acked messages back into a partition, as far as its history has them: those whose ack was applied
 * at `sinceMs` or later, by the entry `untilIndex` or one before. Said again, it finds none.
 */
export interface ReplayCommand {
  readonly kind: "replay";
  readonly partitionId: number;
  /** By the time of the log. */
  readonly sinceMs: number;
  readonly untilIndex: number;
}

/** The partition and everything in it is gone. Idempotent. */
export interface DeletePartitionCommand {
  readonly kind: "deletePartition";
  readonly partitionId: number;
}

/** Catalog (shard 0): make a queue, or find it made with the same settings. */
export interface CreateQueueCommand {
  readonly kind: "createQueue";
  readonly name: string;
  readonly settings: QueueSettings;
  /** How many shards the cluster has: partitions are spread over them. */
  readonly shardCount: number;
  /** An existing queue of the name is the answer whatever its settings (publish on first use). */
  readonly acceptExisting: boolean;
}

/** Catalog (shard 0): change a queue. What is not named stays as it is. */
export interface EditQueueCommand {
  readonly kind: "editQueue";
  readonly name: string;
  readonly settings: Partial<QueueSettings>;
  /** Whether nothing is to be delivered. */
  readonly paused?: boolean;
  /** How many shards the cluster has: new partitions are spread over them. */
  readonly shardCount?: number;
}

/** Catalog (shard 0): take a queue away; its partitions are deleted by the keeper. */
export interface DeleteQueueCommand {
  readonly kind: "deleteQueue";
  readonly name: string;
}

/**
 * Catalog (shard 0): the shard of this partition has carried out what the catalog asked for; or, as the
 * action `drain`, what was in it when its queue got more partitions is gone.
 */
export interface PartitionSettledCommand {
  readonly kind: "partitionSettled";
  readonly partitionId: number;
  /**
   * What was carried out. A late "create" must not pass for the "delete" the catalog waits for: the
   * record would go while the partition lives on.
   */
  readonly action: PartitionAction | "drain";
  /** The state of the queue's record that was carried out: there may be a newer one. @default {0} */
  readonly revision?: number;
}

/** What the catalog wants done with a partition in its shard. */
export type PartitionAction = "create" | "update" | "delete";

export type Command =
  | PublishCommand
  | SettleCommand
  | SettleAndPublishCommand
  | TransferCommand
  | TransferDoneCommand
  | OpenSessionCommand
  | AttachSessionCommand
  | DetachSessionCommand
  | CloseSessionCommand
  | AttachConsumerCommand
  | DetachConsumerCommand
  | BeginTermCommand
  | TickCommand
  | RemoveMessageCommand
  | ReplayCommand
  | CreatePartitionCommand
  | UpdatePartitionCommand
  | PurgePartitionCommand
  | DeletePartitionCommand
  | CreateQueueCommand
  | EditQueueCommand
  | DeleteQueueCommand
  | PartitionSettledCommand
  | ScheduleCommand;

/** Why a command changed nothing. The names are those of `wire/error_codes.ts`. */
export type RefusalReason =
  | "queueNotFound"
  | "queueExists"
  /** A queue of this name is on its way out: its partitions are not all gone yet. Try again. */
  | "queueDeleting"
  /** A queue that is getting more partitions takes this only when that is over. */
  | "queueGrowing"
  /** The queue has more partitions than the publisher knew of when it chose this one. */
  | "queueGrown"
  | "queueNameInvalid"
  | "settingsInvalid"
  | "partitionNotFound"
  | "sessionNotFound"
  | "consumerNotFound"
  /** No message of that offset was ever published. */
  | "messageNotFound"
  /** The message is done with: acked, dead, expired, dropped or removed. */
  | "messageGone"
  /** A consumer holds the message. */
  | "messageLeased"
  /** The queue keeps no history. */
  | "noHistory"
  | "sequenceGap"
  /** The partition has as many messages as its queue allows. Try again. */
  | "queueFull"
  | "sequenceTooOld"
  /** A field has a value no well-made client sends; the message says which. */
  | "invalidArgument"
  | "limitReached"
  | "scheduleNotFound"
  /** A schedule of this id exists that does something else. */
  | "scheduleExists"
  /** There is no room at the moment. Try again. */
  | "overloaded";

/** The catalog's record of a partition. */
export interface PartitionInfo {
  /** Unique in the cluster, and never used again. */
  readonly id: number;
  /** Its place in its queue, from 0. */
  readonly number: number;
  /** The shard it lives in. */
  readonly shard: number;
}

/** The catalog's record of a queue. */
export interface QueueInfo {
  /** Unique in the cluster, and never used again. */
  readonly id: number;
  /** 1 to 255 bytes of UTF-8 without control characters. */
  readonly name: string;
  /** As they are now. */
  readonly settings: QueueSettings;
  /** Nothing is delivered; publishes and acks go on. */
  readonly paused: boolean;
  /** Counts its changes. */
  readonly revision: number;
  /** In the order of their numbers. */
  readonly partitions: readonly PartitionInfo[];
  /** `creating` until every shard concerned has its partition; `deleting` until it has none. */
  readonly state: "creating" | "ready" | "deleting";
  /** While it is getting more partitions: see `PartitionIdentity`. */
  readonly growingFrom?: number;
}

/** What became of each offset of a settle command. Stored as one byte. */
export const SettleStatus = {
  /** Done, or had been done before: acked messages stay acked. */
  ok: 0,
  /** This delivery is over: the lease expired, or was returned, and the message is not acked. */
  leaseLost: 1,
  /** The lease is as it was: nothing was done as another one of the same command is lost. */
  notDone: 2,
} as const;
export type SettleStatus = (typeof SettleStatus)[keyof typeof SettleStatus];

/** The machine's answer to a command; the shell adds the term and index of the command itself. */
export type Reply =
  | { readonly kind: "ok" }
  | { readonly kind: "refused"; readonly reason: RefusalReason; readonly message: string }
  | {
    readonly kind: "published";
    /** The messages have `firstOffset … firstOffset + count - 1`. */
    readonly firstOffset: number;
    readonly count: number;
    /** Where the messages are: for a repeated publish, the place of the first one. */
    readonly index: number;
    readonly term: number;
    /** The timestamp of that entry, so that a repeat gets the whole of the first receipt. */
    readonly publishedAtMs: number;
    readonly duplicate: boolean;
    /** Messages that were not stored, as one with the same unique text is alive; absent for none. */
    readonly repeats?: readonly Repeat[];
  }
  | { readonly kind: "settled"; readonly statuses: Uint8Array }
  /** The partition has all messages of the outbox concerned up to `takenId`. */
  | {
    readonly kind: "transferred";
    readonly takenId: number;
    /** Where the first of the messages is now; absent where they were here before. */
    readonly firstOffset?: number;
  }
  | {
    readonly kind: "sessionOpened";
    readonly sessionId: number;
    /** Of a named producer: how far it is in each partition. */
    readonly producers?: readonly ProducerPosition[];
  }
  | { readonly kind: "purged"; readonly count: number }
  /** So many messages are on their way back. */
  | { readonly kind: "replayed"; readonly count: number }
  | { readonly kind: "queue"; readonly queue: QueueInfo; readonly created: boolean }
  | { readonly kind: "schedule"; readonly schedule: Schedule; readonly created: boolean };

/**
 * The messages handed to consumers by one `apply`, as parallel arrays: delivery `i` is message
 * `position[i]` of the publish command at log index `entryIndex[i]`. The arrays are reused and may be
 * longer than `count`.
 */
export interface Deliveries {
  readonly count: number;
  readonly sessionId: readonly number[];
  readonly consumerId: readonly number[];
  readonly partitionId: readonly number[];
  readonly offset: readonly number[];
  readonly deliveryCount: readonly number[];
  readonly entryIndex: readonly number[];
  readonly position: readonly number[];
}

/** A consumer that asked to drain, and found nothing ready. */
export interface DrainedEffect {
  readonly sessionId: number;
  readonly consumerId: number;
  readonly partitionId: number;
}

/** A session ended by the machine itself, with its consumers; its client should be told. */
export interface SessionEndedEffect {
  readonly sessionId: number;
}

/** A consumer ended by the machine itself because its partition was deleted. */
export interface ConsumerEndedEffect {
  readonly sessionId: number;
  readonly consumerId: number;
  readonly partitionId: number;
}

/** A consumer of a partition whose queue has got others beside it; its client should be told. */
export interface QueueGrownEffect {
  readonly sessionId: number;
  readonly consumerId: number;
  readonly partitionId: number;
}

/**
 * What the leader's shell does after an `apply`; followers drop it. An effect may be carried out
 * twice, or never (a crash): everything that matters is in the machine.
 */
export interface Effects {
  readonly deliveries: Deliveries;
  readonly drained: readonly DrainedEffect[];
  readonly sessionsEnded: readonly SessionEndedEffect[];
  readonly consumersEnded: readonly ConsumerEndedEffect[];
  readonly queuesGrown: readonly QueueGrownEffect[];
}

/** Why a message died. The text is the value of the header `flowmq-dead-reason`. */
export type DeathReason = "maxDeliveries" | "rejected" | "expired";

/** A message that is not going to be delivered any more. */
export interface Death {
  /** Where it was: with `offset`, its name for people. */
  readonly queue: string;
  /** The number of the partition in its queue. */
  readonly partition: number;
  readonly offset: number;
  /** The log index of the entry that holds it. */
  readonly entryIndex: number;
  /** Its place in that entry. */
  readonly position: number;
  readonly deliveryCount: number;
  readonly reason: DeathReason;
  /** What the consumer said about it last. */
  readonly detail?: string;
  /** When it died. */
  readonly atMs: number;
}

/** Where a message goes: a queue and the number of a partition in it. */
export interface TransferTarget {
  readonly queue: string;
  readonly partition: number;
}

/** A message on its way to another queue. */
export interface Transfer {
  /** Counts up in the shard that it comes from. */
  readonly id: number;
  readonly target: TransferTarget;
  /** The log index of the entry that holds the message. */
  readonly entryIndex: number;
  /** Its place in that entry. */
  readonly position: number;
  /** What became of it, where it is a dead letter. */
  readonly death?: Omit<Death, "entryIndex" | "position">;
  /** Where it was, where it is brought back after it was acked. */
  readonly replayOf?: TransferTarget & { readonly offset: number };
}

/** What a partition is, beside what is in it. */
export interface PartitionIdentity {
  readonly id: number;
  readonly queueId: number;
  readonly queueName: string;
  /** Its place among the partitions of its queue, from 0. */
  readonly number: number;
  readonly settings: QueueSettings;
  /** The queue is paused: nothing is delivered. */
  readonly paused: boolean;
  /** Which state of the queue's record this is. */
  readonly revision: number;
  /**
   * How many partitions the queue had before those that it is getting. A partition with a number below
   * tells when what was in it is gone; the others hold back messages with a key until all of them have.
   * Absent where the queue is not growing.
   */
  readonly growingFrom?: number;
}

/** A message a consumer holds, for sending it again. */
export interface HeldMessage {
  readonly offset: number;
  readonly deliveryCount: number;
  /** The log index of the publish command that holds it. */
  readonly entryIndex: number;
  /** Its place in that command. */
  readonly position: number;
}

/**
 * Counts of one partition, all in messages unless the name says otherwise. A published message is counted
 * as exactly one of ready, delayed, leased, acked, dead, expired, dropped, repeated and purged.
 */
export interface PartitionStats {
  /** The partition. */
  readonly partitionId: number;
  /** Ever published. */
  readonly published: number;
  /** Ever acked. */
  readonly acked: number;
  /** Ever purged. */
  readonly purged: number;
  /** Waiting for a consumer. */
  readonly ready: number;
  /** Held by consumers. */
  readonly leased: number;
  /** Bytes ever published: keys, headers and bodies. */
  readonly bytesPublished: number;
  /** Bytes of the messages that wait or are held; only of queues that have a limit of bytes. */
  readonly bytesHeld?: number;
  /** Deliveries of messages that had been delivered before. */
  readonly redelivered: number;
  /** Consumers there are, attached or not. */
  readonly consumers: number;
  /** The offset the next published message gets. */
  readonly nextOffset: number;
  /** Waiting for a time. */
  readonly delayed: number;
  /** Ever moved to the dead-letter queue. */
  readonly dead: number;
  /** Ever expired, and not moved there. */
  readonly expired: number;
  /** Ever thrown away because the queue was full, or rejected in a dead-letter queue. */
  readonly dropped: number;
  /** Not stored, as one with the same unique text was alive. */
  readonly repeated: number;
}
