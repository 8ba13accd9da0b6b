/**
 * What clients and brokers say to each other: frame types and the records in their payloads.
 *
 * A request gets exactly one reply with its correlation id; a push has none. The codecs are in
 * `client_requests.ts`, `client_replies.ts` and `deliver_frame.ts`.
 *
 * @module
 */

import type {
  PartitionInfo,
  PartitionStats,
  ProducerPosition,
  QueueInfo,
  QueueSettings,
  Repeat,
} from "../queue/commands.ts";
import type { ScheduledMessage, ScheduleInfo, ScheduleTiming } from "../queue/schedule.ts";
import type { LookReply, LookRequest } from "./look_messages.ts";
import type { WireLimits } from "./limits.ts";

/** The version of the client protocol that is spoken here. */
export const clientProtocolVersion = 1;

/** Frame types from client to broker. */
export const RequestType = {
  hello: 1,
  ping: 2,
  metadata: 3,
  nodeStatus: 4,
  stateHash: 5,
  markState: 6,
  openSession: 10,
  attachSession: 11,
  closeSession: 12,
  publish: 20,
  settle: 21,
  attachConsumer: 22,
  detachConsumer: 23,
  settleAndPublish: 25,
  createQueue: 30,
  deleteQueue: 31,
  findQueue: 32,
  listQueues: 33,
  queueStats: 34,
  queueStorage: 35,
  editQueue: 36,
  purgePartition: 37,
  addSchedule: 60,
  removeSchedule: 61,
  pauseSchedule: 62,
  resumeSchedule: 63,
  listSchedules: 64,
  peek: 50,
  findMessage: 51,
  inspect: 52,
  removeMessage: 53,
  messageHistory: 54,
  replay: 55,
} as const;

/** Frame types of the answers to requests. */
export const ReplyType = {
  welcome: 129,
  pong: 130,
  metadataReply: 131,
  nodeStatusReply: 132,
  stateHashReply: 133,
  sessionOpened: 138,
  done: 140,
  published: 148,
  settled: 149,
  queueReply: 158,
  queueList: 159,
  queueStatsReply: 160,
  queueStorageReply: 161,
  purged: 162,
  scheduleReply: 188,
  scheduleList: 192,
  peekReply: 178,
  findMessageReply: 179,
  inspectReply: 180,
  messageHistoryReply: 182,
  replayed: 183,
  error: 255,
} as const;

/** Frame types that a broker sends unasked. */
export const PushType = {
  deliver: 200,
  drained: 201,
  sessionEnded: 202,
  consumerEnded: 203,
  queueGrown: 204,
} as const;

/** A consumer's word of what it still holds of a partition. */
export interface HeldDelivery {
  /** The message. */
  readonly offset: number;
  /** Which delivery of it. */
  readonly deliveryCount: number;
}

/** Everything a client can ask for. */
export type ClientRequest =
  | { readonly kind: "hello"; readonly protocol: number; readonly clientName: string }
  | { readonly kind: "ping" }
  | { readonly kind: "metadata" }
  | { readonly kind: "nodeStatus" }
  /** Answered by the node itself, once it has applied the entry that a `markState` makes. */
  | { readonly kind: "stateHash"; readonly mark: number }
  /** Puts a mark into the log of the shard; whoever was asked about it hashes the state there. */
  | { readonly kind: "markState"; readonly mark: number }
  | {
    readonly kind: "openSession";
    readonly timeoutMs: number;
    readonly clientName: string;
    /** Under which name it publishes; absent for none. */
    readonly producer?: string;
  }
  | { readonly kind: "attachSession"; readonly sessionId: number }
  | { readonly kind: "closeSession"; readonly sessionId: number }
  /** `command` is a publish command, not yet checked: see `checkPublishCommand`. */
  | { readonly kind: "publish"; readonly command: Uint8Array }
  /** `command` is a settle command, not yet checked: see `checkSettleCommand`. */
  | { readonly kind: "settle"; readonly command: Uint8Array }
  /** `command` is an ack that publishes, not yet checked: see `checkSettleAndPublish`. */
  | { readonly kind: "settleAndPublish"; readonly command: Uint8Array }
  | {
    readonly kind: "attachConsumer";
    readonly sessionId: number;
    readonly consumerId: number;
    readonly partitionId: number;
    readonly prefetch: number;
    readonly drain: boolean;
    /** How long it holds a message; absent or 0: as long as the queue's settings say. */
    readonly leaseMs?: number;
    /** How many partitions the client takes the queue to have; absent where it does not want to know. */
    readonly partitionCount?: number;
    readonly held: readonly HeldDelivery[];
  }
  | {
    readonly kind: "detachConsumer";
    readonly sessionId: number;
    readonly consumerId: number;
    readonly partitionId: number;
  }
  | {
    readonly kind: "createQueue";
    readonly name: string;
    /** Not yet checked. Those that are missing get their defaults. */
    readonly settings: Partial<QueueSettings>;
    readonly acceptExisting: boolean;
  }
  | {
    readonly kind: "editQueue";
    readonly name: string;
    /** Not yet checked. Those that are missing stay as they are. */
    readonly settings: Partial<QueueSettings>;
    readonly paused?: boolean;
  }
  | { readonly kind: "purgePartition"; readonly partitionId: number }
  | { readonly kind: "removeMessage"; readonly partitionId: number; readonly offset: number }
  | {
    readonly kind: "replay";
    readonly partitionId: number;
    /** Messages that were acked at this time or later, by the time of the log, */
    readonly sinceMs: number;
    /** and by this entry of it, or one before. */
    readonly untilIndex: number;
  }
  | { readonly kind: "deleteQueue"; readonly name: string }
  | { readonly kind: "findQueue"; readonly name: string }
  | { readonly kind: "listQueues" }
  | { readonly kind: "queueStats"; readonly partitionIds: readonly number[] }
  | { readonly kind: "queueStorage"; readonly partitionIds: readonly number[] }
  | {
    readonly kind: "addSchedule";
    readonly partitionId: number;
    readonly id: string;
    readonly timing: ScheduleTiming;
    readonly message: ScheduledMessage;
  }
  | { readonly kind: "removeSchedule"; readonly partitionId: number; readonly id: string }
  | { readonly kind: "pauseSchedule"; readonly partitionId: number; readonly id: string }
  | { readonly kind: "resumeSchedule"; readonly partitionId: number; readonly id: string }
  | { readonly kind: "listSchedules"; readonly partitionId: number }
  | LookRequest;

