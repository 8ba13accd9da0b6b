/**
 * `flowmq queue schedule pause` and `flowmq queue schedule resume`.
 *
 * @module
 */

import type { ScheduleInfo } from "../../mod.ts";
import { withClient } from "../cluster_client.ts";
import { defineCommand } from "../command.ts";
import { clientFlags, jsonFlag } from "../common_flags.ts";
import { ExitCode } from "../exit_codes.ts";
import { formatNext, scheduleRecord } from "../schedule_text.ts";
import type { Terminal } from "../terminal.ts";

const positionals = [
  { name: "QUEUE", help: "The queue." },
  { name: "ID", help: "The schedule: flowmq queue schedule ls lists them." },
];
const flags = { ...clientFlags, json: jsonFlag };

/** `flowmq queue schedule pause`. */
export const queueSchedulePause = defineCommand({
  name: "queue schedule pause",
  summary: "Let a schedule rest",
  synonyms: ["queue schedule stop", "queue schedule disable"],
  description: ["What comes due meanwhile is not published, now or later."],
  positionals,
  flags,
  examples: [{
    command: "flowmq queue schedule pause reports daily",
    note: "Until it is resumed.",
  }],

  async run({ flags: values, positionals: [name, id] }, terminal): Promise<ExitCode> {
    const schedule = await withClient(
      values,
      terminal,
      "flowmq queue schedule pause",
      (client) => client.queue(name!).schedules.pause(id!),
    );
    return tell(terminal, name!, schedule, values.json);
  },
});

/** `flowmq queue schedule resume`. */
export const queueScheduleResume = defineCommand({
  name: "queue schedule resume",
  summary: "Let a paused schedule go on, with the next due time after now",
  synonyms: ["queue schedule start", "queue schedule enable"],
  description: ["One with --every begins anew: it is due that long from now."],
  positionals,
  flags,
  examples: [{ command: "flowmq queue schedule resume reports daily", note: "It goes on." }],

  async run({ flags: values, positionals: [name, id] }, terminal): Promise<ExitCode> {
    const schedule = await withClient(
      values,
      terminal,
      "flowmq queue schedule resume",
      (client) => client.queue(name!).schedules.resume(id!),
    );
    return tell(terminal, name!, schedule, values.json);
  },
});

function tell(terminal: Terminal, name: string, schedule: ScheduleInfo, json: boolean): ExitCode {
  terminal.stdout.line(
    json
      ? JSON.stringify(scheduleRecord(name, schedule))
      : `schedule ${schedule.id} of queue ${name}: next ${formatNext(schedule, Date.now())}`,
  );
  return ExitCode.ok;
}
