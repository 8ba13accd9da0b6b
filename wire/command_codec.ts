/**
 * Commands of the queue machine as bytes: what is proposed to Raft and what is read back from it.
 *
 * Publish and settle, the ones on the hot path, are packed and come from the client as they are (see
 * `publish_batch.ts`). A settle command:
 *
 * ```text
 *  0  the command header, see command_header.ts
 * 16  u64 sessionId
 * 24  u32 consumerId
 * 28  u8  operation (0 ack, 1 nack, 2 extend, 3 reject)
 * 29  u8 × 3 reserved, 0
 * 32  u32 count
 * 36  u32 optionBytes, 0 where there are no options
 * 40  u64 × count   offsets
 *     u32 × count   delivery counts
 *     CBOR map of optionBytes: delayMs (nack), reason (nack and reject), as far as they are given
 * ```
 *
 * Those that carry messages besides a publish are in `transfer_codec.ts`. All others: the header, then a CBOR map of the command's fields, without `kind` and `partitionId`.
 *
 * @module
 */

import {
  type Command,
  type PartitionSettledCommand,
  type PublishCommand,
  type QueueSettings,
  type SettleAndPublishCommand,
  type SettleCommand,
  SettleOperation,
  type TransferCommand,
} from "../queue/commands.ts";
import { QUEUE_SETTINGS, queueSettings } from "../queue/settings.ts";
import type { FireScheduleCommand } from "../queue/schedule.ts";
import { emptyBytes, readU16, readU32, readU64, utf8Length, writeU32, writeU64 } from "./bytes.ts";
import { type CborMap, decodeCborMap, encodeCbor } from "./cbor.ts";
import {
  commandHeaderBytes,
  CommandKindCode,
  commandLayoutVersion,
  commandPartitionId,
} from "./command_header.ts";
import { MalformedFrameError } from "./errors.ts";
import {
  booleanField,
  mapField,
  optionalBooleanField,
  optionalUintField,
  textField,
  uintField,
  uintsField,
} from "./fields.ts";
import { frameHeaderBytes, writeFrameHeader } from "./frame.ts";
import { delayMsMax, reasonBytesMax, settleCountMax } from "./limits.ts";
import { newBytes } from "./new_bytes.ts";
import {
  publishAreaBytes,
  publishBaseSequence,
  publishCount,
  publishDetails,
  publishPartitionCount,
  publishSessionId,
  publishTableOffset,
} from "./publish_batch.ts";
import { readSettleList, settleItemBytes, writeSettleList } from "./settle_list.ts";
import { decodeFireSchedule, decodeScheduleCommand } from "./schedule_codec.ts";
import { decodeSettleAndPublish, decodeTransfer } from "./transfer_codec.ts";

const consumerOffset = commandHeaderBytes + 8;
const operationOffset = commandHeaderBytes + 12;
const countOffset = commandHeaderBytes + 16;
const settleListOffset = commandHeaderBytes + 24;
const operationMax = 3;
const optionBytesOffset = commandHeaderBytes + 20;
/** Enough for a delay and the longest reason. */
const optionBytesMax = reasonBytesMax + 64;

/** The commands that are told by their fields alone: those with messages are built around them. */
export type EncodableCommand = Exclude<
  Command,
  PublishCommand | SettleAndPublishCommand | TransferCommand | FireScheduleCommand
>;

/**
 * Encodes a command, with the time 0.
 *
 * @param command Any without a message: see `PublishBatch`, `transfer_codec.ts`, `encodeFireSchedule`.
 * @returns Bytes of their own.
 */
export function encodeCommand(command: EncodableCommand): Uint8Array {
  if (command.kind === "settle") {
    const options = encodeSettleOptions(command);
    const bytes = newBytes(settleCommandBytes(command, options));
    writeSettleCommand(bytes, 0, command, options);
    return bytes;
  }
  const { kind, ...rest } = command;
  const { partitionId = 0, ...fields } = rest as { partitionId?: number };
  const body = encodeCbor(fields);
  const bytes = newBytes(commandHeaderBytes + body.length);
  writeHeader(bytes, 0, CommandKindCode[kind], partitionId);
  bytes.set(body, commandHeaderBytes);
  return bytes;
}

