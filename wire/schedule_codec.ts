/**
 * Schedules as bytes. A command that fires one has the layout of a publish command of one message, so
 * that whoever looks for a message in an entry need not know which it is:
 *
 * ```text
 *  0  the command header, see command_header.ts
 * 16  u64 number of the schedule
 * 24  u64 dueMs
 * 32  as a publish command, with the message
 *     u64 nextMs
 * ```
 *
 * What else there is about schedules is in CBOR maps.
 *
 * @module
 */

import type {
  FireScheduleCommand,
  Schedule,
  ScheduleCommand,
  ScheduledMessage,
  ScheduleInfo,
  ScheduleTiming,
} from "../queue/schedule.ts";
import { readU64, writeU64 } from "./bytes.ts";
import type { CborMap } from "./cbor.ts";
import { commandHeaderBytes, CommandKindCode, commandPartitionId } from "./command_header.ts";
import { MalformedFrameError } from "./errors.ts";
import { booleanField, bytesField, mapField, optional, textField, uintField } from "./fields.ts";
import { encodeMessageOptions } from "./message_options.ts";
import { encodeHeaders, type MessageHeaders } from "./message_record.ts";
import {
  publishAreaBytes,
  PublishArena,
  PublishBatch,
  publishCount,
  publishDetails,
  publishTableOffset,
} from "./publish_batch.ts";

const dueOffset = commandHeaderBytes + 8;
const nextBytes = 8;

/** The headers by which a consumer knows what a schedule has published. */
export const ScheduleHeader = {
  /** What people call the schedule. */
  id: "flowmq-schedule",
  /** The time that it was due for: ISO 8601. */
  dueAt: "flowmq-schedule-due-at",
} as const;

/**
 * Makes the command that fires a schedule, with the time 0.
 *
 * @param schedule What is due.
 * @param dueMs The due time that it is fired for.
 * @param nextMs When it is due after that, 0 when never again.
 * @returns The command's bytes.
 */
export function encodeFireSchedule(
  { partitionId, id, number, message }: Schedule,
  dueMs: number,
  nextMs: number,
): Uint8Array {
  const headers = encodeHeaders({
    ...message.headers,
    [ScheduleHeader.id]: id,
    [ScheduleHeader.dueAt]: new Date(dueMs).toISOString(),
  });
  const batch = new PublishBatch(new PublishArena());
  const { ttlMs, priority = 0 } = message;
  const options = encodeMessageOptions({ ...(ttlMs === undefined ? {} : { ttlMs }), priority });
  batch.add(message.body, message.key, headers, options);
  const publish = batch.encodeCommand(
    { shard: 0, partitionId, sessionId: number, baseSequence: dueMs },
  );
  const command = new Uint8Array(publish.length + nextBytes);
  command.set(publish);
  command[0] = CommandKindCode.fireSchedule;
  writeU64(command, publish.length, nextMs);
  return command;
}

/**
 * Decodes a command that fires a schedule; its message stays in the bytes.
 *
 * @param bytes The command.
 * @returns The command.
 * @throws {MalformedFrameError} when it is not one.
 */
export function decodeFireSchedule(bytes: Uint8Array): FireScheduleCommand {
  const isWhole = bytes.length > publishTableOffset + nextBytes && publishCount(bytes) === 1 &&
    publishAreaBytes(bytes) > nextBytes;
  if (!isWhole) {
    throw new MalformedFrameError(`Cannot read the message of a schedule in ${bytes.length} bytes`);
  }
  const details = publishDetails(bytes);
  return {
    kind: "fireSchedule",
    partitionId: commandPartitionId(bytes),
    number: readU64(bytes, commandHeaderBytes),
    dueMs: readU64(bytes, dueOffset),
    nextMs: readU64(bytes, bytes.length - nextBytes),
    bytes: publishAreaBytes(bytes) - nextBytes,
    ...(details === undefined ? {} : { details }),
  };
}

/**
 * Decodes any other command about a schedule.
 *
 * @param kind The first byte of the command.
 * @param partitionId Its partition.
 * @param map Its fields.
 * @returns The command, or `undefined` when it is about something else.
 * @throws {MalformedFrameError} when a field is not what it should be.
 */
export function decodeScheduleCommand(
  kind: number,
  partitionId: number,
  map: CborMap,
): ScheduleCommand | undefined {
  switch (kind) {
    case CommandKindCode.addSchedule:
      return {
        kind: "addSchedule",
        partitionId,
        id: textField(map, "id"),
        timing: readScheduleTiming(mapField(map, "timing")),
        message: readScheduledMessage(mapField(map, "message")),
        nextMs: uintField(map, "nextMs"),
      };
    case CommandKindCode.removeSchedule:
      return { kind: "removeSchedule", partitionId, id: textField(map, "id") };
    case CommandKindCode.pauseSchedule:
      return { kind: "pauseSchedule", partitionId, id: textField(map, "id") };
    case CommandKindCode.resumeSchedule:
      return {
        kind: "resumeSchedule",
        partitionId,
        id: textField(map, "id"),
        number: uintField(map, "number"),
        nextMs: uintField(map, "nextMs"),
      };
    default:
      return undefined;
  }
}

/**
 * Reads when a schedule is due.
 *
 * @throws {MalformedFrameError} when a field is not what it should be.
 */
export function readScheduleTiming(map: CborMap): ScheduleTiming {
  if (map["everyMs"] !== undefined) return { everyMs: uintField(map, "everyMs") };
  return { cron: textField(map, "cron"), timeZone: textField(map, "timeZone") };
}

/**
 * Reads what a schedule publishes. The body is a copy: it outlives the entry that it came in.
 *
 * @throws {MalformedFrameError} when a field is not what it should be.
 */
export function readScheduledMessage(map: CborMap): ScheduledMessage {
  const headers = mapField(map, "headers");
  for (const name of Object.keys(headers)) textField(headers, name);
  return {
    ...(map["key"] === undefined ? {} : { key: textField(map, "key") }),
    headers: headers as MessageHeaders,
    body: bytesField(map, "body").slice(),
    ...readLifeAndRank(map),
  };
}

/**
 * Reads what there is to know about a schedule.
 *
 * @throws {MalformedFrameError} when a field is not what it should be.
 */
export function readScheduleInfo(map: CborMap): ScheduleInfo {
  return {
    id: textField(map, "id"),
    timing: readScheduleTiming(mapField(map, "timing")),
    ...(map["key"] === undefined ? {} : { key: textField(map, "key") }),
    bodyBytes: uintField(map, "bodyBytes"),
    ...readLifeAndRank(map),
    paused: booleanField(map, "paused"),
    nextMs: uintField(map, "nextMs"),
    lastMs: uintField(map, "lastMs"),
    fired: uintField(map, "fired"),
  };
}

function readLifeAndRank(map: CborMap): { ttlMs?: number; priority?: number } {
  return { ...optional(map, "ttlMs", uintField), ...optional(map, "priority", uintField) };
}
