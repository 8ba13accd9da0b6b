/**
 * Replies and small pushes as frames: what a broker sends and a client reads. The big push, `deliver`,
 * is in `deliver_frame.ts`.
 *
 * Two replies are packed, as there is one for every batch:
 *
 * ```text
 * published   0 u32 partitionId | 4 u32 count | 8 u64 firstOffset | 16 u64 term | 24 u64 index
 *            32 u8 duplicate | 33 u8 × 3 reserved, 0 | 36 u32 repeats | 40 u64 publishedAtMs
 *            then repeats × (0 u32 position | 4 u32 0 | 8 u64 offset | 16 u64 term | 24 u64 index)
 * settled     0 u32 partitionId | 4 u32 count | 8 u64 term | 16 u64 index | 24 u8 × count status
 * ```
 *
 * @module
 */

import type {
  PartitionInfo,
  PartitionStats,
  ProducerPosition,
  QueueInfo,
  Repeat,
} from "../queue/commands.ts";
import { readU32, readU64, writeU32, writeU64 } from "./bytes.ts";
import { type CborMap, decodeCborMap, encodeCbor } from "./cbor.ts";
import type {
  ConsumerEnded,
  Drained,
  ErrorReply,
  NodeInfo,
  PartitionStorage,
  Published,
  QueueGrown,
  ServerReply,
  SessionEnded,
  Settled,
  ShardInfo,
  ShardStatus,
} from "./client_messages.ts";
import { PushType, ReplyType } from "./client_messages.ts";
import { readQueueSettings } from "./command_codec.ts";
import { ErrorCode, errorName } from "./error_codes.ts";
import { MalformedFrameError } from "./errors.ts";
import {
  amountField,
  booleanField,
  mapField,
  mapsField,
  optionalBooleanField,
  optionalUintField,
  textField,
  uintField,
} from "./fields.ts";
import { encodeFrame, frameHeaderBytes, writeFrameHeader } from "./frame.ts";
import { readScheduleInfo } from "./schedule_codec.ts";
import {
  readFindMessageReply,
  readInspectReply,
  readMessageHistoryReply,
  readPeekReply,
} from "./look_messages.ts";
import { newBytes } from "./new_bytes.ts";

const publishedBytes = 48;
const repeatBytes = 32;
const settledHeadBytes = 24;

/**
 * Makes the frame of a reply.
 *
 * @param reply What to answer.
 * @param shard The shard of the request.
 * @param correlationId The number of the request.
 * @returns The whole frame.
 */
export function encodeReply(reply: ServerReply, shard: number, correlationId: number): Uint8Array {
  switch (reply.kind) {
    case "published":
      return encodePublished(reply, shard, correlationId);
    case "settled":
      return encodeSettled(reply, shard, correlationId);
    default: {
      const { kind, ...fields } = reply;
      return encodeFrame(ReplyType[kind], shard, correlationId, encodeCbor(fields));
    }
  }
}

/**
 * Makes the frame that answers a publish request.
 *
 * @returns The whole frame.
 */
export function encodePublished(
  published: Published,
  shard: number,
  correlationId: number,
): Uint8Array {
  const { repeats } = published;
  const payloadBytes = publishedBytes + (repeats === undefined ? 0 : repeatBytes * repeats.length);
  const frame = newBytes(frameHeaderBytes + payloadBytes);
  writeFrameHeader(frame, 0, ReplyType.published, shard, correlationId, payloadBytes);
  writeU32(frame, 12, published.partitionId);
  writeU32(frame, 16, published.count);
  writeU64(frame, 20, published.firstOffset);
  writeU64(frame, 28, published.term);
  writeU64(frame, 36, published.index);
  frame[44] = published.duplicate ? 1 : 0;
  writeU64(frame, 52, published.publishedAtMs);
  if (repeats !== undefined) writeRepeats(frame, repeats);
  return frame;
}

/**
 * Makes the frame that answers a settle request.
 *
 * @returns The whole frame.
 */
export function encodeSettled(settled: Settled, shard: number, correlationId: number): Uint8Array {
  const count = settled.statuses.length;
  const frame = newBytes(frameHeaderBytes + settledHeadBytes + count);
  writeFrameHeader(frame, 0, ReplyType.settled, shard, correlationId, settledHeadBytes + count);
  writeU32(frame, 12, settled.partitionId);
  writeU32(frame, 16, count);
  writeU64(frame, 20, settled.term);
  writeU64(frame, 28, settled.index);
  frame.set(settled.statuses, frameHeaderBytes + settledHeadBytes);
  return frame;
}

/**
 * Makes the frame of an error; its name goes with its code.
 *
 * @returns The whole frame.
 */
