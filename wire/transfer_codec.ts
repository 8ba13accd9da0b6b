/**
 * The packed layouts of the two commands that carry messages besides a publish: an ack that publishes,
 * as a client sends it, and a transfer, which brings messages from the outbox of a shard to a partition.
 *
 * An ack that publishes:
 *
 * ```text
 *  0  the command header, see command_header.ts; the partition is that of what is acked
 * 16  u64 sessionId
 * 24  u64 sequence
 * 32  u64 answeredBelow
 * 40  u32 consumerId
 * 44  u32 count of what is acked
 * 48  u32 targetBytes
 * 52  u32 reserved, 0
 * 56  u64 × count   offsets, rising
 *     u32 × count   delivery counts
 *     CBOR map {targets: [[queue, partition], …]}, one for each message, targetBytes long
 *     the messages, as a whole publish command (publish_batch.ts) of nobody: partition, session and
 *     sequence are 0
 * ```
 *
 * A transfer has the layout of a publish command, so that whoever looks for a message in an entry need
 * not know which it is:
 *
 * ```text
 *  0  the command header; at 2: u16 the shard that the messages come from
 * 16  u64 lastId
 * 24  u64 firstId
 * 32  as a publish command
 * ```
 *
 * @module
 */

import type {
  SettleAndPublishCommand,
  TransferCommand,
  TransferTarget,
} from "../queue/commands.ts";
import { readU16, readU32, readU64, writeU16, writeU32, writeU64 } from "./bytes.ts";
import { decodeCborMap, encodeCbor } from "./cbor.ts";
import {
  commandHeaderBytes,
  CommandKindCode,
  commandLayoutVersion,
  commandPartitionId,
} from "./command_header.ts";
import { MalformedFrameError } from "./errors.ts";
import { arrayField, asUint } from "./fields.ts";
import { settleCountMax, type WireLimits } from "./limits.ts";
import { readSettleList, settleItemBytes, writeSettleList } from "./settle_list.ts";
import {
  checkPublishCommand,
  type MessageBounds,
  messageBounds,
  publishAreaBytes,
  type PublishBatch,
  publishCount,
  publishDetails,
  publishTableOffset,
} from "./publish_batch.ts";

const sequenceOffset = commandHeaderBytes + 8;
const answeredOffset = commandHeaderBytes + 16;
const consumerOffset = commandHeaderBytes + 24;
const ackCountOffset = commandHeaderBytes + 28;
const targetBytesOffset = commandHeaderBytes + 32;
const ackListOffset = commandHeaderBytes + 40;

const sourceShardOffset = 2;

/** An ack that publishes, before its messages are laid out. */
export type SettleAndPublishHead = Omit<SettleAndPublishCommand, "kind">;

/**
 * Lays out an ack that publishes.
 *
 * @param head What is acked, and where the messages go.
 * @param messages One for each target, in their order.
 * @returns The command's bytes.
 */
export function encodeSettleAndPublish(
  head: SettleAndPublishHead,
  messages: PublishBatch,
): Uint8Array {
  const { offsets } = head;
  const targets = encodeCbor({
    targets: head.targets.map(({ queue, partition }) => [queue, partition]),
  });
  const publish = messages.encodeCommand(
    { shard: 0, partitionId: 0, sessionId: 0, baseSequence: 0 },
  );
  const targetsStart = ackListOffset + settleItemBytes * offsets.length;
  const bytes = new Uint8Array(targetsStart + targets.length + publish.length);
  bytes[0] = CommandKindCode.settleAndPublish;
  bytes[1] = commandLayoutVersion;
  writeU32(bytes, 4, head.partitionId);
  writeU64(bytes, commandHeaderBytes, head.sessionId);
  writeU64(bytes, sequenceOffset, head.sequence);
  writeU64(bytes, answeredOffset, head.answeredBelow);
  writeU32(bytes, consumerOffset, head.consumerId);
  writeU32(bytes, ackCountOffset, offsets.length);
  writeU32(bytes, targetBytesOffset, targets.length);
  const at = writeSettleList(bytes, ackListOffset, head);
  bytes.set(targets, at);
  bytes.set(publish, at + targets.length);
  return bytes;
}

/**
 * Checks an ack that publishes, which came from a client, down to every message.
 *
 * @param command The payload of the request.
 * @param limits What this broker accepts.
 * @returns -1, or the position of the first message that is over `limits.messageBytesMax`.
 * @throws {MalformedFrameError} when it is not such a command.
 */
