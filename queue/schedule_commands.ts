/**
 * What happens to schedules: they are made, rest, go on, are fired and taken away.
 *
 * Each due time is fired once at most, whoever proposes it how often: it must be due by the time of the
 * log, and not lie before the one that the schedule waits for, which it pushes on behind itself. Due
 * times in between, which passed while nobody led, are passed over by that: the newest stands for all.
 *
 * @module
 */

import type { CommandMeta, Reply } from "./commands.ts";
import { COMMAND_BOUNDS, isIntegerIn } from "./limits.ts";
import { nameProblem, utf8Length } from "./queue_name.ts";
import { limitReached, OK, partitionNotFound, refused } from "./replies.ts";
import type {
  AddScheduleCommand,
  FireScheduleCommand,
  PauseScheduleCommand,
  RemoveScheduleCommand,
  ResumeScheduleCommand,
  Schedule,
  ScheduledMessage,
  ScheduleTiming,
} from "./schedule.ts";
import { MESSAGE_TIME_MS_MAX } from "./settings.ts";
import type { ShardTables } from "./shard_tables.ts";
import { PRIORITY_MAX } from "./waiting_messages.ts";

/**
 * Makes a schedule, or finds it made just so.
 *
 * @param tables The state of the shard.
 * @param meta The command's place in the log.
 * @param command The command.
 * @returns The schedule, or why not.
 */
export function addSchedule(
  tables: ShardTables,
  meta: CommandMeta,
  command: AddScheduleCommand,
): Reply {
  const { partitionId, id, timing, message, nextMs } = command;
  if (!tables.partitions.has(partitionId)) return partitionNotFound(partitionId);
  const problem = nameProblem("A schedule id", id) ?? timingProblem(timing) ??
    messageProblem(message);
  if (problem !== undefined) return refused("invalidArgument", problem);
  if (!isIntegerIn(nextMs, 1, Number.MAX_SAFE_INTEGER)) {
    return refused("invalidArgument", "A schedule that is never due cannot be made");
  }
  const { schedules } = tables;
  const existing = schedules.find(partitionId, id);
  if (existing !== undefined) {
    return isSameWork(existing, command)
      ? { kind: "schedule", schedule: existing, created: false }
      : refused("scheduleExists", `There is another schedule "${id}" already`);
  }
  const full = schedules.fullAt(partitionId);
  if (full !== undefined) return limitReached(full.what, full.limit);
  const schedule: Schedule = {
    partitionId,
    id,
    number: meta.index,
    timing,
    message,
    paused: false,
    nextMs,
    lastMs: 0,
    fired: 0,
  };
  schedules.put(schedule);
  return { kind: "schedule", schedule, created: true };
}

/**
 * Takes a schedule away.
 *
 * @param tables The state of the shard.
 * @param command The command.
 * @returns `ok`, or why not.
 */
export function removeSchedule(tables: ShardTables, command: RemoveScheduleCommand): Reply {
  const schedule = tables.schedules.find(command.partitionId, command.id);
  if (schedule === undefined) return scheduleNotFound(tables, command);
  tables.schedules.remove(schedule);
  return OK;
}

/**
 * Lets a schedule rest: what it is due for meanwhile is passed over.
 *
 * @param tables The state of the shard.
 * @param command The command.
 * @returns The schedule, or why not.
 */
export function pauseSchedule(tables: ShardTables, command: PauseScheduleCommand): Reply {
  const schedule = tables.schedules.find(command.partitionId, command.id);
  if (schedule === undefined) return scheduleNotFound(tables, command);
  return changed(tables, { ...schedule, paused: true });
}

/**
 * Lets a schedule go on, from the due time that the command brings.
 *
 * @param tables The state of the shard.
 * @param command The command.
 * @returns The schedule, or why not.
 */
export function resumeSchedule(tables: ShardTables, command: ResumeScheduleCommand): Reply {
  const { partitionId, id, number, nextMs } = command;
  const schedule = tables.schedules.find(partitionId, id);
  if (schedule === undefined || schedule.number !== number) {
    return scheduleNotFound(tables, command);
  }
  if (!isNextMs(nextMs, schedule.lastMs)) {
    return refused("invalidArgument", `Schedule "${id}" cannot be due at ${nextMs} next`);
  }
  if (!schedule.paused) return { kind: "schedule", schedule, created: false };
  return changed(tables, { ...schedule, paused: false, nextMs });
}

/**
 * Publishes the message of a schedule that is due, once.
 *
 * @param tables The state of the shard.
 * @param meta The command's place in the log.
 * @param command The command.
 * @returns The receipt, or why not.
 */
