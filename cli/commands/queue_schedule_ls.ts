/**
 * `flowmq queue schedule ls`.
 *
 * @module
 */

import { withClient } from "../cluster_client.ts";
import { defineCommand } from "../command.ts";
import { clientFlags, jsonFlag } from "../common_flags.ts";
import { ExitCode } from "../exit_codes.ts";
import { formatBytes, formatCount, formatTable, oneLine } from "../format.ts";
import { formatMoment, formatNext, formatTiming, scheduleRecord } from "../schedule_text.ts";

/** `flowmq queue schedule ls`. */
export const queueScheduleLs = defineCommand({
  name: "queue schedule ls",
  summary: "List the schedules of a queue, with the next time each is due",
  synonyms: ["queue schedule list", "queue schedules"],
  description: ["Last is the due time that was published for last, fired how many there were."],
  positionals: [{ name: "QUEUE", help: "The queue." }],
  flags: { ...clientFlags, json: jsonFlag },
  examples: [{ command: "flowmq queue schedule ls reports", note: "A table." }],

  async run({ flags: values, positionals }, terminal): Promise<ExitCode> {
    const name = positionals[0]!;
    const schedules = await withClient(
      values,
      terminal,
      "flowmq queue schedule ls",
      (client) => client.queue(name).schedules.list(),
    );
    if (values.json) {
      for (const one of schedules) terminal.stdout.line(JSON.stringify(scheduleRecord(name, one)));
      return ExitCode.ok;
    }
    if (schedules.length === 0) {
      terminal.stderr.line(
        `queue ${name} has no schedules: flowmq queue schedule add makes one`,
      );
      return ExitCode.ok;
    }
    const nowMs = Date.now();
    const lines = formatTable(
      [
        { title: "id" },
        { title: "when" },
        { title: "next" },
        { title: "last" },
        { title: "fired", align: "right" },
        { title: "body", align: "right" },
      ],
      schedules.map((one) => [
        oneLine(one.id, 32),
        formatTiming(one.timing),
        formatNext(one, nowMs),
        one.lastMs === 0 ? "-" : formatMoment(one.lastMs),
        formatCount(one.fired),
        formatBytes(one.bodyBytes),
      ]),
      terminal.stdout.paint.dim,
    );
    terminal.stdout.text(lines.join("\n") + "\n");
    return ExitCode.ok;
  },
});
