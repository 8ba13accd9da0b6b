/**
 * `flowmq queue schedule add`.
 *
 * @module
 */

import { ScheduleTimes } from "../../broker/schedule_times.ts";
import type { ScheduleInfo } from "../../mod.ts";
import { delayMsMax, priorityMax } from "../../wire/limits.ts";
import { withClient } from "../cluster_client.ts";
import { defineCommand } from "../command.ts";
import { clientFlags, jsonFlag } from "../common_flags.ts";
import { ExitCode } from "../exit_codes.ts";
import { UsageError } from "../failures.ts";
import { durationFlag, headersFlag, integerFlag, optionalPathFlag, textFlag } from "../flags.ts";
import { formatMoment, formatTiming, scheduleRecord } from "../schedule_text.ts";

/** How many due times are shown, for people to see whether they are what they meant. */
const SHOWN = 3;

/** `flowmq queue schedule add`. */
export const queueScheduleAdd = defineCommand({
  name: "queue schedule add",
  summary: "Publish a message again and again, by cron or every so often",
  synonyms: ["queue schedule create", "queue schedule new", "cron"],
  description: [
    "The message is published once for each due time, whichever nodes die meanwhile. What comes due " +
    "while the queue has no leader is made up for when it has one again: once, for the newest due " +
    "time. A consumer sees in the headers flowmq-schedule and flowmq-schedule-due-at which schedule " +
    "a message is of, and for which time.",
    "A cron expression has five fields: minute, hour, day of the month, month, day of the week " +
    "(1 is Monday). A sixth in front is the second. @hourly, @daily, @weekly, @monthly and @yearly " +
    "are understood, too. A schedule of the same id that does the same is fine.",
  ],
  positionals: [{ name: "QUEUE", help: "The queue; it must exist." }],
  flags: {
    cron: textFlag({ help: "When it is due.", valueName: "EXPRESSION" }),
    every: durationFlag({
      help: "Instead of --cron: how long from one due time to the next, beginning now.",
      minimumMs: 1_000,
    }),
    tz: textFlag({
      help: "The time zone in which the cron expression is read, such as Europe/Berlin.",
      valueName: "ZONE",
      default: "UTC",
    }),
    id: textFlag({ help: "What the schedule is called; made up where it is not given." }),
    body: textFlag({ help: "The message; empty where neither --body nor --file is given." }),
    file: optionalPathFlag({ help: "The file that is the message, as it is now." }),
    key: textFlag({ help: "The key of the message; the queue must have one partition." }),
    header: headersFlag({ short: "H", help: "A header of the message." }),
    ttl: durationFlag({
      help: "Each message expires after so much time, if nobody holds it then.",
      minimumMs: 1,
      maximumMs: delayMsMax,
    }),
    priority: integerFlag({
      help: "From 0 to 9: messages of a higher priority are delivered first.",
      minimum: 0,
      maximum: priorityMax,
    }),
    ...clientFlags,
    json: jsonFlag,
  },
  examples: [
    {
      command: "flowmq queue schedule add reports --id daily --cron '0 6 * * 1-5' --body sales",
      note: "At six on every working day.",
    },
    {
      command: "flowmq queue schedule add pings --every 30s --file ping.json",
      note: "Every half minute.",
    },
    {
      command: "flowmq queue schedule add pings --every 10s --ttl 10s --priority 9",
      note: "One at a time waits at most, and goes before everything else.",
    },
    {
      command: "flowmq queue schedule add mail --cron '0 9 1 * *' --tz Europe/Berlin",
      note: "On the first of the month, at nine in Berlin, summer and winter.",
    },
  ],

  async run({ flags: values, positionals }, terminal): Promise<ExitCode> {
    const name = positionals[0]!;
    const { cron, every, tz, id, body, file, key, ttl, priority } = values;
    if ((cron === undefined) === (every === undefined)) {
      throw new UsageError("a schedule takes either --cron EXPRESSION or --every DURATION");
    }
    if (body !== undefined && file !== undefined) {
      throw new UsageError("--body and --file exclude each other");
    }
    const options = {
      ...(id === undefined ? {} : { id }),
      ...(cron === undefined ? { everyMs: every! } : { cron, timeZone: tz }),
      ...(key === undefined ? {} : { key }),
      headers: Object.fromEntries(values.header),
      body: file === undefined ? body ?? "" : await Deno.readFile(file),
      ...(ttl === undefined ? {} : { ttlMs: ttl }),
      ...(priority === undefined ? {} : { priority }),
    };
    const { schedule, created } = await withClient(
      values,
      terminal,
      "flowmq queue schedule add",
      (client) => client.queue(name).schedules.add(options),
    );
    terminal.stdout.line(
      values.json
        ? JSON.stringify({ ...scheduleRecord(name, schedule), created })
        : `schedule ${schedule.id} of queue ${name} ${created ? "is made" : "was there"}: ` +
          `${formatTiming(schedule.timing)}, due ${dueTimes(schedule).join(", ")}`,
    );
    return ExitCode.ok;
  },
});

function dueTimes({ timing, nextMs, paused }: ScheduleInfo): string[] {
  if (paused || nextMs === 0) return ["never while it is paused"];
  const times = new ScheduleTimes(timing);
  const shown: string[] = [];
  for (let ms = nextMs; ms > 0 && shown.length < SHOWN; ms = times.after(ms)) {
    shown.push(formatMoment(ms));
  }
  return shown.length < SHOWN ? shown : [...shown, "…"];
}