export function fireSchedule(
  tables: ShardTables,
  meta: CommandMeta,
  command: FireScheduleCommand,
): Reply {
  const { partitionId, number, dueMs, nextMs, bytes, details } = command;
  const partition = tables.partitions.get(partitionId);
  if (partition === undefined) return partitionNotFound(partitionId);
  const schedule = tables.schedules.get(number);
  if (schedule === undefined || schedule.partitionId !== partitionId) {
    return refused("scheduleNotFound", `There is no schedule number ${number}`);
  }
  const isDue = !schedule.paused && schedule.nextMs > 0 && dueMs >= schedule.nextMs &&
    dueMs <= tables.nowMs;
  if (!isDue || !isNextMs(nextMs, dueMs) || !isIntegerIn(bytes, 1, Number.MAX_SAFE_INTEGER)) {
    return refused("invalidArgument", `Schedule "${schedule.id}" is not due for ${dueMs}`);
  }
  const { index, term, timestampMs: publishedAtMs } = meta;
  const firstOffset = partition.publish(1, bytes, index, term, details, tables.nowMs);
  tables.schedules.put({ ...schedule, nextMs, lastMs: dueMs, fired: schedule.fired + 1 });
  tables.touch(partition);
  return { kind: "published", firstOffset, count: 1, index, term, publishedAtMs, duplicate: false };
}

function changed({ schedules }: ShardTables, schedule: Schedule): Reply {
  schedules.put(schedule);
  return { kind: "schedule", schedule, created: false };
}

function scheduleNotFound(
  { partitions }: ShardTables,
  { partitionId, id }: { readonly partitionId: number; readonly id: string },
): Reply {
  if (!partitions.has(partitionId)) return partitionNotFound(partitionId);
  return refused("scheduleNotFound", `There is no schedule "${id}"`);
}

function isNextMs(nextMs: number, lastMs: number): boolean {
  return nextMs === 0 || isIntegerIn(nextMs, lastMs + 1, Number.MAX_SAFE_INTEGER);
}

/** Whether a schedule does what is asked for, so that asking again is fine. */
function isSameWork(schedule: Schedule, { timing, message }: AddScheduleCommand): boolean {
  return isSameTiming(schedule.timing, timing) && isSameMessage(schedule.message, message);
}

function isSameTiming(a: ScheduleTiming, b: ScheduleTiming): boolean {
  if ("cron" in a) return "cron" in b && a.cron === b.cron && a.timeZone === b.timeZone;
  return "everyMs" in b && a.everyMs === b.everyMs;
}

function isSameMessage(a: ScheduledMessage, b: ScheduledMessage): boolean {
  const names = Object.keys(a.headers);
  return a.key === b.key && a.ttlMs === b.ttlMs && (a.priority ?? 0) === (b.priority ?? 0) &&
    names.length === Object.keys(b.headers).length &&
    names.every((name) => a.headers[name] === b.headers[name]) &&
    a.body.length === b.body.length && a.body.every((byte, at) => byte === b.body[at]);
}

function timingProblem(timing: ScheduleTiming): string | undefined {
  const { scheduleTimingLengthMax, everyMsMin, everyMsMax } = COMMAND_BOUNDS;
  if ("everyMs" in timing) {
    return isIntegerIn(timing.everyMs, everyMsMin, everyMsMax)
      ? undefined
      : `A schedule must be due every ${everyMsMin} to ${everyMsMax} milliseconds: ` +
        `current value is ${timing.everyMs}`;
  }
  const isShort = timing.cron.length <= scheduleTimingLengthMax &&
    timing.timeZone.length <= scheduleTimingLengthMax;
  if (isShort) return undefined;
  return `A cron expression and a time zone may have ${scheduleTimingLengthMax} characters each`;
}

function messageProblem(message: ScheduledMessage): string | undefined {
  const { key = "", headers, body, ttlMs = 1, priority = 0 } = message;
  const { scheduledBytesMax } = COMMAND_BOUNDS;
  if (!isIntegerIn(ttlMs, 1, MESSAGE_TIME_MS_MAX)) {
    return `The messages of a schedule must live for 1 to ${MESSAGE_TIME_MS_MAX} milliseconds: ` +
      `current value is ${ttlMs}`;
  }
  if (!isIntegerIn(priority, 0, PRIORITY_MAX)) {
    return `The messages of a schedule must have a priority of 0 to ${PRIORITY_MAX}: ` +
      `current value is ${priority}`;
  }
  let bytes = utf8Length(key) + body.length;
  for (const [name, value] of Object.entries(headers)) {
    bytes += utf8Length(name) + utf8Length(value);
  }
  if (bytes <= scheduledBytesMax) return undefined;
  return `The message of a schedule may have ${scheduledBytesMax} bytes with key and headers: ` +
    `this one has ${bytes}`;
}
