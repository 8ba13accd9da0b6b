/**
 * The schedules of a shard as they must be: follows the committed log, and checks what is fired.
 *
 * A schedule is fired for due times that are on its beat, that have come, each later than the one before,
 * and none of them is passed over, unless nobody led when it came, or had room on the disk. That each due time is fired once at
 * most follows from the names of the messages, too, which must occur once in the whole cluster.
 *
 * Knows the beat of schedules at equal distances, and of cron expressions for every so many seconds.
 *
 * @module
 */

import type { Entry } from "../../raft/mod.ts";
import type { Reply, Schedule, ScheduleCommand } from "../../queue/mod.ts";

interface ModelSchedule {
  readonly partitionId: number;
  readonly id: string;
  readonly everyMs: number;
  /** The due time that it waits for. */
  nextMs: number;
  paused: boolean;
  /** When, in virtual time, the log of the present term first said that it has come. */
  seenMs: number | undefined;
  /** Whoever leads has known that it has come, for long enough. */
  isLate: boolean;
}

/**
 * How long a leader may take to fire, in virtual milliseconds: it does so at once, but its disk may be in
 * its way.
 */
const PATIENCE_MS = 2_000;

/**
 * After so long without an entry nothing is known of whoever leads: it may have been cut off, and what it
 * proposed before then comes to be applied only now.
 */
const SILENCE_MS = 1_000;

/** All schedules of a shard. */
export class ScheduleModel {
  readonly #violated: (invariant: string, entry: Entry, details: string) => never;
  /** By number. */
  readonly #schedules = new Map<number, ModelSchedule>();
  /** When the last entry was applied, in virtual time. */
  #heardMs = 0;

  /** @param violated Told what broke. */
  constructor(violated: (invariant: string, entry: Entry, details: string) => never) {
    this.#violated = violated;
  }

  /** A leader has begun its term, or is heard of again. */
  beginTerm(): void {
    for (const schedule of this.#schedules.values()) schedule.seenMs = undefined;
  }

  /**
   * An entry was applied.
   *
   * @param nowMs The time of the log, which jumps where a clock is set forward.
   * @param virtualMs The time that has really passed.
   * @param roomSinceMs Since when in that there has been room on all disks: without it nothing is fired.
   */
  passed(nowMs: number, virtualMs: number, roomSinceMs: number): void {
    if (virtualMs - this.#heardMs > SILENCE_MS) this.beginTerm();
    this.#heardMs = virtualMs;
    for (const schedule of this.#schedules.values()) {
      if (schedule.paused || nowMs < schedule.nextMs) continue;
      schedule.seenMs ??= virtualMs;
      const sinceMs = Math.max(schedule.seenMs, roomSinceMs);
      if (virtualMs >= sinceMs + PATIENCE_MS) schedule.isLate = true;
    }
  }

  /** A partition is gone. */
  forgetPartition(partitionId: number): void {
    for (const [number, schedule] of this.#schedules) {
      if (schedule.partitionId === partitionId) this.#schedules.delete(number);
    }
  }

  /** Follows a command that was not refused. */
  apply(entry: Entry, command: ScheduleCommand, reply: Reply, nowMs: number): void {
    switch (command.kind) {
      case "addSchedule": {
        const schedule = this.#scheduleOf(entry, reply);
        if (this.#schedules.has(schedule.number)) return;
        const { partitionId, id, nextMs, number, timing } = schedule;
        const everyMs = "everyMs" in timing ? timing.everyMs : secondsOf(timing.cron) * 1_000;
        const { paused } = schedule;
        this.#schedules.set(number, {
          partitionId,
          id,
          everyMs,
          nextMs,
          paused,
          seenMs: undefined,
          isLate: false,
        });
        return;
      }
      case "removeSchedule":
        for (const [number, { partitionId, id }] of this.#schedules) {
          if (partitionId === command.partitionId && id === command.id) {
            this.#schedules.delete(number);
          }
        }
        return;
      case "pauseSchedule":
        this.#schedules.get(this.#scheduleOf(entry, reply).number)!.paused = true;
        return;
      case "resumeSchedule": {
        const { number, nextMs } = this.#scheduleOf(entry, reply);
        const schedule = this.#schedules.get(number)!;
        if (!schedule.paused) return;
        schedule.paused = false;
        schedule.nextMs = nextMs;
        schedule.seenMs = undefined;
        schedule.isLate = false;
        return;
      }
      case "fireSchedule": {
        const schedule = this.#schedules.get(command.number);
        if (schedule === undefined) this.#violated("only schedules are fired", entry, "it is gone");
        this.#fire(entry, schedule, command.dueMs, nowMs);
        return;
      }
      default:
        command satisfies never;
    }
  }

  #fire(entry: Entry, schedule: ModelSchedule, dueMs: number, nowMs: number): void {
    const { id, everyMs, nextMs, paused, isLate } = schedule;
    const what = `schedule ${id}, for ${dueMs}, after which comes ${nextMs}, every ${everyMs} ms`;
    if (paused) this.#violated("a schedule that rests is not fired", entry, what);
    if (dueMs > nowMs) this.#violated("a schedule is not fired early", entry, `${what}: ${nowMs}`);
    if (dueMs < nextMs) this.#violated("a due time is fired once", entry, what);
    if ((dueMs - nextMs) % everyMs !== 0) this.#violated("due times are on the beat", entry, what);
    if (dueMs > nextMs && isLate) this.#violated("no due time is passed over", entry, what);
    schedule.nextMs = dueMs + everyMs;
    schedule.seenMs = undefined;
    schedule.isLate = false;
  }

  #scheduleOf(entry: Entry, reply: Reply): Schedule {
    if (reply.kind === "schedule") return reply.schedule;
    return this.#violated("a schedule is answered with", entry, JSON.stringify(reply));
  }
}

/** The expressions that the model understands: every N seconds, for divisors of a minute. */
function secondsOf(cron: string): number {
  return Number(/^\*\/(\d+) \* \* \* \* \*$/.exec(cron)![1]);
}
