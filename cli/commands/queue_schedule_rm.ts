/**
 * `flowmq queue schedule rm`.
 *
 * @module
 */

import { withClient } from "../cluster_client.ts";
import { defineCommand } from "../command.ts";
import { clientFlags, jsonFlag } from "../common_flags.ts";
import { ExitCode } from "../exit_codes.ts";

/** `flowmq queue schedule rm`. */
export const queueScheduleRm = defineCommand({
  name: "queue schedule rm",
  summary: "Remove a schedule; what it has published stays",
  synonyms: ["queue schedule remove", "queue schedule delete", "queue schedule del"],
  description: ["There is no way back, and no question is asked."],
  positionals: [
    { name: "QUEUE", help: "The queue." },
    { name: "ID", help: "The schedule: flowmq queue schedule ls lists them." },
  ],
  flags: { ...clientFlags, json: jsonFlag },
  examples: [{ command: "flowmq queue schedule rm reports daily", note: "Gone." }],

  async run({ flags: values, positionals }, terminal): Promise<ExitCode> {
    const [name, id] = positionals as [string, string];
    await withClient(
      values,
      terminal,
      "flowmq queue schedule rm",
      (client) => client.queue(name).schedules.remove(id),
    );
    terminal.stdout.line(
      values.json
        ? JSON.stringify({ queue: name, id, removed: true })
        : `removed schedule ${id} of queue ${name}`,
    );
    return ExitCode.ok;
  },
});
