/**
 * When schedules are due: what cron expressions mean, and what was missed.
 *
 * Only the leader works this out, with its own tables of time zones, and puts the results into the log,
 * so that replicas whose tables differ agree all the same.
 *
 * @module
 */

import { Cron } from "croner";
import type { ScheduleTiming } from "../queue/mod.ts";

/** A cron expression or a time zone that cannot be understood; the message is for people. */
export class ScheduleError extends Error {
  override name = "ScheduleError";
}

/** The times of one schedule. */
export class ScheduleTimes {
  readonly #timing: ScheduleTiming;
  readonly #cron: Cron | undefined;

  /**
   * @param timing When the schedule is due.
   * @throws {ScheduleError} If it cannot be read.
   *
   * @example
   * ```ts
   * import { assertEquals } from "@std/assert";
   *
   * const times = new ScheduleTimes({ cron: "30 6 * * 1-5", timeZone: "UTC" });
   * const friday = Date.UTC(2026, 4, 1, 12);
   * assertEquals(times.after(friday), Date.UTC(2026, 4, 4, 6, 30));
   * ```
   */
  constructor(timing: ScheduleTiming) {
    this.#timing = timing;
    this.#cron = "cron" in timing ? parseCron(timing.cron, timing.timeZone) : undefined;
  }

  /**
   * The first due time after another.
   *
   * @param ms A due time; for a cron expression, any time.
   * @returns Milliseconds since the epoch; 0 when there is none.
   */
  after(ms: number): number {
    if ("everyMs" in this.#timing) return ms + this.#timing.everyMs;
    return this.#cron!.nextRun(new Date(ms))?.getTime() ?? 0;
  }

  /**
   * What a schedule is fired for when it is due: the newest due time that has come, which stands for
   * those before it.
   *
   * @param dueMs The due time that it waits for.
   * @param nowMs A time that is not before it.
   * @returns The newest due time up to `nowMs`, and the one after that, 0 when there is none.
   */
  upTo(dueMs: number, nowMs: number): { readonly dueMs: number; readonly nextMs: number } {
    const newestMs = "everyMs" in this.#timing
      ? nowMs - (nowMs - dueMs) % this.#timing.everyMs
      : this.#newest(dueMs, nowMs);
    return { dueMs: newestMs, nextMs: this.after(newestMs) };
  }

  /** Those in between may be very many, so they are not counted through. */
  #newest(dueMs: number, nowMs: number): number {
    let found = dueMs;
    // No due time lies between here and now. Cron knows no fractions of a second.
    let high = nowMs - nowMs % 1_000;
    while (found < high) {
      const middle = found + Math.floor((high - found) / 2_000) * 1_000;
      const next = this.after(middle);
      if (next !== 0 && next <= nowMs) found = next;
      else high = middle;
    }
    return found;
  }
}

function parseCron(cron: string, timeZone: string): Cron {
  checkTimeZone(timeZone);
  // What the library would read as one moment.
  const isMoment = !cron.trim().startsWith("@") && !/\s/.test(cron.trim());
  if (isMoment) {
    throw unreadable(cron, "it takes five fields (minute, hour, day, month, weekday), or six");
  }
  try {
    // An offset is a hundred times faster than a table of time zones.
    const zone = timeZone === "UTC" ? { utcOffset: 0 } : { timezone: timeZone };
    return new Cron(cron, { ...zone, paused: true });
  } catch (error) {
    throw unreadable(cron, (error as Error).message.replace(/^CronPattern: /, ""));
  }
}

function checkTimeZone(timeZone: string): void {
  try {
    new Intl.DateTimeFormat("en", { timeZone });
  } catch {
    throw new ScheduleError(
      `Cannot find the time zone ${JSON.stringify(timeZone)}: it takes a name such as ` +
        "Europe/Berlin, or UTC",
    );
  }
}

function unreadable(cron: string, why: string): ScheduleError {
  return new ScheduleError(`Cannot read the cron expression ${JSON.stringify(cron)}: ${why}`);
}
