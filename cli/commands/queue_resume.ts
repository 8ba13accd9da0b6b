/**
 * `flowmq queue resume`.
 *
 * @module
 */

import { withClient } from "../cluster_client.ts";
import { defineCommand } from "../command.ts";
import { clientFlags, jsonFlag } from "../common_flags.ts";
import { ExitCode } from "../exit_codes.ts";

/** `flowmq queue resume`. */
export const queueResume = defineCommand({
  name: "queue resume",
  summary: "Let the deliveries of a paused queue go on",
  synonyms: ["queue continue", "queue unpause", "resume"],
  description: [
    "Resuming a queue that is not paused does nothing.",
  ],
  positionals: [{ name: "QUEUE", help: "The queue." }],
  flags: { ...clientFlags, json: jsonFlag },
  examples: [{ command: "flowmq queue resume mail", note: "It is back." }],

  async run({ flags: values, positionals }, terminal): Promise<ExitCode> {
    const name = positionals[0]!;
    await withClient(
      values,
      terminal,
      "flowmq queue resume",
      (client) => client.queue(name).resume(),
    );
    terminal.stdout.line(
      values.json ? JSON.stringify({ name, paused: false }) : `resumed queue ${name}`,
    );
    return ExitCode.ok;
  },
});
