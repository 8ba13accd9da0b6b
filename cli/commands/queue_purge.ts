/**
 * `flowmq queue purge`.
 *
 * @module
 */

import { withClient } from "../cluster_client.ts";
import { defineCommand } from "../command.ts";
import { clientFlags, jsonFlag } from "../common_flags.ts";
import { ExitCode } from "../exit_codes.ts";
import { formatMany } from "../format.ts";

/** `flowmq queue purge`. */
export const queuePurge = defineCommand({
  name: "queue purge",
  summary: "Remove the messages of a queue that no consumer holds",
  synonyms: ["queue empty", "queue clear", "purge"],
  description: [
    "The queue stays, with its settings and consumers. Messages that consumers hold stay theirs, and " +
    "come back if they are not acked. There is no way back, and no question is asked.",
  ],
  positionals: [{ name: "QUEUE", help: "The queue." }],
  flags: { ...clientFlags, json: jsonFlag },
  examples: [{ command: "flowmq queue purge mail", note: "Begin with nothing." }],

  async run({ flags: values, positionals }, terminal): Promise<ExitCode> {
    const name = positionals[0]!;
    const purged = await withClient(
      values,
      terminal,
      "flowmq queue purge",
      (client) => client.queue(name).purge(),
    );
    terminal.stdout.line(
      values.json
        ? JSON.stringify({ name, purged })
        : `purged ${formatMany(purged, "message")} of queue ${name}`,
    );
    return ExitCode.ok;
  },
});
