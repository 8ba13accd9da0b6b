/**
 * The schedules of the naive model: a list that is gone through for every question.
 *
 * @module
 */

import type { RefusalReason } from "./commands.ts";
import type { Schedule, ScheduleCommand } from "./schedule.ts";

/** What became of a command: `fire` asks the model to publish. */
export type ScheduleVerdict =
  | { kind: "ok" | "fire" }
  | { kind: "refused"; reason: RefusalReason }
  | { kind: "schedule"; schedule: Schedule; created: boolean };

/** All schedules. */
export class ScheduleListModel {
  all: Schedule[] = [];

  of(partitionId: number): Schedule[] {
    return this.all.filter((schedule) => schedule.partitionId === partitionId);
  }

  nextMs(): number | undefined {
    const due = this.all.filter(({ paused, nextMs }) => !paused && nextMs > 0);
    return due.length === 0 ? undefined : Math.min(...due.map(({ nextMs }) => nextMs));
  }

  forgetPartition(partitionId: number): void {
    this.all = this.all.filter((schedule) => schedule.partitionId !== partitionId);
  }

  /** Carries out a command about a partition that there is. */
  apply(index: number, nowMs: number, command: ScheduleCommand): ScheduleVerdict {
    const { partitionId } = command;
    const schedule = this.of(partitionId).find((one) =>
      "id" in command ? one.id === command.id : one.number === command.number
    );
    if (command.kind === "addSchedule") {
      const { id, timing, message, nextMs } = command;
      if (schedule !== undefined) {
        const isSame = JSON.stringify([schedule.timing, schedule.message]) ===
          JSON.stringify([timing, message]);
        return isSame
          ? { kind: "schedule", schedule, created: false }
          : { kind: "refused", reason: "scheduleExists" };
      }
      const fresh = { paused: false, nextMs, lastMs: 0, fired: 0 };
      const added = { partitionId, id, number: index, timing, message, ...fresh };
      this.all.push(added);
      return { kind: "schedule", schedule: added, created: true };
    }
    if (schedule === undefined) return { kind: "refused", reason: "scheduleNotFound" };
    const change = (to: Partial<Schedule>): ScheduleVerdict => {
      const changed = { ...schedule, ...to };
      this.all = this.all.map((one) => one === schedule ? changed : one);
      return { kind: "schedule", schedule: changed, created: false };
    };
    switch (command.kind) {
      case "removeSchedule":
        this.all = this.all.filter((one) => one !== schedule);
        return { kind: "ok" };
      case "pauseSchedule":
        return change({ paused: true });
      case "resumeSchedule": {
        const { number, nextMs } = command;
        if (number !== schedule.number) return { kind: "refused", reason: "scheduleNotFound" };
        if (nextMs !== 0 && nextMs <= schedule.lastMs) {
          return { kind: "refused", reason: "invalidArgument" };
        }
        return change(schedule.paused ? { paused: false, nextMs } : {});
      }
      case "fireSchedule": {
        const { dueMs, nextMs } = command;
        const { paused, nextMs: waitsFor, fired } = schedule;
        const isDue = !paused && waitsFor > 0 && waitsFor <= dueMs && dueMs <= nowMs &&
          (nextMs === 0 || nextMs > dueMs);
        if (!isDue) return { kind: "refused", reason: "invalidArgument" };
        change({ nextMs, lastMs: dueMs, fired: fired + 1 });
        return { kind: "fire" };
      }
    }
  }
}
