/**
 * `flowmq queue pause`.
 *
 * @module
 */

import { withClient } from "../cluster_client.ts";
import { defineCommand } from "../command.ts";
import { clientFlags, jsonFlag } from "../common_flags.ts";
import { ExitCode } from "../exit_codes.ts";

/** `flowmq queue pause`. */
export const queuePause = defineCommand({
  name: "queue pause",
  summary: "Stop the deliveries of a queue",
  synonyms: ["queue stop", "pause"],
  description: [
    "Nothing is delivered to any consumer until flowmq queue resume. Publishes and acks go on, and what " +
    "consumers hold stays theirs. Pausing a paused queue does nothing.",
  ],
  positionals: [{ name: "QUEUE", help: "The queue." }],
  flags: { ...clientFlags, json: jsonFlag },
  examples: [{ command: "flowmq queue pause mail", note: "While the mail server is away." }],

  async run({ flags: values, positionals }, terminal): Promise<ExitCode> {
    const name = positionals[0]!;
    await withClient(
      values,
      terminal,
      "flowmq queue pause",
      (client) => client.queue(name).pause(),
    );
    terminal.stdout.line(
      values.json ? JSON.stringify({ name, paused: true }) : `paused queue ${name}`,
    );
    return ExitCode.ok;
  },
});
