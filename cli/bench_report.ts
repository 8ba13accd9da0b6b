/**
 * The figures of `flowmq bench`, for people and for programs.
 *
 * @module
 */

import type { BenchLoad } from "./bench_load.ts";
import type { BenchResult } from "./bench_run.ts";
import { formatBytes, formatCount, formatMs, formatTable } from "./format.ts";
import type { Histogram } from "./histogram.ts";
import type { ProcessUsage } from "./process_usage.ts";
import type { Paint } from "./terminal.ts";

/** One measurement and what it is measured against. */
export interface BenchReport {
  readonly load: BenchLoad;
  readonly result: BenchResult;
  /** What the nodes used meanwhile, where they are local. */
  readonly usage: ProcessUsage | undefined;
  /** What the bare pipeline did with the same load. */
  readonly limit: Pick<BenchResult, "messages" | "seconds" | "latency"> | undefined;
}

function latencyRecord(latency: Histogram): Record<string, number> {
  return {
    p50Ms: rounded(latency.percentileMs(0.5)),
    p90Ms: rounded(latency.percentileMs(0.9)),
    p99Ms: rounded(latency.percentileMs(0.99)),
    p999Ms: rounded(latency.percentileMs(0.999)),
    maxMs: rounded(latency.maxMs),
  };
}

function rounded(value: number): number {
  return Number(value.toPrecision(4));
}

function rate(result: { readonly messages: number; readonly seconds: number }): number {
  return result.messages / result.seconds;
}

/**
 * Describes a measurement for programs.
 *
 * @param report The measurement.
 * @returns A plain object.
 */
export function benchRecord(report: BenchReport): Record<string, unknown> {
  const { load, result, usage, limit } = report;
  const messagesPerSecond = rate(result);
  return {
    ...load,
    messages: result.messages,
    seconds: rounded(result.seconds),
    messagesPerSecond: Math.round(messagesPerSecond),
    megabytesPerSecond: rounded(messagesPerSecond * load.size / 1e6),
    ...latencyRecord(result.latency),
    ...(usage === undefined ? {} : {
      nodes: {
        cpuSeconds: rounded(usage.cpuSeconds),
        cpuSecondsPerMillion: rounded(usage.cpuSeconds / result.messages * 1e6),
        memoryBytes: usage.memoryBytes,
      },
    }),
    ...(limit === undefined ? {} : {
      limit: { messagesPerSecond: Math.round(rate(limit)), ...latencyRecord(limit.latency) },
      limitRatio: rounded(messagesPerSecond / rate(limit)),
      limitP50Ratio: rounded(
        result.latency.percentileMs(0.5) / limit.latency.percentileMs(0.5),
      ),
      limitP99Ratio: rounded(
        result.latency.percentileMs(0.99) / limit.latency.percentileMs(0.99),
      ),
    }),
  };
}

/**
 * Describes measurements for people.
 *
 * @param reports The measurements.
 * @param paint Marks.
 * @returns The lines of a table.
 */
export function benchTable(reports: readonly BenchReport[], paint: Paint): string[] {
  const withLimit = reports.some((report) => report.limit !== undefined);
  const withUsage = reports.some((report) => report.usage !== undefined);
  const right = { align: "right" } as const;
  const columns = [
    { title: "workload" },
    { title: "size", ...right },
    { title: "clients", ...right },
    { title: "batch", ...right },
    { title: "messages/s", ...right },
    { title: "MB/s", ...right },
    { title: "p50", ...right },
    { title: "p90", ...right },
    { title: "p99", ...right },
    { title: "p99.9", ...right },
    { title: "max", ...right },
    ...(withUsage ? [{ title: "CPU", ...right }, { title: "memory", ...right }] : []),
    ...(withLimit ? [{ title: "bare pipeline", ...right }, { title: "ratio", ...right }] : []),
  ];
  const rows = reports.map(({ load, result, usage, limit }) => [
    load.workload,
    formatBytes(load.size),
    load.consumers === 0 ? String(load.clients) : `${load.clients} + ${load.consumers}`,
    String(load.batch),
    paint.bold(formatCount(rate(result))),
    (rate(result) * load.size / 1e6).toFixed(1),
    ...[0.5, 0.9, 0.99, 0.999].map((share) => formatMs(result.latency.percentileMs(share))),
    formatMs(result.latency.maxMs),
    ...(withUsage
      ? [
        usage === undefined ? "" : `${usage.cpuSeconds.toFixed(1)} s`,
        usage === undefined ? "" : formatBytes(usage.memoryBytes),
      ]
      : []),
    ...(withLimit
      ? limit === undefined
        ? ["", ""]
        : [formatCount(rate(limit)), `${(100 * rate(result) / rate(limit)).toFixed(0)} %`]
      : []),
  ]);
  return formatTable(columns, rows, paint.dim);
}
