/**
 * `flowmq queue rm`.
 *
 * @module
 */

import { QueueNotFoundError } from "../../mod.ts";
import { withClient } from "../cluster_client.ts";
import { defineCommand } from "../command.ts";
import { clientFlags, jsonFlag } from "../common_flags.ts";
import { ExitCode } from "../exit_codes.ts";

function wasMissing(error: unknown): false {
  if (error instanceof QueueNotFoundError) return false;
  throw error;
}

/** `flowmq queue rm`. */
export const queueRm = defineCommand({
  name: "queue rm",
  summary: "Remove a queue and every message in it",
  synonyms: ["queue remove", "queue delete", "queue del"],
  description: [
    "There is no way back, and no question is asked. Removing a queue that is not there is fine.",
  ],
  positionals: [{ name: "QUEUE", help: "The queue." }],
  flags: { ...clientFlags, json: jsonFlag },
  examples: [{ command: "flowmq queue rm mail", note: "Gone." }],

  async run({ flags: values, positionals }, terminal): Promise<ExitCode> {
    const name = positionals[0]!;
    const removed = await withClient(
      values,
      terminal,
      "flowmq queue rm",
      (client) => client.deleteQueue(name).then(() => true, wasMissing),
    );
    terminal.stdout.line(
      values.json
        ? JSON.stringify({ name, removed })
        : removed
        ? `removed queue ${name}`
        : `there is no queue ${name}`,
    );
    return ExitCode.ok;
  },
});
