/**
 * Schedules as people read them, and as programs do.
 *
 * @module
 */

import type { ScheduleInfo, ScheduleTiming } from "../mod.ts";
import { formatMs } from "./format.ts";

/**
 * Writes a moment.
 *
 * @param ms Milliseconds since the epoch.
 * @returns For example `2026-05-04 06:30:00Z`.
 */
export function formatMoment(ms: number): string {
  return new Date(ms).toISOString().replace("T", " ").replace(/(\.000)?Z$/, "Z");
}

/**
 * Writes when a schedule is due.
 *
 * @param timing The timing.
 * @returns For example `every 5 min 0 s`, or `0 6 * * * (Europe/Berlin)`.
 */
export function formatTiming(timing: ScheduleTiming): string {
  return "everyMs" in timing
    ? `every ${formatMs(timing.everyMs)}`
    : `${timing.cron} (${timing.timeZone})`;
}

/**
 * Writes when a schedule is due next.
 *
 * @param schedule The schedule.
 * @param nowMs The time.
 * @returns For example `2026-05-04 06:30:00Z, in 3 h 12 min`, `paused` or `never`.
 */
export function formatNext({ paused, nextMs }: ScheduleInfo, nowMs: number): string {
  if (nextMs === 0) return "never";
  if (paused) return "paused";
  return nextMs > nowMs ? `${formatMoment(nextMs)}, in ${formatMs(nextMs - nowMs)}` : "now";
}

/**
 * Makes the record of a schedule that `--json` prints.
 *
 * @param queue The queue's name.
 * @param schedule The schedule.
 * @returns Plain data.
 */
export function scheduleRecord(queue: string, schedule: ScheduleInfo): Record<string, unknown> {
  const { nextMs, lastMs, timing, ...rest } = schedule;
  return { queue, ...rest, ...timing, nextAt: isoOrNull(nextMs), lastAt: isoOrNull(lastMs) };
}

function isoOrNull(ms: number): string | null {
  return ms === 0 ? null : new Date(ms).toISOString();
}
