/**
 * `flowmq queue rm`.
 *
 * @module
 */

import { withClient } from "../cluster_client.ts";
import { defineCommand } from "../command.ts";
import { clientFlags, jsonFlag } from "../common_flags.ts";
import { ExitCode } from "../exit_codes.ts";

/** `flowmq queue rm`. */
export const queueRm = defineCommand({
  name: "queue rm",
  summary: "Remove a queue and every message in it",
  synonyms: ["queue remove", "queue delete", "queue del"],
  description: ["There is no way back, and no question is asked."],
  positionals: [{ name: "QUEUE", help: "The queue." }],
  flags: { ...clientFlags, json: jsonFlag },
  examples: [{ command: "flowmq queue rm mail", note: "Gone." }],

  async run({ flags: values, positionals }, terminal): Promise<ExitCode> {
    const name = positionals[0]!;
    await withClient(values, terminal, "flowmq queue rm", (client) => client.deleteQueue(name));
    terminal.stdout.line(
      values.json ? JSON.stringify({ name, removed: true }) : `removed queue ${name}`,
    );
    return ExitCode.ok;
  },
});
