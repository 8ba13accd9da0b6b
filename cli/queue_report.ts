/**
 * What `flowmq queue ls` and `flowmq queue info` tell about a queue.
 *
 * @module
 */

import type { QueueReport } from "../mod.ts";

/**
 * Counts the consumers of a queue, each once.
 *
 * @param report The queue.
 * @returns The most that any partition has: a consumer takes from all of them.
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
  const { name, id, settings, paused, partitions, ...counts } = report;
  return { name, id, settings, paused, ...counts, consumers: consumersOf(report), partitions };
}