export function encodeError(
  error: Omit<ErrorReply, "name">,
  shard: number,
  correlationId: number,
): Uint8Array {
  const name = errorName(error.code) ?? "internal";
  return encodeReply({ kind: "error", name, ...error }, shard, correlationId);
}

/**
 * Makes the push that tells a draining consumer that there is nothing more.
 *
 * @returns The whole frame.
 */
export function encodeDrained(shard: number, drained: Drained): Uint8Array {
  return encodeFrame(PushType.drained, shard, 0, encodeCbor(drained));
}

/**
 * Makes the push that tells a client that a consumer has been ended.
 *
 * @returns The whole frame.
 */
export function encodeConsumerEnded(shard: number, ended: ConsumerEnded): Uint8Array {
  return encodeFrame(PushType.consumerEnded, shard, 0, encodeCbor(ended));
}

/**
 * Reads a consumerEnded push.
 *
 * @throws {MalformedFrameError} when the payload is something else.
 */
export function decodeConsumerEnded(payload: Uint8Array): ConsumerEnded {
  const map = decodeCborMap(payload);
  return {
    consumerId: uintField(map, "consumerId"),
    partitionId: uintField(map, "partitionId"),
    reason: textField(map, "reason"),
  };
}

/**
 * Makes the push that tells a client that the queue of a consumer has more partitions.
 *
 * @returns The whole frame.
 */
export function encodeQueueGrown(shard: number, grown: QueueGrown): Uint8Array {
  return encodeFrame(PushType.queueGrown, shard, 0, encodeCbor(grown));
}

/**
 * Reads a queueGrown push.
 *
 * @throws {MalformedFrameError} when the payload is something else.
 */
export function decodeQueueGrown(payload: Uint8Array): QueueGrown {
  const map = decodeCborMap(payload);
  return {
    consumerId: uintField(map, "consumerId"),
    partitionId: uintField(map, "partitionId"),
    partitionCount: uintField(map, "partitionCount"),
  };
}

/**
 * Makes the push that tells a client about its session.
 *
 * @returns The whole frame.
 */
export function encodeSessionEnded(shard: number, ended: SessionEnded): Uint8Array {
  return encodeFrame(PushType.sessionEnded, shard, 0, encodeCbor(ended));
}

/**
 * Reads a drained push.
 *
 * @throws {MalformedFrameError} when the payload is something else.
 */
export function decodeDrained(payload: Uint8Array): Drained {
  const map = decodeCborMap(payload);
  return {
    term: uintField(map, "term"),
    consumerId: uintField(map, "consumerId"),
    partitionId: uintField(map, "partitionId"),
  };
}

/**
 * Reads a sessionEnded push.
 *
 * @throws {MalformedFrameError} when the payload is something else.
 */
export function decodeSessionEnded(payload: Uint8Array): SessionEnded {
  const map = decodeCborMap(payload);
  return { sessionId: uintField(map, "sessionId"), reason: textField(map, "reason") };
}

/**
 * Reads the reply to a publish request.
 *
 * @throws {MalformedFrameError} when the payload is something else.
 */
export function decodePublished(payload: Uint8Array): Published {
  const isLong = payload.length > publishedBytes;
  if (
    payload.length < publishedBytes ||
    isLong && payload.length !== publishedBytes + repeatBytes * readU32(payload, 36)
  ) {
    throw new MalformedFrameError(`Cannot read a publish reply of ${payload.length} bytes`);
  }
  return {
    partitionId: readU32(payload, 0),
    count: readU32(payload, 4),
    firstOffset: readU64(payload, 8),
    term: readU64(payload, 16),
    index: readU64(payload, 24),
    duplicate: payload[32] !== 0,
    publishedAtMs: readU64(payload, 40),
    ...(isLong ? { repeats: readRepeats(payload) } : {}),
  };
}

function writeRepeats(frame: Uint8Array, repeats: readonly Repeat[]): void {
  writeU32(frame, frameHeaderBytes + 36, repeats.length);
  let at = frameHeaderBytes + publishedBytes;
  for (const { position, offset, term, index } of repeats) {
    writeU32(frame, at, position);
    writeU64(frame, at + 8, offset);
    writeU64(frame, at + 16, term);
    writeU64(frame, at + 24, index);
    at += repeatBytes;
  }
}

function readRepeats(payload: Uint8Array): Repeat[] {
  const count = readU32(payload, 36);
  return Array.from({ length: count }, (_, i) => {
    const at = publishedBytes + repeatBytes * i;
    return {
      position: readU32(payload, at),
      offset: readU64(payload, at + 8),
      term: readU64(payload, at + 16),
      index: readU64(payload, at + 24),
    };
  });
}

/**
 * Reads the reply to a settle request; the statuses are a view of the payload.
 *
 * @throws {MalformedFrameError} when the payload is something else.
 */