/** One request, by its name. */
export type RequestOf<K extends ClientRequest["kind"]> = Extract<ClientRequest, { kind: K }>;

/** A node of the cluster, as another one sees it. */
export interface NodeInfo {
  /** Its number. */
  readonly id: number;
  /** Where clients reach it, as `host:port`; `null` while that is not known. */
  readonly address: string | null;
  /** Whether the node that answered has a connection to it. */
  readonly connected: boolean;
}

/** A shard, as the node that answered sees it. */
export interface ShardInfo {
  /** Its number, from 0. */
  readonly id: number;
  /** The node that leads it, 0 while that is not known. */
  readonly leader: number;
  /** The newest term heard of. */
  readonly term: number;
}

/** The map of the cluster. */
export interface ClusterMetadata {
  /** The same on all nodes of a cluster, for ever. */
  readonly clusterId: string;
  /** The node that answered. */
  readonly nodeId: number;
  /** All nodes. */
  readonly nodes: readonly NodeInfo[];
  /** All shards. */
  readonly shards: readonly ShardInfo[];
}

/** A replica of a shard on the node that answered. */
export interface ShardStatus {
  /** The shard. */
  readonly id: number;
  /** `leader`, `follower`, `candidate`, `preCandidate` or `learner`. */
  readonly role: string;
  /** The leader it knows, or 0. */
  readonly leader: number;
  /** Its term. */
  readonly term: number;
  /** Entries up to here are committed. */
  readonly commitIndex: number;
  /** Entries up to here are applied. */
  readonly appliedIndex: number;
  /** The last entry of its log. */
  readonly lastIndex: number;
  /** The last entry that is on its disk. */
  readonly durableIndex: number;
  /** Bytes of its log on disk. */
  readonly logBytes: number;
  /** Sessions of the shard. */
  readonly sessions: number;
}

/** A node, as it sees itself. */
export interface NodeStatus {
  /** Its number. */
  readonly nodeId: number;
  /** Of the software. */
  readonly version: string;
  /** Where it takes clients. */
  readonly address: string;
  /** Where it takes other nodes. */
  readonly peerAddress: string;
  /** Since it was started. */
  readonly uptimeMs: number;
  /** What the process takes of the machine's memory. */
  readonly memoryBytes: number;
  /** How many more bytes there is room for on its disk, `null` where it does not know. */
  readonly diskFreeBytes: number | null;
  /** Its disk is nearly full. */
  readonly isDiskLow: boolean;
  /** Its replicas. */
  readonly shards: readonly ShardStatus[];
}

/** The state of a replica right after a mark in the log. */
export interface StateHash {
  /** Where the mark is. */
  readonly index: number;
  /** Its term. */
  readonly term: number;
  /** The same on all replicas, unless one of them is wrong. Means nothing else. */
  readonly hash: string;
}

/** The answer to a hello. */
export interface Welcome {
  /** The version spoken on this connection. */
  readonly protocol: number;
  /** Of the software. */
  readonly version: string;
  /** The same on all nodes of a cluster, for ever. */
  readonly clusterId: string;
  /** The node that answered. */
  readonly nodeId: number;
  /** What it accepts. */
  readonly limits: WireLimits;
  /** How many shards the cluster has. */
  readonly shardCount: number;
}

/** What became of a publish command. */
export interface Published {
  /** Where the messages are. */
  readonly partitionId: number;
  /** How many. */
  readonly count: number;
  /** They have consecutive offsets from here. */
  readonly firstOffset: number;
  /** Of the entry that holds them. */
  readonly term: number;
  /** Of the entry that holds them. */
  readonly index: number;
  /** The command had been carried out before: this is the first result. */
  readonly duplicate: boolean;
  /** The leader's time when it took them in. */
  readonly publishedAtMs: number;
  /** Messages that were not stored, as one with the same unique text was alive; absent for none. */
  readonly repeats?: readonly Repeat[];
}

