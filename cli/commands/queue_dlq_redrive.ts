/**
 * `flowmq queue dlq redrive`.
 *
 * @module
 */

import { withClient } from "../cluster_client.ts";
import { defineCommand } from "../command.ts";
import { clientFlags, jsonFlag } from "../common_flags.ts";
import { ExitCode } from "../exit_codes.ts";
import { integerFlag, textFlag } from "../flags.ts";
import { formatMany } from "../format.ts";

/** `flowmq queue dlq redrive`. */
export const queueDlqRedrive = defineCommand({
  name: "queue dlq redrive",
  summary: "Bring messages of a queue that died back to where they were",
  synonyms: ["queue dlq retry", "queue dlq replay", "redrive"],
  description: [
    "Each message leaves QUEUE.dead and goes back in one step: however this ends, it is in one of the " +
    "two, once. It keeps body, key and headers, and begins its life anew. What dies again meanwhile stays " +
    "dead.",
  ],
  positionals: [{ name: "QUEUE", help: "The queue that they were in." }],
  flags: {
    ...clientFlags,
    limit: integerFlag({
      help: "The most to bring back: by priority, then the oldest first.",
      minimum: 1,
      defaultText: "all there are",
    }),
    to: textFlag({ valueName: "QUEUE", help: "Another queue to bring them to." }),
    json: jsonFlag,
  },
  examples: [
    { command: "flowmq queue dlq redrive mail --limit 1", note: "Try with one." },
    { command: "flowmq queue dlq redrive mail", note: "The mail server works again." },
  ],

  async run({ flags: values, positionals }, terminal): Promise<ExitCode> {
    const name = positionals[0]!;
    const { limit, to } = values;
    const moved = await withClient(
      values,
      terminal,
      "flowmq queue dlq redrive",
      (client) =>
        client.queue(name).redrive({
          ...(limit === undefined ? {} : { limit }),
          ...(to === undefined ? {} : { to }),
        }),
    );
    terminal.stdout.line(
      values.json
        ? JSON.stringify({ name, moved })
        : `brought ${formatMany(moved, "message")} of queue ${name} back`,
    );
    return ExitCode.ok;
  },
});
