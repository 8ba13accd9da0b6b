/**
 * `flowmq queue dlq purge`.
 *
 * @module
 */

import { withClient } from "../cluster_client.ts";
import { defineCommand } from "../command.ts";
import { clientFlags, jsonFlag } from "../common_flags.ts";
import { ExitCode } from "../exit_codes.ts";
import { formatMany } from "../format.ts";

/** `flowmq queue dlq purge`. */
export const queueDlqPurge = defineCommand({
  name: "queue dlq purge",
  summary: "Remove the messages of a queue that died",
  synonyms: ["queue dlq clear", "queue dlq empty"],
  description: ["There is no way back, and no question is asked."],
  positionals: [{ name: "QUEUE", help: "The queue that they were in." }],
  flags: { ...clientFlags, json: jsonFlag },
  examples: [{ command: "flowmq queue dlq purge mail", note: "Nobody will miss them." }],

  async run({ flags: values, positionals }, terminal): Promise<ExitCode> {
    const name = positionals[0]!;
    const purged = await withClient(
      values,
      terminal,
      "flowmq queue dlq purge",
      (client) => client.queue(name).purgeDeadLetters(),
    );
    terminal.stdout.line(
      values.json
        ? JSON.stringify({ name, purged })
        : `purged ${formatMany(purged, "dead letter")} of queue ${name}`,
    );
    return ExitCode.ok;
  },
});
