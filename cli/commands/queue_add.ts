/**
 * `flowmq queue add`.
 *
 * @module
 */

import { withClient } from "../cluster_client.ts";
import { defineCommand } from "../command.ts";
import { clientFlags, jsonFlag } from "../common_flags.ts";
import { ExitCode } from "../exit_codes.ts";
import { durationFlag, integerFlag } from "../flags.ts";
import { formatMany, formatMs } from "../format.ts";

/** `flowmq queue add`. */
export const queueAdd = defineCommand({
  name: "queue add",
  summary: "Make a queue",
  synonyms: ["queue create", "queue new", "queue make"],
  description: [
    "A queue that exists with the same settings is fine; with other settings it is refused.",
  ],
  positionals: [{ name: "QUEUE", help: "Up to 255 bytes of UTF-8 without control characters." }],
  flags: {
    partitions: integerFlag({
      help: "Order holds within a partition; more of them share the work of a busy queue.",
      minimum: 1,
      maximum: 65_536,
      default: 1,
    }),
    lease: durationFlag({
      help: "How long a consumer may hold a message before it goes to another.",
      default: "30s",
      minimumMs: 1,
    }),
    ...clientFlags,
    json: jsonFlag,
  },
  examples: [
    { command: "flowmq queue add mail", note: "A queue with the usual settings." },
    {
      command: "flowmq queue add video --partitions 8 --lease 10m",
      note: "For long work by many consumers.",
    },
  ],

  async run({ flags: values, positionals }, terminal): Promise<ExitCode> {
    const name = positionals[0]!;
    const settings = { partitions: values.partitions, leaseMs: values.lease };
    const queue = await withClient(
      values,
      terminal,
      "flowmq queue add",
      (client) => client.createQueue(name, settings),
    );
    terminal.stdout.line(
      values.json
        ? JSON.stringify({ name, settings: queue.settings, partitions: queue.partitions })
        : `queue ${name} is ready: ${formatMany(settings.partitions, "partition")}, ` +
          `lease ${formatMs(settings.leaseMs)}`,
    );
    return ExitCode.ok;
  },
});
