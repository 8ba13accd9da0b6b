/**
 * `flowmq queue info`.
 *
 * @module
 */

import { withClient } from "../cluster_client.ts";
import { defineCommand } from "../command.ts";
import { clientFlags, jsonFlag } from "../common_flags.ts";
import { ExitCode } from "../exit_codes.ts";
import { formatBytes, formatCount, formatMany, formatMs, formatTable } from "../format.ts";
import { consumersOf, queueRecord } from "../queue_report.ts";

/** `flowmq queue info`. */
export const queueInfo = defineCommand({
  name: "queue info",
  summary: "Show a queue's settings and what is in each partition",
  synonyms: ["queue show", "queue stat", "queue stats", "queue describe", "info"],
  description: [
    "Redelivered counts deliveries beyond the first of a message: after a nack, an expired lease, a " +
    "consumer that went away.",
  ],
  positionals: [{ name: "QUEUE", help: "The queue." }],
  flags: { ...clientFlags, json: jsonFlag },
  examples: [{ command: "flowmq queue info mail", note: "All about the queue called mail." }],

  async run({ flags: values, positionals }, terminal): Promise<ExitCode> {
    const report = await withClient(
      values,
      terminal,
      "flowmq queue info",
      (client) => client.queue(positionals[0]!).info(),
    );
    if (values.json) {
      terminal.stdout.line(JSON.stringify(queueRecord(report)));
      return ExitCode.ok;
    }
    const { paint } = terminal.stdout;
    const { settings } = report;
    const right = { align: "right" } as const;
    const table = formatTable(
      [
        { title: "partition", ...right },
        { title: "shard", ...right },
        { title: "ready", ...right },
        { title: "leased", ...right },
        { title: "acked", ...right },
        { title: "published", ...right },
        { title: "bytes", ...right },
        { title: "redelivered", ...right },
        { title: "consumers", ...right },
      ],
      report.partitions.map((partition) => [
        String(partition.partition),
        String(partition.shard),
        formatCount(partition.ready),
        formatCount(partition.leased),
        formatCount(partition.acked),
        formatCount(partition.published),
        formatBytes(partition.bytesPublished),
        formatCount(partition.redelivered),
        formatCount(partition.consumers),
      ]),
      paint.dim,
    );
    const lines = [
      `queue ${paint.bold(report.name)}: ${formatMany(settings.partitions, "partition")}, ` +
      `lease ${formatMs(settings.leaseMs)}`,
      `${formatMany(report.ready, "message")} ready, ${formatCount(report.leased)} leased, ` +
      `${formatCount(report.acked)} acked, ${formatMany(consumersOf(report), "consumer")}`,
      "",
      ...table,
    ];
    terminal.stdout.text(lines.join("\n") + "\n");
    return ExitCode.ok;
  },
});