/**
 * Makes the whole frame of a settle request.
 *
 * @param type The frame type of a settle request.
 * @param shard The shard of the partition.
 * @param correlationId The number of the request.
 * @param command At most 65,536 offsets.
 * @returns Bytes of their own.
 */
export function encodeSettleFrame(
  type: number,
  shard: number,
  correlationId: number,
  command: SettleCommand,
): Uint8Array {
  const options = encodeSettleOptions(command);
  const commandBytes = settleCommandBytes(command, options);
  const frame = newBytes(frameHeaderBytes + commandBytes);
  writeFrameHeader(frame, 0, type, shard, correlationId, commandBytes);
  writeSettleCommand(frame, frameHeaderBytes, command, options);
  return frame;
}

function encodeSettleOptions({ delayMs, reason }: SettleCommand): Uint8Array {
  if (delayMs === undefined && reason === undefined) return emptyBytes;
  return encodeCbor({
    ...(delayMs === undefined ? {} : { delayMs }),
    ...(reason === undefined ? {} : { reason }),
  });
}

function settleCommandBytes({ offsets }: SettleCommand, options: Uint8Array): number {
  return settleListOffset + settleItemBytes * offsets.length + options.length;
}

function writeSettleCommand(
  bytes: Uint8Array,
  offset: number,
  command: SettleCommand,
  options: Uint8Array,
): void {
  writeHeader(bytes, offset, CommandKindCode.settle, command.partitionId);
  writeU64(bytes, offset + commandHeaderBytes, command.sessionId);
  writeU32(bytes, offset + consumerOffset, command.consumerId);
  bytes[offset + operationOffset] = command.operation;
  writeU32(bytes, offset + countOffset, command.offsets.length);
  writeU32(bytes, offset + optionBytesOffset, options.length);
  bytes.set(options, writeSettleList(bytes, offset + settleListOffset, command));
}

function writeHeader(bytes: Uint8Array, offset: number, kind: number, partitionId: number): void {
  bytes[offset] = kind;
  bytes[offset + 1] = commandLayoutVersion;
  writeU32(bytes, offset + 4, partitionId);
}

/**
 * Checks a settle command that came from a client.
 *
 * @param command The payload of a settle request.
 * @throws {MalformedFrameError} when it is not a settle command.
 */
export function checkSettleCommand(command: Uint8Array): void {
  if (command.length < settleListOffset) {
    throw new MalformedFrameError(`Cannot read a settle command of ${command.length} bytes`);
  }
  const count = readU32(command, countOffset);
  const optionBytes = readU32(command, optionBytesOffset);
  const isWhole = command[0] === CommandKindCode.settle &&
    command[1] === commandLayoutVersion && readU16(command, 2) === 0 &&
    readU32(command, operationOffset) <= operationMax && optionBytes <= optionBytesMax &&
    count > 0 && count <= settleCountMax &&
    command.length === settleListOffset + settleItemBytes * count + optionBytes;
  if (!isWhole) {
    throw new MalformedFrameError(
      `Cannot read a settle command of ${count} offsets in ${command.length} bytes`,
    );
  }
  readU64(command, commandHeaderBytes);
  for (let i = 0, at = settleListOffset; i < count; i++, at += 8) readU64(command, at);
  if (optionBytes > 0) readSettleOptions(command, optionBytes);
}

/** Reads the options at the end of a settle command: each fits its operation, and is in its range. */
function readSettleOptions(
  command: Uint8Array,
  optionBytes: number,
): Pick<SettleCommand, "delayMs" | "reason"> {
  const map = decodeCborMap(command.subarray(command.length - optionBytes));
  const operation = command[operationOffset]!;
  const delayMs = map["delayMs"] === undefined ? undefined : uintField(map, "delayMs", delayMsMax);
  const reason = map["reason"] === undefined ? undefined : textField(map, "reason");
  if (delayMs !== undefined && operation !== SettleOperation.nack) {
    throw new MalformedFrameError(`Cannot settle with a delay by operation ${operation}`);
  }
  const hasReason = operation === SettleOperation.nack || operation === SettleOperation.reject;
  if (reason !== undefined && (!hasReason || utf8Length(reason) > reasonBytesMax)) {
    throw new MalformedFrameError(
      `Cannot settle by operation ${operation} with a reason of ${utf8Length(reason)} bytes`,
    );
  }
  return {
    ...(delayMs === undefined ? {} : { delayMs }),
    ...(reason === undefined ? {} : { reason }),
  };
}

