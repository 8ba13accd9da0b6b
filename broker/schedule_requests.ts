/**
 * Serves what clients ask about schedules, on the node that leads their shard: it works out when they
 * are due, the machine keeps the result.
 *
 * @module
 */

import type {
  AddScheduleCommand,
  PauseScheduleCommand,
  RemoveScheduleCommand,
  ResumeScheduleCommand,
  Schedule,
  ScheduleInfo,
  ScheduleTiming,
} from "../queue/mod.ts";
import type { ClientRequest, Frame } from "../wire/mod.ts";
import {
  answer,
  answerDone,
  refuse,
  refuseNotLeader,
  refuseOutcome,
  refuseReply,
} from "./answers.ts";
import type { ClientLink } from "./client_link.ts";
import type { LocalShard } from "./local_shard.ts";
import { ScheduleError, ScheduleTimes } from "./schedule_times.ts";

/** What clients ask about schedules. */
export type ScheduleRequest = Extract<
  ClientRequest,
  {
    kind:
      | "addSchedule"
      | "removeSchedule"
      | "pauseSchedule"
      | "resumeSchedule"
      | "listSchedules";
  }
>;

/** Serves one request. Exactly one reply goes to `link`, now or later. */
export function serveScheduleRequest(
  link: ClientLink,
  frame: Frame,
  { shard }: LocalShard,
  request: ScheduleRequest,
): void {
  switch (request.kind) {
    case "addSchedule":
      return withNextMs(request.timing, (nextMs) => propose({ ...request, nextMs }));
    case "removeSchedule":
    case "pauseSchedule":
      return propose(request);
    case "resumeSchedule":
      return read(() => {
        const schedule = shard.machine.findSchedule(request.partitionId, request.id);
        if (schedule === undefined) return propose({ ...request, number: 0, nextMs: 0 });
        const { number, timing } = schedule;
        withNextMs(timing, (nextMs) => propose({ ...request, number, nextMs }));
      });
    case "listSchedules":
      return read(() => {
        const { partitionId } = request;
        if (shard.machine.partition(partitionId) === undefined) {
          const message = `There is no partition ${partitionId} in this shard`;
          return refuse(link, frame, "partitionNotFound", message);
        }
        const schedules = shard.machine.schedules(partitionId).map(infoOf);
        answer(link, frame, { kind: "scheduleList", schedules });
      });
    default:
      return request satisfies never;
  }

  function propose(
    command:
      | AddScheduleCommand
      | RemoveScheduleCommand
      | PauseScheduleCommand
      | ResumeScheduleCommand,
  ): void {
    shard.proposeCommand(command, (outcome) => {
      if (outcome.kind !== "applied") return refuseOutcome(link, frame, outcome);
      const { reply } = outcome;
      if (reply.kind === "ok") return answerDone(link, frame, outcome);
      if (reply.kind !== "schedule") return refuseReply(link, frame, reply);
      const { schedule, created } = reply;
      answer(link, frame, { kind: "scheduleReply", schedule: infoOf(schedule), created });
    });
  }

  function read(serve: () => void): void {
    shard.read((current) => {
      if (current) serve();
      else refuseNotLeader(link, frame, shard.leader);
    });
  }

  /** Goes on with the first due time that is still to come; where there is none, refuses. */
  function withNextMs(timing: ScheduleTiming, next: (nextMs: number) => void): void {
    try {
      const nextMs = new ScheduleTimes(timing).after(shard.nowMs);
      if (nextMs > 0) return next(nextMs);
      refuse(link, frame, "invalidArgument", "A schedule that is never due cannot be made");
    } catch (error) {
      if (!(error instanceof ScheduleError)) throw error;
      refuse(link, frame, "invalidArgument", error.message);
    }
  }
}

function infoOf(schedule: Schedule): ScheduleInfo {
  const { id, timing, message, paused, nextMs, lastMs, fired } = schedule;
  const { key, body, ttlMs, priority = 0 } = message;
  return {
    id,
    timing,
    ...(key === undefined ? {} : { key }),
    bodyBytes: body.length,
    ...(ttlMs === undefined ? {} : { ttlMs }),
    ...(priority === 0 ? {} : { priority }),
    paused,
    nextMs,
    lastMs,
    fired,
  };
}
