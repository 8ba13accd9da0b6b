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
import {
  consumersOf,
  consumerTable,
  growthLine,
  historyLine,
  keyLine,
  queueRecord,
  trafficLine,
} from "../queue_report.ts";
import { describeSettings } from "../queue_settings.ts";

/** `flowmq queue info`. */
export const queueInfo = defineCommand({
  name: "queue info",
  summary: "Show a queue's settings, what is in its partitions and on disk, and who consumes",
  synonyms: ["queue show", "queue stat", "queue stats", "queue describe", "info"],
  description: [
    "Redelivered counts deliveries beyond the first of a message: after a nack, an expired lease, a " +
    "consumer that went away.",
    "Rates are averages over five to ten seconds, by the nodes that lead. The table of consumers has " +
    "one row for each partition that a consumer takes from, with how many messages it holds, how many it " +
    "may, and since when it has held the one it has held longest.",
    "The last table is of the disk of the node that leads each partition's shard; other nodes hold " +
    "about the same. Live bytes are those of records with a message that is not acked, or that the " +
    "history keeps, as good as can be told without reading them. Kept are the files that stay for the sake of such a record, of " +
    "this partition or of others: what is dead in them is given back after a later snapshot, once it is " +
    "half of a file.",
  ],
  positionals: [{ name: "QUEUE", help: "The queue." }],
  flags: { ...clientFlags, json: jsonFlag },
  examples: [{ command: "flowmq queue info mail", note: "All about the queue called mail." }],

  async run({ flags: values, positionals }, terminal): Promise<ExitCode> {
    const [report, activity, storage] = await withClient(
      values,
      terminal,
      "flowmq queue info",
      async (client) => {
        const queue = client.queue(positionals[0]!);
        return await Promise.all([queue.info(), queue.activity(), queue.storage()]);
      },
    );
    if (values.json) {
      terminal.stdout.line(JSON.stringify({ ...queueRecord(report), activity, storage }));
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
    const nowMs = Date.now();
    const disk = formatTable(
      [
        { title: "partition", ...right },
        { title: "node", ...right },
        { title: "live records", ...right },
        { title: "live bytes", ...right },
        { title: "files kept", ...right },
        { title: "bytes kept", ...right },
        { title: "oldest message", ...right },
      ],
      storage.map(({ partition, node, records, bytes, segments, segmentBytes, oldestAtMs }) => [
        String(partition),
        String(node),
        formatCount(records),
        formatBytes(bytes),
        formatCount(segments),
        formatBytes(segmentBytes),
        oldestAtMs === 0 ? "-" : `${formatMs(Math.max(0, nowMs - oldestAtMs))} old`,
      ]),
      paint.dim,
    );
    const lines = [
      `queue ${paint.bold(report.name)}${report.paused ? " (paused)" : ""}: ` +
      describeSettings(settings),
      ...growthLine(report),
      `${formatMany(report.ready, "message")} ready, ${formatCount(report.leased)} leased, ` +
      `${formatCount(report.acked)} acked, ` +
      (report.bytesHeld === undefined ? "" : `${formatBytes(report.bytesHeld)} held, `) +
      `${formatCount(report.purged)} purged, ${formatCount(report.dropped)} dropped, ${
        formatMany(consumersOf(report), "consumer")
      }`,
      trafficLine(activity),
      ...keyLine(activity),
      ...historyLine(activity, storage),
      "",
      ...table,
      ...consumerTable(activity, paint),
      "",
      ...disk,
    ];
    terminal.stdout.text(lines.join("\n") + "\n");
    return ExitCode.ok;
  },
});