/** The session of a settle command. */
export function settleSessionId(command: Uint8Array): number {
  return readU64(command, commandHeaderBytes);
}

/** How many offsets a settle command holds. */
export function settleCount(command: Uint8Array): number {
  return readU32(command, countOffset);
}

/**
 * Decodes a command read from the log. A publish command is told by its numbers; its messages stay
 * in the bytes.
 *
 * @param bytes The data of an entry, not empty.
 * @returns The command, without its time: see `commandTimestampMs`.
 * @throws {MalformedFrameError} when the bytes are no command of this version.
 */
export function decodeCommand(bytes: Uint8Array): Command {
  if (bytes.length < commandHeaderBytes || bytes[1] !== commandLayoutVersion) {
    throw new MalformedFrameError(
      `Cannot read a command of ${bytes.length} bytes and layout version ${bytes[1]}`,
    );
  }
  const partitionId = commandPartitionId(bytes);
  const kind = bytes[0]!;
  if (kind === CommandKindCode.publish) return decodePublish(bytes, partitionId);
  if (kind === CommandKindCode.settle) return decodeSettle(bytes, partitionId);
  if (kind === CommandKindCode.settleAndPublish) return decodeSettleAndPublish(bytes);
  if (kind === CommandKindCode.transfer) return decodeTransfer(bytes);
  if (kind === CommandKindCode.fireSchedule) return decodeFireSchedule(bytes);
  return decodeStructured(kind, partitionId, decodeCborMap(bytes.subarray(commandHeaderBytes)));
}

function decodePublish(bytes: Uint8Array, partitionId: number): PublishCommand {
  if (bytes.length < publishTableOffset || publishAreaBytes(bytes) < 0) {
    throw new MalformedFrameError(`Cannot read a publish command of ${bytes.length} bytes`);
  }
  const command = {
    kind: "publish",
    sessionId: publishSessionId(bytes),
    partitionId,
    baseSequence: publishBaseSequence(bytes),
    count: publishCount(bytes),
    bytes: publishAreaBytes(bytes),
    partitionCount: publishPartitionCount(bytes),
  } as const;
  const details = publishDetails(bytes);
  return details === undefined ? command : { ...command, details };
}

function decodeSettle(bytes: Uint8Array, partitionId: number): SettleCommand {
  checkSettleCommand(bytes);
  const command: SettleCommand = {
    kind: "settle",
    sessionId: readU64(bytes, commandHeaderBytes),
    consumerId: readU32(bytes, consumerOffset),
    partitionId,
    operation: bytes[operationOffset]! as SettleOperation,
    ...readSettleList(bytes, settleListOffset, readU32(bytes, countOffset)),
  };
  const optionBytes = readU32(bytes, optionBytesOffset);
  return optionBytes === 0 ? command : { ...command, ...readSettleOptions(bytes, optionBytes) };
}

