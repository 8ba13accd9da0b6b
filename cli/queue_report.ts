/**
 * What `flowmq queue ls` and `flowmq queue info` tell about a queue.
 *
 * @module
 */

import type { FlowRates, PartitionActivity, PartitionStorageReport, QueueReport } from "../mod.ts";
import {
  formatBytes,
  formatCount,
  formatMany,
  formatMs,
  formatRate,
  formatTable,
  oneLine,
} from "./format.ts";
import type { Paint } from "./terminal.ts";

/**
 * Counts the consumers of a queue, each once.
 *
 * @param report The queue.
 * @returns The most that any partition has: a consumer takes from all of them, unless it is bound to some.
 */
export function consumersOf(report: QueueReport): number {
  return Math.max(0, ...report.partitions.map((partition) => partition.consumers));
}

/**
 * Describes a queue for programs.
 *
 * @param report The queue.
 * @returns A plain object.
 */
export function queueRecord(report: QueueReport): Record<string, unknown> {
  const { name, id, settings, paused, growingFrom, partitions, ...counts } = report;
  const growth = growingFrom === undefined ? {} : { growingFrom };
  return {
    name,
    id,
    settings,
    paused,
    ...growth,
    ...counts,
    consumers: consumersOf(report),
    partitions,
  };
}

/**
 * Says that a queue is getting more partitions.
 *
 * @param report The queue.
 * @returns A line, or none where it is not.
 */
export function growthLine({ growingFrom, settings }: QueueReport): string[] {
  if (growingFrom === undefined) return [];
  return [
    `growing from ${growingFrom} to ${
      formatMany(settings.partitions, "partition")
    }: messages with a ` +
    `key wait in those from ${growingFrom} on until all that was in the others is gone`,
  ];
}

/** No table has more rows of consumers. */
const rowsMax = 50;

/**
 * Says how fast messages go through a queue, and how old the oldest one is.
 *
 * @param activity Its partitions.
 * @returns One line.
 */
export function trafficLine(activity: readonly PartitionActivity[]): string {
  const total = (count: keyof FlowRates) =>
    activity.reduce((sum, { rates }) => sum + rates[count], 0);
  const rates = `${formatRate(total("published"))} published, ` +
    `${formatRate(total("delivered"))} delivered and ${formatRate(total("acked"))} acked a second`;
  const ages = activity.flatMap(({ oldestAtMs, nowMs }) =>
    oldestAtMs === undefined ? [] : [nowMs - oldestAtMs]
  );
  return ages.length === 0
    ? rates
    : `${rates}; the oldest message is ${formatMs(Math.max(0, ...ages))} old`;
}

/**
 * Says how many keys there are, and what they hold back.
 *
 * @param activity The partitions of a queue.
 * @returns A line, or none where keys mean nothing.
 */
export function keyLine(activity: readonly PartitionActivity[]): string[] {
  const counts = activity.flatMap(({ keys }) => keys ?? []);
  if (counts.length === 0) return [];
  const keys = counts.reduce((sum, one) => sum + one.keys, 0);
  const blocked = counts.reduce((sum, one) => sum + one.blocked, 0);
  return [
    `ready messages have ${formatMany(keys, "key")}; ${formatCount(blocked)} of them wait for ` +
    "others of their key, or for its rate",
  ];
}

/**
 * Says what the history of a queue holds.
 *
 * @param activity Its partitions.
 * @param storage What they hold on disk.
 * @returns One line, or none where there is no history.
 */
export function historyLine(
  activity: readonly PartitionActivity[],
  storage: readonly PartitionStorageReport[],
): string[] {
  const histories = activity.flatMap(({ history, nowMs }) =>
    history === undefined ? [] : [{ ...history, ageMs: nowMs - history.sinceMs }]
  );
  if (histories.length === 0) return [];
  const total = (count: "replayable" | "replaying" | "happenings" | "bytes") =>
    histories.reduce((sum, history) => sum + history[count], 0);
  const disk = storage.reduce((sum, { historyBytes }) => sum + historyBytes, 0);
  const records = storage.reduce((sum, { historyRecords }) => sum + historyRecords, 0);
  const replaying = total("replaying");
  return [
    `history of the last ${formatMs(Math.max(0, ...histories.map(({ ageMs }) => ageMs)))}: ` +
    `${formatMany(total("replayable"), "acked message")} can be replayed, ` +
    `${formatBytes(disk)} in ${formatMany(records, "record")} on disk are kept for that; ` +
    `${formatMany(total("happenings"), "happening")} in ${formatBytes(total("bytes"))} of memory` +
    (replaying === 0 ? "" : `; ${formatMany(replaying, "message")} wait to come back`),
  ];
}

/**
 * Shows the consumers of a queue.
 *
 * @param activity Its partitions.
 * @param paint Marks the titles up.
 * @returns An empty line and a table, or nothing when there is none.
 */
export function consumerTable(activity: readonly PartitionActivity[], paint: Paint): string[] {
  const rows = activity.flatMap(({ partition, nowMs, consumers }) =>
    consumers.map(({ clientName, address, held, prefetch, heldSinceMs }) => [
      String(partition),
      clientName === "" ? "-" : oneLine(clientName, 40),
      address ?? paint.yellow("not connected"),
      formatCount(held),
      formatCount(prefetch),
      heldSinceMs === undefined ? "-" : formatMs(Math.max(0, nowMs - heldSinceMs)),
    ])
  );
  if (rows.length === 0) return [];
  const count = activity.reduce((sum, { consumerCount }) => sum + consumerCount, 0);
  const more = count > rowsMax ? [`and ${formatCount(count - rowsMax)} more`] : [];
  const right = { align: "right" } as const;
  const table = formatTable(
    [
      { title: "partition", ...right },
      { title: "consumer" },
      { title: "address" },
      { title: "holds", ...right },
      { title: "prefetch", ...right },
      { title: "longest for", ...right },
    ],
    rows.slice(0, rowsMax),
    paint.dim,
  );
  return ["", ...table, ...more];
}
