/**
 * `flowmq cluster status`.
 *
 * @module
 */

import type { ClusterMetadata, NodeStatus } from "../../mod.ts";
import { withClient } from "../cluster_client.ts";
import { statusOf } from "../cluster_view.ts";
import { defineCommand } from "../command.ts";
import { clientFlags, jsonFlag } from "../common_flags.ts";
import { ExitCode } from "../exit_codes.ts";
import { formatBytes, formatCount, formatMany, formatMs, formatTable } from "../format.ts";
import type { Paint } from "../terminal.ts";

/** A node as the others know it, and its own answer if there was one. */
interface NodeReport {
  readonly id: number;
  readonly address: string | null;
  readonly status: NodeStatus | undefined;
}

/** The highest commit index any node reports, by shard: what the others lag behind. */
function commitIndexes(reports: readonly NodeReport[]): Map<number, number> {
  const highest = new Map<number, number>();
  for (const { status } of reports) {
    for (const { id, commitIndex } of status?.shards ?? []) {
      highest.set(id, Math.max(commitIndex, highest.get(id) ?? 0));
    }
  }
  return highest;
}

function jsonLines(metadata: ClusterMetadata, reports: readonly NodeReport[]): string[] {
  const commits = commitIndexes(reports);
  return reports.map(({ id, address, status }) =>
    JSON.stringify({
      clusterId: metadata.clusterId,
      node: id,
      address,
      up: status !== undefined,
      ...(status === undefined ? {} : {
        version: status.version,
        peerAddress: status.peerAddress,
        uptimeMs: status.uptimeMs,
        memoryBytes: status.memoryBytes,
        diskFreeBytes: status.diskFreeBytes,
        isDiskLow: status.isDiskLow,
        shards: status.shards.map((shard) => ({
          ...shard,
          lag: Math.max(0, commits.get(shard.id)! - shard.appliedIndex),
        })),
      }),
    })
  );
}

/** One row for each shard of a node; the node's own cells in its first row only. */
function rowsOf(
  report: NodeReport,
  commits: ReadonlyMap<number, number>,
  paint: Paint,
): string[][] {
  const { id, address, status } = report;
  if (status === undefined) return [[String(id), address ?? "unknown", paint.red("down")]];
  return status.shards.map((shard, i) => {
    const lag = Math.max(0, commits.get(shard.id)! - shard.appliedIndex);
    const own = i > 0 ? ["", "", "", "", "", ""] : [
      String(id),
      status.address,
      paint.green("up"),
      formatMs(status.uptimeMs),
      formatBytes(status.memoryBytes),
      paintRoom(status, paint),
    ];
    return [
      ...own,
      String(shard.id),
      paintRole(shard.role, paint),
      formatCount(shard.term),
      formatCount(shard.commitIndex),
      formatCount(shard.appliedIndex),
      lag === 0 ? "0" : paint.yellow(formatCount(lag)),
      formatBytes(shard.logBytes),
    ];
  });
}

function paintRoom({ diskFreeBytes, isDiskLow }: NodeStatus, paint: Paint): string {
  const room = diskFreeBytes === null ? "unknown" : formatBytes(diskFreeBytes);
  return isDiskLow ? paint.red(room) : room;
}

function paintRole(role: string, paint: Paint): string {
  return role === "leader" ? paint.bold(role) : role === "learner" ? paint.yellow(role) : role;
}

/** Whether a node answers and has a vote in every shard. */
function isWhole({ status }: NodeReport): boolean {
  return status !== undefined && status.shards.every(({ role }) => role !== "learner");
}

function summary(reports: readonly NodeReport[], metadata: ClusterMetadata, paint: Paint): string {
  const up = reports.filter((report) => report.status !== undefined).length;
  const whole = reports.filter(isWhole).length;
  const needed = Math.floor(reports.length / 2) + 1;
  const spare = whole - needed;
  const leaderless = metadata.shards.filter((shard) => shard.leader === 0).length;
  const others = whole < reports.length ? "other " : "";
  const may = spare === 0
    ? `no ${others}node may fail`
    : `${formatMany(spare, `${others}node`)} may fail`;
  const state = spare < 0
    ? paint.red(`no quorum: ${needed} nodes are needed`)
    : leaderless > 0
    ? paint.red(`${formatMany(leaderless, "shard")} without a leader`)
    : whole < reports.length
    ? paint.yellow(may)
    : paint.green(may);
  const catchingUp = whole < up
    ? `, ${formatMany(up - whole, "node")} without a vote ${
      up - whole === 1 ? "is" : "are"
    } catching up`
    : "";
  const low = reports.filter(({ status }) => status?.isDiskLow).map(({ id }) => id);
  const noRoom = low.length === 0
    ? ""
    : paint.red(`, nearly full: the disk of node ${low.join(", ")}`);
  return `cluster ${metadata.clusterId}: ${up} of ${
    formatMany(reports.length, "node")
  } up${catchingUp}, ${state}${noRoom}`;
}

/** `flowmq cluster status`. */
export const clusterStatus = defineCommand({
  name: "cluster status",
  summary: "Ask every node how it is, and show who leads and who lags",
  synonyms: ["status", "cluster info", "cluster ls", "cluster nodes"],
  description: [
    "The exit code is 0 when every node is up, with a vote in every shard, and every shard has a " +
    "leader, and 1 otherwise, so that a script can wait for a healthy cluster. Lag is how many " +
    "committed entries a node has yet to apply. With less free on the disks of a majority than their " +
    "reserve (flowmq serve --disk-reserve-bytes), publishes are refused until there is room. A learner is a node whose disk was replaced or " +
    "damaged, and that gets everything from the others; then it has a vote again.",
  ],
  positionals: [],
  flags: { ...clientFlags, json: jsonFlag },
  examples: [
    { command: "flowmq cluster status", note: "A table." },
    { command: "until flowmq cluster status; do sleep 1; done", note: "Wait for all nodes." },
  ],

  async run({ flags: values }, terminal): Promise<ExitCode> {
    const { metadata, reports } = await withClient(
      values,
      terminal,
      "flowmq cluster status",
      async (client) => {
        const metadata = await client.metadata();
        const reports = await Promise.all(
          metadata.nodes.map(async ({ id, address }): Promise<NodeReport> => ({
            id,
            address,
            status: address === null ? undefined : await statusOf(client, address),
          })),
        );
        return { metadata, reports };
      },
    );
    const healthy = reports.every(isWhole) &&
      metadata.shards.every((shard) => shard.leader !== 0);
    if (values.json) {
      for (const line of jsonLines(metadata, reports)) terminal.stdout.line(line);
      return healthy ? ExitCode.ok : ExitCode.failed;
    }
    const { paint } = terminal.stdout;
    const commits = commitIndexes(reports);
    const right = { align: "right" } as const;
    const table = formatTable(
      [
        { title: "node" },
        { title: "address" },
        { title: "state" },
        { title: "uptime", ...right },
        { title: "memory", ...right },
        { title: "disk free", ...right },
        { title: "shard", ...right },
        { title: "role" },
        { title: "term", ...right },
        { title: "commit", ...right },
        { title: "applied", ...right },
        { title: "lag", ...right },
        { title: "log", ...right },
      ],
      reports.flatMap((report) => rowsOf(report, commits, paint)),
      paint.dim,
    );
    terminal.stdout.text([summary(reports, metadata, paint), "", ...table].join("\n") + "\n");
    return healthy ? ExitCode.ok : ExitCode.failed;
  },
});
