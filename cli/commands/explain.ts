/**
 * `flowmq explain`.
 *
 * @module
 */

import { withClient } from "../cluster_client.ts";
import { defineCommand } from "../command.ts";
import { clientFlags, jsonFlag } from "../common_flags.ts";
import { ExitCode } from "../exit_codes.ts";

/** `flowmq explain`. */
export const explain = defineCommand({
  name: "explain",
  summary: "Say why a message, or what a queue has waiting, is not being delivered",
  synonyms: ["why", "queue explain", "msg explain", "diagnose"],
  description: [
    "One sentence; of a queue, one for the first message of each partition in which something waits. " +
    "Where a shard does not work, the sentence says so, and which nodes do not answer.",
    "With --json each line is an object with reason, sentence, and the id of the message or the number " +
    "of the shard. The reason is one of empty, unpublished, gone, leased, delayed, paused, " +
    "noConsumer, consumersAway, keyLeased, keyReturned, keyRate, noCredit, underWay, noQuorum and " +
    "noLeader.",
  ],
  positionals: [{ name: "TARGET", help: "A queue, or a message: QUEUE/PARTITION/OFFSET." }],
  flags: { ...clientFlags, json: jsonFlag },
  examples: [
    { command: "flowmq explain orders", note: "Why nothing comes out of the queue." },
    { command: "flowmq explain orders/0/17", note: "Where that one message is." },
  ],

  async run({ flags: values, positionals }, terminal): Promise<ExitCode> {
    const explanations = await withClient(
      values,
      terminal,
      "flowmq explain",
      (client) => client.explain(positionals[0]!, { signal: terminal.interrupted }),
    );
    for (const explanation of explanations) {
      terminal.stdout.line(values.json ? JSON.stringify(explanation) : explanation.sentence);
    }
    return ExitCode.ok;
  },
});
