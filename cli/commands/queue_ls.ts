/**
 * `flowmq queue ls`.
 *
 * @module
 */

import { type Client, QueueNotFoundError, type QueueReport } from "../../mod.ts";
import { withClient } from "../cluster_client.ts";
import { defineCommand } from "../command.ts";
import { clientFlags, jsonFlag } from "../common_flags.ts";
import { ExitCode } from "../exit_codes.ts";
import { formatBytes, formatCount, formatMs, formatTable, oneLine } from "../format.ts";
import { consumersOf, queueRecord } from "../queue_report.ts";

/** A queue may be removed while we ask. */
async function reportOf(client: Client, name: string): Promise<QueueReport | undefined> {
  try {
    return await client.queue(name).info();
  } catch (error) {
    if (error instanceof QueueNotFoundError) return undefined;
    throw error;
  }
}

/** `flowmq queue ls`. */
export const queueLs = defineCommand({
  name: "queue ls",
  summary: "List the queues, with what is in them",
  synonyms: ["queue list", "queues", "ls", "list"],
  description: [
    "A paused queue delivers nothing. Ready messages wait for a consumer, leased ones are with a consumer and not acked yet.",
  ],
  positionals: [],
  flags: { ...clientFlags, json: jsonFlag },
  examples: [
    { command: "flowmq queue ls", note: "A table." },
    { command: "flowmq queue ls --json | jq -r .name", note: "The names only." },
  ],

  async run({ flags: values }, terminal): Promise<ExitCode> {
    const reports = await withClient(values, terminal, "flowmq queue ls", async (client) => {
      const queues = await client.queues();
      const all = await Promise.all(queues.map((queue) => reportOf(client, queue.name)));
      return all.filter((report) => report !== undefined);
    });
    if (values.json) {
      for (const report of reports) terminal.stdout.line(JSON.stringify(queueRecord(report)));
      return ExitCode.ok;
    }
    if (reports.length === 0) {
      terminal.stderr.line("no queues yet: flowmq queue add makes one, and so does flowmq pub");
      return ExitCode.ok;
    }
    const { paint } = terminal.stdout;
    const rows = reports.map((report) => [
      oneLine(report.name, 48),
      report.paused ? "paused" : "running",
      formatCount(report.settings.partitions),
      formatMs(report.settings.leaseMs),
      formatCount(report.ready),
      formatCount(report.leased),
      formatCount(consumersOf(report)),
      formatCount(report.published),
      formatBytes(report.bytesPublished),
    ]);
    const lines = formatTable(
      [
        { title: "queue" },
        { title: "state" },
        { title: "partitions", align: "right" },
        { title: "lease", align: "right" },
        { title: "ready", align: "right" },
        { title: "leased", align: "right" },
        { title: "consumers", align: "right" },
        { title: "published", align: "right" },
        { title: "bytes", align: "right" },
      ],
      rows,
      paint.dim,
    );
    terminal.stdout.text(lines.join("\n") + "\n");
    return ExitCode.ok;
  },
});