function decodeStructured(kind: number, partitionId: number, map: CborMap): Command {
  switch (kind) {
    case CommandKindCode.openSession:
      return {
        kind: "openSession",
        timeoutMs: uintField(map, "timeoutMs"),
        clientName: textField(map, "clientName"),
        ...(map["producer"] === undefined ? {} : { producer: textField(map, "producer") }),
      };
    case CommandKindCode.attachSession:
      return { kind: "attachSession", sessionId: uintField(map, "sessionId") };
    case CommandKindCode.detachSession:
      return {
        kind: "detachSession",
        sessionId: uintField(map, "sessionId"),
        attachIndex: uintField(map, "attachIndex"),
      };
    case CommandKindCode.closeSession:
      return { kind: "closeSession", sessionId: uintField(map, "sessionId") };
    case CommandKindCode.attachConsumer:
      return {
        kind: "attachConsumer",
        sessionId: uintField(map, "sessionId"),
        consumerId: uintField(map, "consumerId"),
        partitionId,
        prefetch: uintField(map, "prefetch"),
        drain: booleanField(map, "drain"),
        ...(map["leaseMs"] === undefined ? {} : { leaseMs: uintField(map, "leaseMs") }),
      };
    case CommandKindCode.detachConsumer:
      return {
        kind: "detachConsumer",
        sessionId: uintField(map, "sessionId"),
        consumerId: uintField(map, "consumerId"),
        partitionId,
      };
    case CommandKindCode.beginTerm:
      return { kind: "beginTerm" };
    case CommandKindCode.tick:
      return map["mark"] === undefined
        ? { kind: "tick" }
        : { kind: "tick", mark: uintField(map, "mark") };
    case CommandKindCode.createPartition:
      return {
        kind: "createPartition",
        partitionId,
        queueId: uintField(map, "queueId"),
        queueName: textField(map, "queueName"),
        partitionNumber: uintField(map, "partitionNumber"),
        settings: readQueueSettings(mapField(map, "settings")),
        paused: optionalBooleanField(map, "paused") ?? false,
        revision: optionalUintField(map, "revision") ?? 0,
        ...readGrowth(map),
      };
    case CommandKindCode.updatePartition:
      return {
        kind: "updatePartition",
        partitionId,
        revision: uintField(map, "revision"),
        settings: readQueueSettings(mapField(map, "settings")),
        paused: booleanField(map, "paused"),
        ...readGrowth(map),
      };
    case CommandKindCode.purgePartition:
      return { kind: "purgePartition", partitionId };
    case CommandKindCode.removeMessage:
      return { kind: "removeMessage", partitionId, offset: uintField(map, "offset") };
    case CommandKindCode.replay:
      return {
        kind: "replay",
        partitionId,
        sinceMs: uintField(map, "sinceMs"),
        untilIndex: uintField(map, "untilIndex"),
      };
    case CommandKindCode.deletePartition:
      return { kind: "deletePartition", partitionId };
    case CommandKindCode.createQueue:
      return {
        kind: "createQueue",
        name: textField(map, "name"),
        settings: readQueueSettings(mapField(map, "settings")),
        shardCount: uintField(map, "shardCount"),
        acceptExisting: booleanField(map, "acceptExisting"),
      };
    case CommandKindCode.editQueue: {
      const paused = optionalBooleanField(map, "paused");
      return {
        kind: "editQueue",
        name: textField(map, "name"),
        settings: readGivenSettings(mapField(map, "settings")),
        ...(paused === undefined ? {} : { paused }),
        ...(map["shardCount"] === undefined ? {} : { shardCount: uintField(map, "shardCount") }),
      };
    }
    case CommandKindCode.deleteQueue:
      return { kind: "deleteQueue", name: textField(map, "name") };
    case CommandKindCode.partitionSettled:
      return {
        kind: "partitionSettled",
        partitionId,
        action: readAction(map),
        revision: optionalUintField(map, "revision") ?? 0,
      };
    case CommandKindCode.transferDone:
      return { kind: "transferDone", ids: uintsField(map, "ids") };
    default: {
      const command = decodeScheduleCommand(kind, partitionId, map);
      if (command !== undefined) return command;
      throw new MalformedFrameError(`Cannot read a command of unknown kind: ${kind}`);
    }
  }
}

function readGrowth(map: CborMap): { readonly growingFrom?: number } {
  return map["growingFrom"] === undefined ? {} : { growingFrom: uintField(map, "growingFrom") };
}

function readAction(map: CborMap): PartitionSettledCommand["action"] {
  const action = textField(map, "action");
  if (
    action !== "create" && action !== "update" && action !== "delete" && action !== "drain"
  ) {
    throw new MalformedFrameError(`Cannot read an unknown partition action: ${action}`);
  }
  return action;
}

/**
 * Reads the settings of a queue out of a decoded map; those that are missing have their defaults.
 *
 * @throws {MalformedFrameError} when one is of another type than it should be.
 */
export function readQueueSettings(map: CborMap): QueueSettings {
  return queueSettings(readGivenSettings(map));
}

/** The settings that there are in a map. */
function readGivenSettings(map: CborMap): Partial<QueueSettings> {
  const given: Record<string, unknown> = {};
  for (const [name, { default: usual }] of Object.entries(QUEUE_SETTINGS)) {
    const value = map[name];
    if (value === undefined) continue;
    if (typeof value !== typeof usual) {
      throw new MalformedFrameError(`Cannot read setting ${name} as it is no ${typeof usual}`);
    }
    given[name] = value;
  }
  return given;
}
