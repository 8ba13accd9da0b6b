/**
 * `flowmq queue edit`.
 *
 * @module
 */

import { withClient } from "../cluster_client.ts";
import { defineCommand } from "../command.ts";
import { clientFlags, jsonFlag } from "../common_flags.ts";
import { ExitCode } from "../exit_codes.ts";
import { UsageError } from "../failures.ts";
import { describeSettings, editFlags, givenSettings } from "../queue_settings.ts";

/** `flowmq queue edit`. */
export const queueEdit = defineCommand({
  name: "queue edit",
  summary: "Change settings of a queue while it is in use",
  synonyms: ["queue set", "queue update", "queue change", "queue alter"],
  description: [
    "Settings that are not named stay as they are. The command returns when every partition works by " +
    "the new ones. What cannot be changed is refused with the reason.",
    "More partitions are added while everything goes on. Some keys go over to them, and wait there " +
    "until all messages are acked that were in the others: so each key keeps its order. Until then " +
    "queue info says that the queue is growing. Fewer partitions cannot be had.",
  ],
  positionals: [{ name: "QUEUE", help: "The queue." }],
  flags: { ...editFlags, ...clientFlags, json: jsonFlag },
  examples: [
    { command: "flowmq queue edit video --lease 30m", note: "For work that turned out longer." },
    { command: "flowmq queue edit mail --partitions 16", note: "For more than one shard can do." },
  ],

  async run({ flags: values, positionals }, terminal): Promise<ExitCode> {
    const name = positionals[0]!;
    const given = givenSettings(values);
    if (Object.keys(given).length === 0) {
      throw new UsageError("there is nothing to change: name a setting, such as --lease 1m");
    }
    const { settings, partitions } = await withClient(
      values,
      terminal,
      "flowmq queue edit",
      (client) => client.editQueue(name, given),
    );
    terminal.stdout.line(
      values.json
        ? JSON.stringify({ name, settings, partitions })
        : `queue ${name} has now: ${describeSettings(settings)}`,
    );
    return ExitCode.ok;
  },
});