/** What became of a settle command. */
export interface Settled {
  /** Where the messages are. */
  readonly partitionId: number;
  /** Of the entry that holds the command. */
  readonly term: number;
  /** Of the entry that holds the command. */
  readonly index: number;
  /** A `SettleStatus` for each offset, in the order of the command. */
  readonly statuses: Uint8Array;
}

/** Why a request was not, or perhaps not, carried out. */
export interface ErrorReply {
  /** See `ErrorCode`. */
  readonly code: number;
  /** The name of the code, for people. */
  readonly name: string;
  /** What happened, for people. */
  readonly message: string;
  /** Whether the request may have been carried out all the same. */
  readonly maybeApplied: boolean;
  /** With `notLeader`: the node to ask, where it is known. */
  readonly leader?: number;
}

/** Everything a broker answers. */
export type ServerReply =
  | (Welcome & { readonly kind: "welcome" })
  | { readonly kind: "pong" }
  | (ClusterMetadata & { readonly kind: "metadataReply" })
  | (NodeStatus & { readonly kind: "nodeStatusReply" })
  | (StateHash & { readonly kind: "stateHashReply" })
  | {
    readonly kind: "sessionOpened";
    readonly sessionId: number;
    /** Of a named producer: how far it is in each partition. */
    readonly producers?: readonly ProducerPosition[];
    readonly term: number;
    readonly index: number;
  }
  | { readonly kind: "done"; readonly term: number; readonly index: number }
  | (Published & { readonly kind: "published" })
  | (Settled & { readonly kind: "settled" })
  | { readonly kind: "queueReply"; readonly queue: QueueInfo; readonly created: boolean }
  | { readonly kind: "queueList"; readonly queues: readonly QueueInfo[] }
  | {
    readonly kind: "purged";
    /** How many messages are gone. */
    readonly count: number;
    readonly term: number;
    readonly index: number;
  }
  | {
    readonly kind: "replayed";
    /** How many messages come back. */
    readonly count: number;
    readonly term: number;
    readonly index: number;
  }
  | { readonly kind: "queueStatsReply"; readonly partitions: readonly PartitionStats[] }
  | {
    readonly kind: "queueStorageReply";
    readonly nodeId: number;
    readonly partitions: readonly PartitionStorage[];
  }
  | { readonly kind: "scheduleReply"; readonly schedule: ScheduleInfo; readonly created: boolean }
  | { readonly kind: "scheduleList"; readonly schedules: readonly ScheduleInfo[] }
  | LookReply
  | (ErrorReply & { readonly kind: "error" });

/** One reply, by its name. */
export type ReplyOf<K extends ServerReply["kind"]> = Extract<ServerReply, { kind: K }>;

/** What a partition holds on the disk of the node that leads its shard. */
export interface PartitionStorage {
  /** The partition. */
  readonly partitionId: number;
  /** Records of the log with a message that is not acked, or is kept by the history. */
  readonly records: number;
  /** About how many bytes those records have. */
  readonly bytes: number;
  /** Files of the log that stay because of such a record, be it of others, too. */
  readonly segments: number;
  /** The bytes of those files. */
  readonly segmentBytes: number;
  /** When the oldest message that is not acked, or is kept by the history, was published; 0 for none. */
  readonly oldestAtMs: number;
  /** Those of the records that only the history of the queue keeps. An older broker says 0. */
  readonly historyRecords: number;
  /** About how many bytes those have. */
  readonly historyBytes: number;
}

/** A consumer that asked to drain has got all there was. */
export interface Drained {
  /** The term of the leader that says so. */
  readonly term: number;
  /** The consumer. */
  readonly consumerId: number;
  /** The partition that had nothing more. */
  readonly partitionId: number;
}

/** A consumer has been ended by the cluster. */
export interface ConsumerEnded {
  /** The consumer. */
  readonly consumerId: number;
  /** The partition that it can consume no longer. */
  readonly partitionId: number;
  /** `queueDeleted`. */
  readonly reason: string;
}

/** The queue of a consumer has got more partitions than its client may know of. */
export interface QueueGrown {
  /** The consumer. */
  readonly consumerId: number;
  /** The partition that it consumes. */
  readonly partitionId: number;
  /** How many there are. */
  readonly partitionCount: number;
}

/** A session is over, or has to be attached again; what it means is in `reason`. */
export interface SessionEnded {
  /** The session. */
  readonly sessionId: number;
  /** `timedOut`, `leaderChanged` or `attachedElsewhere`. */
  readonly reason: string;
}

export type {
  ProducerPosition,
  PublishCommand,
  Repeat,
  SettleCommand,
  TransferTarget,
} from "../queue/commands.ts";
export { SettleOperation, SettleStatus } from "../queue/commands.ts";
export { QUEUE_SETTINGS, queueSettings } from "../queue/settings.ts";
export type { PartitionInfo, PartitionStats, QueueInfo, QueueSettings };
export type { ScheduledMessage, ScheduleInfo, ScheduleTiming };
