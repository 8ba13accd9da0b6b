/**
 * What a recurring schedule is: plain data, the same in commands, snapshots and replies.
 *
 * @module
 */

import type { PublishDetails } from "./commands.ts";

/**
 * When a schedule is due: by a cron expression, read in a time zone, or at equal distances. What a cron
 * expression means is the business of whoever leads: the machine only compares times.
 */
export type ScheduleTiming =
  | { readonly cron: string; readonly timeZone: string }
  | { readonly everyMs: number };

/** What a schedule publishes each time. */
export interface ScheduledMessage {
  readonly key?: string;
  /** Names to values. */
  readonly headers: { readonly [name: string]: string };
  readonly body: Uint8Array;
  /** Each one expires so long after it was published. */
  readonly ttlMs?: number;
  /** From 0 to 9. @default {0} */
  readonly priority?: number;
}

/** A schedule of a partition, as it is on record. Never changed, only replaced. */
export interface Schedule {
  readonly partitionId: number;
  /** What people call it; unique in its partition. */
  readonly id: string;
  /** The log index of the command that made it: unlike its id, never used again. */
  readonly number: number;
  readonly timing: ScheduleTiming;
  readonly message: ScheduledMessage;
  readonly paused: boolean;
  /** When it is due next, in milliseconds since the epoch; 0 when never again. */
  readonly nextMs: number;
  /** The due time that it was fired for last, 0 before the first. */
  readonly lastMs: number;
  /** How often it was fired. */
  readonly fired: number;
}

/** What there is to know about a schedule, without the message. */
export interface ScheduleInfo {
  /** What people call it. */
  readonly id: string;
  /** When it is due. */
  readonly timing: ScheduleTiming;
  /** The key of its message, where it has one. */
  readonly key?: string;
  /** How long the body of its message is. */
  readonly bodyBytes: number;
  /** How long each message lives, where it says so itself. */
  readonly ttlMs?: number;
  /** The priority of its messages, where that is not 0. */
  readonly priority?: number;
  /** Whether it rests. */
  readonly paused: boolean;
  /** When it is due next, in milliseconds since the epoch; 0 when never again. */
  readonly nextMs: number;
  /** The due time that it was fired for last, 0 before the first. */
  readonly lastMs: number;
  /** How often it was fired. */
  readonly fired: number;
}

/** Make a schedule, or find it made just so. */
export interface AddScheduleCommand {
  readonly kind: "addSchedule";
  readonly partitionId: number;
  readonly id: string;
  readonly timing: ScheduleTiming;
  readonly message: ScheduledMessage;
  /** When it is due first. */
  readonly nextMs: number;
}

/** Take a schedule away. */
export interface RemoveScheduleCommand {
  readonly kind: "removeSchedule";
  readonly partitionId: number;
  readonly id: string;
}

/** Let a schedule rest. Idempotent. */
export interface PauseScheduleCommand {
  readonly kind: "pauseSchedule";
  readonly partitionId: number;
  readonly id: string;
}

/** Let a schedule that rests go on. Idempotent: one that does not rest stays as it is. */
export interface ResumeScheduleCommand {
  readonly kind: "resumeSchedule";
  readonly partitionId: number;
  readonly id: string;
  /** Which one `nextMs` was worked out for: another one may have taken its id since. */
  readonly number: number;
  /** When it is due next. */
  readonly nextMs: number;
}

/**
 * A schedule is due: publish its message, which is in the entry. Proposed by the keeper, who may do so
 * twice, or when it leads no longer.
 */
export interface FireScheduleCommand {
  readonly kind: "fireSchedule";
  readonly partitionId: number;
  /** The schedule. */
  readonly number: number;
  /** The due time that it is fired for. */
  readonly dueMs: number;
  /** When it is due after that; 0 when never again. */
  readonly nextMs: number;
  /** Bytes of the message, for the statistics. */
  readonly bytes: number;
  /** What the message asks for; absent where it is plain and without a key. */
  readonly details?: PublishDetails;
}

/** What happens to schedules. */
export type ScheduleCommand =
  | AddScheduleCommand
  | RemoveScheduleCommand
  | PauseScheduleCommand
  | ResumeScheduleCommand
  | FireScheduleCommand;
