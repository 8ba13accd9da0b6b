/**
 * Fires schedules when they are due.
 *
 * The keeper of a shard runs where the shard is led. It looks at the schedules of the shard's machine,
 * and proposes a `fireSchedule` for each that is due, with the message and the due time after that. The
 * machine sees to it that no due time is fired twice (`queue/schedule_commands.ts`), so that the keeper
 * may repeat itself, and a new leader just begins with what its machine says is due: of the due times
 * that passed while nobody led, that is the newest.
 *
 * @module
 */

import type { Schedule, ScheduleTiming, ShardMachine } from "../queue/mod.ts";
import { encodeFireSchedule } from "../wire/mod.ts";
import type { Clock, TimerId } from "../client/runtime.ts";
import type { Logger } from "./logger.ts";
import { ScheduleError, ScheduleTimes } from "./schedule_times.ts";
import type { OutcomeCallback } from "./shard.ts";

/** What a keeper needs of its shard. */
export interface ScheduleShard {
  readonly id: number;
  readonly machine: ShardMachine;
  /** The time of the log. */
  readonly nowMs: number;
  propose(command: Uint8Array, done: OutcomeCallback): void;
}

/** Schedules that are fired at a time: to work out the next due time takes up to a millisecond. */
const ROUND_MAX = 32;

/** Pause before one that failed is tried again, in milliseconds. */
const RETRY_MS = 50;

/** Pause while there is no room for messages, in milliseconds. */
const NO_ROOM_MS = 1_000;

/** The longest to wait without a look at the clock, which may be set, in milliseconds. */
const LOOK_MS = 10_000;

/** The keeper of one shard; idle unless this node leads it. */
export class ScheduleKeeper {
  readonly #shard: ScheduleShard;
  readonly #hasRoom: () => boolean;
  readonly #clock: Clock;
  readonly #log: Logger;
  /** They go with the schedules. */
  readonly #times = new WeakMap<ScheduleTiming, ScheduleTimes>();
  #leading = false;
  /** How many of the round have no answer. */
  #underWay = 0;
  /** One of the round failed. */
  #hasFailed = false;
  /** Nothing is fired before the timer. */
  #isPausing = false;
  #timer: TimerId | undefined;
  /** When the timer ends the wait, in monotonic time. */
  #wakeMs = 0;

  /**
   * @param shard The shard.
   * @param hasRoom Tells whether it takes messages at the moment.
   */
  constructor(shard: ScheduleShard, hasRoom: () => boolean, clock: Clock, log: Logger) {
    this.#shard = shard;
    this.#hasRoom = hasRoom;
    this.#clock = clock;
    this.#log = log;
  }

  /** This node begins or ceases to lead the shard. */
  lead(leading: boolean): void {
    this.#leading = leading;
    this.#rest();
    this.check();
  }

  /** A turn of the shard is over: a schedule may have come. Costs nothing where there is none. */
  check(): void {
    if (!this.#leading || this.#underWay > 0 || this.#isPausing) return;
    const { machine } = this.#shard;
    const dueMs = machine.nextScheduleMs();
    if (dueMs === undefined) return this.#rest();
    const { nowMs } = this.#shard;
    if (dueMs > nowMs) return this.#wait(dueMs - nowMs);
    if (!this.#hasRoom()) return this.#pause(NO_ROOM_MS);
    this.#rest();
    const round = machine.schedulesDue(nowMs).take(ROUND_MAX).toArray();
    this.#underWay = round.length;
    for (const schedule of round) this.#fire(schedule, nowMs);
  }

  #fire(schedule: Schedule, nowMs: number): void {
    let command: Uint8Array;
    try {
      const { dueMs, nextMs } = this.#timesOf(schedule.timing).upTo(schedule.nextMs, nowMs);
      command = encodeFireSchedule(schedule, dueMs, nextMs);
    } catch (error) {
      // Another node, which knows more time zones, has taken it in.
      if (!(error instanceof ScheduleError)) throw error;
      return this.#answered(schedule, error.message);
    }
    this.#shard.propose(command, (outcome) => {
      if (outcome.kind !== "applied") return this.#answered(schedule, outcome.kind);
      const { reply } = outcome;
      this.#answered(schedule, reply.kind === "refused" ? reply.message : undefined);
    });
  }

  /** The end of the turn in which a round ends begins the next, unless something went wrong. */
  #answered(schedule: Schedule, failure: string | undefined): void {
    if (failure !== undefined) {
      this.#hasFailed = true;
      const { id: shard } = this.#shard;
      this.#log.debug("Could not fire a schedule", { shard, schedule: schedule.id, failure });
    }
    if (--this.#underWay > 0) return;
    if (this.#hasFailed && this.#leading) this.#pause(RETRY_MS);
    this.#hasFailed = false;
  }

  #timesOf(timing: ScheduleTiming): ScheduleTimes {
    let times = this.#times.get(timing);
    if (times === undefined) this.#times.set(timing, times = new ScheduleTimes(timing));
    return times;
  }

  #wait(ms: number): void {
    const waitMs = Math.min(ms, LOOK_MS);
    const wakeMs = this.#clock.monotonic() + waitMs;
    if (this.#timer !== undefined && this.#wakeMs <= wakeMs) return;
    this.#rest();
    this.#wakeMs = wakeMs;
    this.#timer = this.#clock.setTimeout(() => {
      this.#timer = undefined;
      this.check();
    }, waitMs);
  }

  #pause(ms: number): void {
    this.#rest();
    this.#isPausing = true;
    this.#timer = this.#clock.setTimeout(() => {
      this.#rest();
      this.check();
    }, ms);
  }

  #rest(): void {
    this.#isPausing = false;
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
