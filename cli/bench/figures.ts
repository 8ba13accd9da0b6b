/**
 * The figures of a run as plain numbers, and the middle of several runs.
 *
 * @module
 */

import type { Histogram } from "./histogram.ts";
import type { BenchLoad } from "./load.ts";
import type { NodesUsage } from "./node_meter.ts";
import type { RunResult } from "./run.ts";

/** Of latencies. */
export interface Percentiles {
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
}

/** Of the longest times without a confirmation around faults of one kind. */
export interface GapFigures {
  readonly count: number;
  readonly medianMs: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** Messages and the time they took. */
export interface RateFigures {
  readonly messages: number;
  readonly seconds: number;
  readonly messagesPerSecond: number;
}

/** What the processes used together. */
export interface UsageFigures {
  readonly cpuSeconds: number;
  readonly cpuSecondsPerMillion: number;
  readonly memoryBytes: number;
  readonly memoryPeakBytes: number;
}

/** All figures of a run. What a workload does not measure is left out. */
export interface Figures extends RateFigures {
  readonly megabytesPerSecond: number;
  readonly confirm?: Percentiles;
  readonly delivery?: Percentiles;
  readonly lateness?: Percentiles;
  readonly fill?: RateFigures;
  readonly gaps?: Readonly<Record<string, GapFigures>>;
  readonly nodes?: UsageFigures;
  readonly limit?: RateFigures & Percentiles & { readonly nodes?: UsageFigures };
  readonly limitRatio?: number;
  readonly limitP50Ratio?: number;
  readonly limitP99Ratio?: number;
  readonly limitCpuRatio?: number;
}

/**
 * Works the figures of a run out.
 *
 * @param load What was sent.
 * @param result What the run brought.
 * @returns The figures, to four digits.
 */
export function figuresOf(load: BenchLoad, result: RunResult): Figures {
  const { measurement, usage, limit } = result;
  const { confirm, delivery, lateness, fill, gaps } = measurement;
  const rate = rateFigures(measurement);
  return {
    ...rate,
    megabytesPerSecond: rounded(rate.messagesPerSecond * load.size / 1e6),
    ...(confirm?.count ? { confirm: percentiles(confirm) } : {}),
    ...(delivery?.count ? { delivery: percentiles(delivery) } : {}),
    ...(lateness?.count ? { lateness: percentiles(lateness) } : {}),
    ...(fill && { fill: rateFigures(fill) }),
    ...(gaps && {
      gaps: Object.fromEntries([...gaps].map(([kind, ms]) => [kind, gapFigures(ms)])),
    }),
    ...(usage && { nodes: usageFigures(usage, measurement.messages) }),
    ...(limit && {
      limit: {
        ...rateFigures(limit),
        ...percentiles(limit.latency),
        ...(limit.usage && { nodes: usageFigures(limit.usage, limit.messages) }),
      },
      limitRatio: ratio(rateOf(measurement), rateOf(limit)),
    }),
    // The pipeline has confirmations only.
    ...(limit && confirm?.count && {
      limitP50Ratio: ratio(confirm.percentileMs(0.5), limit.latency.percentileMs(0.5)),
      limitP99Ratio: ratio(confirm.percentileMs(0.99), limit.latency.percentileMs(0.99)),
    }),
    // A short run may end before the system has counted any.
    ...(usage && limit?.usage?.cpuSeconds && {
      limitCpuRatio: ratio(
        usage.cpuSeconds / measurement.messages,
        limit.usage.cpuSeconds / limit.messages,
      ),
    }),
  };
}

/**
 * Takes the median of each figure.
 *
 * @param runs Figures of the same load, at least one.
 * @returns Figures of the same shape; those that are missing in a run are missing in the result.
 */
export function medianFigures(runs: readonly Figures[]): Figures {
  return medians(runs as unknown as Tree[]) as unknown as Figures;
}

/** Numbers under names. */
type Tree = { readonly [name: string]: number | Tree };

function medians(trees: readonly Tree[]): Tree {
  const result: Record<string, number | Tree> = {};
  for (const name of Object.keys(trees[0]!)) {
    const values = trees.map((tree) => tree[name]);
    if (values.includes(undefined)) continue;
    result[name] = typeof values[0] === "number"
      ? median(values as number[])
      : medians(values as Tree[]);
  }
  return result;
}

/**
 * The middle of several values.
 *
 * @param values At least one.
 * @returns The middle one; of an even number, the mean of the two in the middle.
 */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function rateOf({ messages, seconds }: { messages: number; seconds: number }): number {
  return messages / seconds;
}

function rateFigures(measured: { messages: number; seconds: number }): RateFigures {
  return {
    messages: measured.messages,
    seconds: rounded(measured.seconds),
    messagesPerSecond: Math.round(rateOf(measured)),
  };
}

function usageFigures(usage: NodesUsage, messages: number): UsageFigures {
  return {
    cpuSeconds: rounded(usage.cpuSeconds),
    cpuSecondsPerMillion: rounded(usage.cpuSeconds / messages * 1e6),
    memoryBytes: usage.memoryBytes,
    memoryPeakBytes: usage.memoryPeakBytes,
  };
}

function percentiles(latency: Histogram): Percentiles {
  return {
    p50Ms: rounded(latency.percentileMs(0.5)),
    p90Ms: rounded(latency.percentileMs(0.9)),
    p99Ms: rounded(latency.percentileMs(0.99)),
    p999Ms: rounded(latency.percentileMs(0.999)),
    maxMs: rounded(latency.maxMs),
  };
}

/** By the nearest rank: with few faults the 99th percentile is the longest gap. */
function gapFigures(gapsMs: readonly number[]): GapFigures {
  const sorted = gapsMs.toSorted((a, b) => a - b);
  return {
    count: sorted.length,
    medianMs: rounded(sorted.length === 0 ? 0 : median(sorted)),
    p99Ms: rounded(sorted[Math.ceil(sorted.length * 0.99) - 1] ?? 0),
    maxMs: rounded(sorted.at(-1) ?? 0),
  };
}

function ratio(value: number, limit: number): number {
  return rounded(value / limit);
}

function rounded(value: number): number {
  return Number(value.toPrecision(4));
}