export function checkSettleAndPublish(
  command: Uint8Array,
  limits: Pick<WireLimits, "messageBytesMax" | "batchCountMax">,
): number {
  const { targets } = decodeSettleAndPublish(command);
  const messages = publishedWith(command);
  const tooLarge = checkPublishCommand(messages, limits);
  if (publishCount(messages) !== targets.length) {
    throw new MalformedFrameError(
      `Cannot read ${publishCount(messages)} messages for ${targets.length} targets`,
    );
  }
  return tooLarge;
}

/**
 * Decodes an ack that publishes; its messages stay in the bytes.
 *
 * @param bytes The command.
 * @returns The command.
 * @throws {MalformedFrameError} when it is not one.
 */
export function decodeSettleAndPublish(bytes: Uint8Array): SettleAndPublishCommand {
  const isWhole = bytes.length >= ackListOffset &&
    bytes[0] === CommandKindCode.settleAndPublish && bytes[1] === commandLayoutVersion &&
    readU16(bytes, 2) === 0 && readU32(bytes, targetBytesOffset + 4) === 0 &&
    readU32(bytes, ackCountOffset) > 0 && readU32(bytes, ackCountOffset) <= settleCountMax &&
    messagesStart(bytes) + publishTableOffset <= bytes.length;
  if (!isWhole) {
    throw new MalformedFrameError(
      `Cannot read an ack that publishes, of ${bytes.length} bytes, kind ${bytes[0]}`,
    );
  }
  const map = decodeCborMap(bytes.subarray(targetsStart(bytes), messagesStart(bytes)));
  return {
    kind: "settleAndPublish",
    sessionId: readU64(bytes, commandHeaderBytes),
    consumerId: readU32(bytes, consumerOffset),
    partitionId: commandPartitionId(bytes),
    ...readSettleList(bytes, ackListOffset, readU32(bytes, ackCountOffset)),
    sequence: readU64(bytes, sequenceOffset),
    answeredBelow: readU64(bytes, answeredOffset),
    targets: arrayField(map, "targets", readTarget),
  };
}

/**
 * The messages that an ack publishes.
 *
 * @param command A checked command.
 * @returns A publish command: a view.
 */
export function publishedWith(command: Uint8Array): Uint8Array {
  return command.subarray(messagesStart(command));
}

/**
 * Finds a message in an entry, whichever command brought it.
 *
 * @param command A publish, a transfer, or an ack that publishes.
 * @param position The place of the message in it.
 * @param bounds Filled in.
 */
export function messageBoundsIn(
  command: Uint8Array,
  position: number,
  bounds: MessageBounds,
): void {
  if (command[0] !== CommandKindCode.settleAndPublish) {
    return messageBounds(command, position, bounds);
  }
  const start = messagesStart(command);
  messageBounds(command.subarray(start), position, bounds);
  bounds.start += start;
  bounds.end += start;
}

/**
 * Lays out a transfer.
 *
 * @param head Where from and where to.
 * @param messages What is transferred.
 * @returns The command's bytes.
 */
export function encodeTransfer(
  { partitionId, sourceShard, firstId, lastId }: Omit<TransferCommand, "kind" | "count" | "bytes">,
  messages: PublishBatch,
): Uint8Array {
  const command = messages.encodeCommand({
    shard: 0,
    partitionId,
    sessionId: lastId,
    baseSequence: firstId,
  });
  command[0] = CommandKindCode.transfer;
  writeU16(command, sourceShardOffset, sourceShard);
  return command;
}

/**
 * Decodes a transfer; its messages stay in the bytes.
 *
 * @param bytes The command.
 * @returns The command.
 * @throws {MalformedFrameError} when it is not one.
 */
export function decodeTransfer(bytes: Uint8Array): TransferCommand {
  if (bytes.length < publishTableOffset || publishAreaBytes(bytes) < 0) {
    throw new MalformedFrameError(`Cannot read a transfer of ${bytes.length} bytes`);
  }
  const details = publishDetails(bytes);
  return {
    kind: "transfer",
    partitionId: commandPartitionId(bytes),
    sourceShard: readU16(bytes, sourceShardOffset),
    firstId: readU64(bytes, commandHeaderBytes + 8),
    lastId: readU64(bytes, commandHeaderBytes),
    count: publishCount(bytes),
    bytes: publishAreaBytes(bytes),
    ...(details === undefined ? {} : { details }),
  };
}

function targetsStart(command: Uint8Array): number {
  return ackListOffset + settleItemBytes * readU32(command, ackCountOffset);
}

function messagesStart(command: Uint8Array): number {
  return targetsStart(command) + readU32(command, targetBytesOffset);
}

function readTarget(item: unknown): TransferTarget {
  if (!Array.isArray(item) || item.length !== 2 || typeof item[0] !== "string") {
    throw new MalformedFrameError("Cannot read field targets as it is not a list of pairs");
  }
  return { queue: item[0], partition: asUint(item[1], "targets") };
}