export function decodeSettled(payload: Uint8Array): Settled {
  if (
    payload.length < settledHeadBytes || payload.length !== settledHeadBytes + readU32(payload, 4)
  ) {
    throw new MalformedFrameError(`Cannot read a settle reply of ${payload.length} bytes`);
  }
  return {
    partitionId: readU32(payload, 0),
    term: readU64(payload, 8),
    index: readU64(payload, 16),
    statuses: payload.subarray(settledHeadBytes),
  };
}

/**
 * Reads any reply.
 *
 * @param type The frame's type.
 * @param payload The frame's payload.
 * @returns The reply.
 * @throws {MalformedFrameError} when the type is no reply, or the payload is not what it asks for.
 */
export function decodeReply(type: number, payload: Uint8Array): ServerReply {
  if (type === ReplyType.published) return { kind: "published", ...decodePublished(payload) };
  if (type === ReplyType.settled) return { kind: "settled", ...decodeSettled(payload) };
  const map = decodeCborMap(payload);
  switch (type) {
    case ReplyType.welcome:
      return decodeWelcome(map);
    case ReplyType.pong:
      return { kind: "pong" };
    case ReplyType.metadataReply:
      return {
        kind: "metadataReply",
        clusterId: textField(map, "clusterId"),
        nodeId: uintField(map, "nodeId"),
        nodes: mapsField(map, "nodes", readNode),
        shards: mapsField(map, "shards", readShard),
      };
    case ReplyType.nodeStatusReply:
      return {
        kind: "nodeStatusReply",
        nodeId: uintField(map, "nodeId"),
        version: textField(map, "version"),
        address: textField(map, "address"),
        peerAddress: textField(map, "peerAddress"),
        uptimeMs: amountField(map, "uptimeMs"),
        memoryBytes: amountField(map, "memoryBytes"),
        diskFreeBytes: map["diskFreeBytes"] === null ? null : amountField(map, "diskFreeBytes"),
        isDiskLow: booleanField(map, "isDiskLow"),
        shards: mapsField(map, "shards", readShardStatus),
      };
    case ReplyType.stateHashReply:
      return {
        kind: "stateHashReply",
        index: uintField(map, "index"),
        term: uintField(map, "term"),
        hash: textField(map, "hash"),
      };
    case ReplyType.sessionOpened:
      return {
        kind: "sessionOpened",
        sessionId: uintField(map, "sessionId"),
        ...(map["producers"] === undefined
          ? {}
          : { producers: mapsField(map, "producers", readPosition) }),
        term: uintField(map, "term"),
        index: uintField(map, "index"),
      };
    case ReplyType.done:
      return { kind: "done", term: uintField(map, "term"), index: uintField(map, "index") };
    case ReplyType.queueReply:
      return {
        kind: "queueReply",
        queue: readQueue(mapField(map, "queue")),
        created: booleanField(map, "created"),
      };
    case ReplyType.queueList:
      return { kind: "queueList", queues: mapsField(map, "queues", readQueue) };
    case ReplyType.queueStatsReply:
      return { kind: "queueStatsReply", partitions: mapsField(map, "partitions", readStats) };
    case ReplyType.purged:
      return {
        kind: "purged",
        count: uintField(map, "count"),
        term: uintField(map, "term"),
        index: uintField(map, "index"),
      };
    case ReplyType.queueStorageReply:
      return {
        kind: "queueStorageReply",
        nodeId: uintField(map, "nodeId"),
        partitions: mapsField(map, "partitions", readStorage),
      };
    case ReplyType.scheduleReply:
      return {
        kind: "scheduleReply",
        schedule: readScheduleInfo(mapField(map, "schedule")),
        created: booleanField(map, "created"),
      };
    case ReplyType.scheduleList:
      return { kind: "scheduleList", schedules: mapsField(map, "schedules", readScheduleInfo) };
    case ReplyType.peekReply:
      return readPeekReply(map);
    case ReplyType.findMessageReply:
      return readFindMessageReply(map);
    case ReplyType.messageHistoryReply:
      return readMessageHistoryReply(map);
    case ReplyType.replayed:
      return {
        kind: "replayed",
        count: uintField(map, "count"),
        term: uintField(map, "term"),
        index: uintField(map, "index"),
      };
    case ReplyType.inspectReply:
      return readInspectReply(map);
    case ReplyType.error:
      return decodeError(map);
    default:
      throw new MalformedFrameError(`Cannot read a reply of unknown type: ${type}`);
  }
}

function decodeWelcome(map: CborMap): ServerReply {
  const limits = mapField(map, "limits");
  return {
    kind: "welcome",
    protocol: uintField(map, "protocol"),
    version: textField(map, "version"),
    clusterId: textField(map, "clusterId"),
    nodeId: uintField(map, "nodeId"),
    limits: {
      frameBytesMax: uintField(limits, "frameBytesMax"),
      messageBytesMax: uintField(limits, "messageBytesMax"),
      batchCountMax: uintField(limits, "batchCountMax"),
    },
    shardCount: uintField(map, "shardCount"),
  };
}

function decodeError(map: CborMap): ServerReply {
  const leader = map["leader"] === undefined ? 0 : uintField(map, "leader");
  return {
    kind: "error",
    code: uintField(map, "code"),
    name: textField(map, "name"),
    message: textField(map, "message"),
    maybeApplied: booleanField(map, "maybeApplied"),
    ...(leader === 0 ? {} : { leader }),
  };
}

function readNode(map: CborMap): NodeInfo {
  return {
    id: uintField(map, "id"),
    address: map["address"] === null ? null : textField(map, "address"),
    connected: booleanField(map, "connected"),
  };
}

function readShard(map: CborMap): ShardInfo {
  return {
    id: uintField(map, "id"),
    leader: uintField(map, "leader"),
    term: uintField(map, "term"),
  };
}

function readShardStatus(map: CborMap): ShardStatus {
  return {
    id: uintField(map, "id"),
    role: textField(map, "role"),
    leader: uintField(map, "leader"),
    term: uintField(map, "term"),
    commitIndex: uintField(map, "commitIndex"),
    appliedIndex: uintField(map, "appliedIndex"),
    lastIndex: uintField(map, "lastIndex"),
    durableIndex: uintField(map, "durableIndex"),
    logBytes: uintField(map, "logBytes"),
    sessions: uintField(map, "sessions"),
  };
}

function readQueue(map: CborMap): QueueInfo {
  return {
    id: uintField(map, "id"),
    name: textField(map, "name"),
    settings: readQueueSettings(mapField(map, "settings")),
    paused: optionalBooleanField(map, "paused") ?? false,
    revision: optionalUintField(map, "revision") ?? 0,
    partitions: mapsField(map, "partitions", readPartition),
    state: readQueueState(map),
    ...(map["growingFrom"] === undefined ? {} : { growingFrom: uintField(map, "growingFrom") }),
  };
}

function readQueueState(map: CborMap): QueueInfo["state"] {
  const state = textField(map, "state");
  if (state !== "creating" && state !== "ready" && state !== "deleting") {
    throw new MalformedFrameError(`Cannot read a queue of unknown state: ${state}`);
  }
  return state;
}

function readPartition(map: CborMap): PartitionInfo {
  return {
    id: uintField(map, "id"),
    number: uintField(map, "number"),
    shard: uintField(map, "shard"),
  };
}

function readStats(map: CborMap): PartitionStats {
  const bytesHeld = optionalUintField(map, "bytesHeld");
  return {
    partitionId: uintField(map, "partitionId"),
    published: uintField(map, "published"),
    acked: uintField(map, "acked"),
    purged: optionalUintField(map, "purged") ?? 0,
    dropped: optionalUintField(map, "dropped") ?? 0,
    ready: uintField(map, "ready"),
    leased: uintField(map, "leased"),
    bytesPublished: uintField(map, "bytesPublished"),
    ...(bytesHeld === undefined ? {} : { bytesHeld }),
    redelivered: uintField(map, "redelivered"),
    consumers: uintField(map, "consumers"),
    nextOffset: uintField(map, "nextOffset"),
    delayed: optionalUintField(map, "delayed") ?? 0,
    dead: optionalUintField(map, "dead") ?? 0,
    expired: optionalUintField(map, "expired") ?? 0,
    repeated: optionalUintField(map, "repeated") ?? 0,
  };
}

function readStorage(map: CborMap): PartitionStorage {
  return {
    partitionId: uintField(map, "partitionId"),
    records: uintField(map, "records"),
    bytes: uintField(map, "bytes"),
    segments: uintField(map, "segments"),
    segmentBytes: uintField(map, "segmentBytes"),
    oldestAtMs: uintField(map, "oldestAtMs"),
    historyRecords: optionalUintField(map, "historyRecords") ?? 0,
    historyBytes: optionalUintField(map, "historyBytes") ?? 0,
  };
}

/** The error of a decoder as an error reply. */
export function errorReplyOf(error: MalformedFrameError): Omit<ErrorReply, "name"> {
  return {
    code: error.code ?? ErrorCode.malformedFrame,
    message: error.message,
    maybeApplied: false,
  };
}

function readPosition(map: CborMap): ProducerPosition {
  return {
    partitionId: uintField(map, "partitionId"),
    nextSequence: uintField(map, "nextSequence"),
  };
}
