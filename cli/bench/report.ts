/**
 * What `flowmq bench` prints, for people and for programs.
 *
 * @module
 */

import {
  type Column,
  formatBytes,
  formatCount,
  formatMany,
  formatMs,
  formatTable,
} from "../format.ts";
import type { Paint } from "../terminal.ts";
import type { CheckVerdict } from "./checker.ts";
import { type Figures, figuresOf, medianFigures, type Percentiles } from "./figures.ts";
import { type BenchLoad, describeLoad } from "./load.ts";
import type { RunResult } from "./run.ts";

/** Everything about one load. */
export interface BenchReport {
  readonly load: BenchLoad;
  /** One for each run. */
  readonly runs: readonly Figures[];
  /** The median of each figure. */
  readonly figures: Figures;
  /** All runs together: what went wrong in one went wrong. */
  readonly check: CheckVerdict | undefined;
  /** Faults in the middle of the measurements, all runs together. */
  readonly faults: Readonly<Record<string, number>>;
}

/**
 * Puts the runs of a load together.
 *
 * @param load What was sent.
 * @param results What each run brought, at least one.
 * @returns The report.
 */
export function reportOf(load: BenchLoad, results: readonly RunResult[]): BenchReport {
  const runs = results.map((result) => figuresOf(load, result));
  const verdicts = results.flatMap(({ check }) => check ?? []);
  const faults: Record<string, number> = {};
  for (const result of results) {
    for (const [kind, count] of Object.entries(result.faults)) {
      faults[kind] = (faults[kind] ?? 0) + count;
    }
  }
  const check = verdicts.length === 0 ? undefined : verdicts.reduce(together);
  return { load, runs, figures: medianFigures(runs), check, faults };
}

function together(a: CheckVerdict, b: CheckVerdict): CheckVerdict {
  const sum = Object.fromEntries(
    Object.entries(a).map(([name, count]) => [
      name,
      Number(count) + Number(b[name as keyof CheckVerdict]),
    ]),
  );
  return { ...sum, ok: a.ok && b.ok } as unknown as CheckVerdict;
}

/** What the workload is about where it has several latencies. */
function mainLatency({ delivery, confirm }: Figures): Percentiles | undefined {
  return delivery ?? confirm;
}

/**
 * Describes a report for programs.
 *
 * @param report The report.
 * @returns A plain object.
 */
export function benchRecord(report: BenchReport): Record<string, unknown> {
  const { load, runs, figures, check, faults } = report;
  const { workload, ...amounts } = load;
  const several = runs.length > 1;
  return {
    workload,
    ...amounts,
    runs: runs.length,
    ...figures,
    ...mainLatency(figures),
    ...(several && { messagesPerSecondOfRuns: runs.map((run) => run.messagesPerSecond) }),
    ...(several && figures.limitRatio !== undefined && {
      limitRatioOfRuns: runs.map((run) => run.limitRatio),
      limitP50RatioOfRuns: runs.map((run) => run.limitP50Ratio),
      limitP99RatioOfRuns: runs.map((run) => run.limitP99Ratio),
      limitCpuRatioOfRuns: runs.map((run) => run.limitCpuRatio),
    }),
    ...(Object.keys(faults).length > 0 && { faultsInjected: faults }),
    ...(check && { check }),
  };
}

const right = { align: "right" } as const;

/**
 * Describes reports for people: a table of rates, a table of latencies, a line for each check.
 *
 * @param reports The reports.
 * @param paint Marks.
 * @returns The lines.
 */
export function benchTables(reports: readonly BenchReport[], paint: Paint): string[] {
  const tables = [rateTable(reports, paint), latencyTable(reports, paint)];
  const checks = reports.flatMap((report) => checkLine(report, paint) ?? []);
  return [...tables, checks].filter((lines) => lines.length > 0)
    .flatMap((lines, i) => i === 0 ? lines : ["", ...lines]);
}

/** A column that is shown where any report has something for it. */
interface FigureColumn extends Column {
  cell(report: BenchReport): string | undefined;
}

const times = (ratio: number | undefined) => ratio === undefined ? "" : `${ratio.toFixed(2)} ×`;
const percent = (share: number | undefined) => share && `${(100 * share).toFixed(0)} %`;

function rateTable(reports: readonly BenchReport[], paint: Paint): string[] {
  const columns: FigureColumn[] = [
    { title: "workload", cell: ({ load }) => load.workload },
    { title: "size", ...right, cell: ({ load }) => formatBytes(load.size) },
    {
      title: "clients",
      ...right,
      cell: ({ load }) =>
        load.consumers === 0 ? String(load.clients) : `${load.clients} + ${load.consumers}`,
    },
    { title: "batch", ...right, cell: ({ load }) => String(load.batch) },
    {
      title: "messages/s",
      ...right,
      cell: ({ figures }) => paint.bold(formatCount(figures.messagesPerSecond)),
    },
    { title: "MB/s", ...right, cell: ({ figures }) => figures.megabytesPerSecond.toFixed(1) },
    {
      title: "CPU",
      ...right,
      cell: ({ figures: { nodes } }) => nodes && `${nodes.cpuSeconds.toFixed(1)} s`,
    },
    {
      title: "per million",
      ...right,
      cell: ({ figures: { nodes } }) => nodes && `${nodes.cpuSecondsPerMillion.toFixed(1)} s`,
    },
    {
      title: "memory",
      ...right,
      cell: ({ figures: { nodes } }) => nodes && formatBytes(nodes.memoryBytes),
    },
    {
      title: "peak",
      ...right,
      cell: ({ figures: { nodes } }) => nodes && formatBytes(nodes.memoryPeakBytes),
    },
    {
      title: "bare pipeline",
      ...right,
      cell: ({ figures: { limit } }) => limit && formatCount(limit.messagesPerSecond),
    },
    { title: "ratio", ...right, cell: ({ figures }) => percent(figures.limitRatio) || undefined },
    {
      title: "ratio of each run",
      cell: ({ runs }) =>
        runs.length > 1 && runs[0]!.limitRatio !== undefined
          ? runs.map((run) => percent(run.limitRatio)).join(", ")
          : undefined,
    },
    {
      title: "its CPU per million",
      ...right,
      cell: ({ figures: { limit } }) =>
        limit?.nodes && `${limit.nodes.cpuSecondsPerMillion.toFixed(1)} s`,
    },
    {
      title: "CPU ratio",
      ...right,
      cell: ({ figures: { limitCpuRatio } }) => times(limitCpuRatio) || undefined,
    },
  ];
  const shown = columns.filter(({ cell }) => reports.some((one) => cell(one) !== undefined));
  const rows = reports.map((report) => shown.map(({ cell }) => cell(report) ?? ""));
  return formatTable(shown, rows, paint.dim);
}

function latencyTable(reports: readonly BenchReport[], paint: Paint): string[] {
  const compared = reports.some(({ figures }) => figures.limitP50Ratio !== undefined);
  const columns: Column[] = [
    { title: "latency" },
    { title: "until" },
    ...["p50", "p90", "p99", "p99.9", "max"].map((title) => ({ title, ...right })),
    ...(compared ? ["p50 ratio", "p99 ratio"].map((title) => ({ title, ...right })) : []),
  ];
  const rows = reports.flatMap(({ load, figures }) => {
    const { confirm, delivery, lateness, gaps, limitP50Ratio, limitP99Ratio } = figures;
    const row = (until: string, latency: Percentiles, ...ratios: string[]) => [
      load.workload,
      until,
      ...[latency.p50Ms, latency.p90Ms, latency.p99Ms, latency.p999Ms, latency.maxMs].map(formatMs),
      ...ratios,
    ];
    return [
      ...(confirm ? [row("confirmed", confirm, times(limitP50Ratio), times(limitP99Ratio))] : []),
      ...(delivery ? [row("delivered", delivery)] : []),
      ...(lateness ? [row("sent (late)", lateness)] : []),
      ...Object.entries(gaps ?? {}).map(([kind, { medianMs, p99Ms, maxMs }]) => [
        load.workload,
        `gap: ${kind}`,
        ...[formatMs(medianMs), "", formatMs(p99Ms), "", formatMs(maxMs)],
      ]),
    ];
  });
  return rows.length === 0 ? [] : formatTable(columns, rows, paint.dim);
}

function checkLine({ load, check, faults }: BenchReport, paint: Paint): string | undefined {
  if (check === undefined) return undefined;
  const harm = Object.entries(faults).map(([kind, count]) => `${kind} ${count} ×`).join(", ");
  const counts = (["lost", "duplicated", "reordered", "corrupted", "redelivered"] as const)
    .map((name) => `${formatCount(check[name])} ${name}`);
  return `${check.ok ? paint.green("ok") : paint.red("FAILED")}  ${describeLoad(load)}: ` +
    `${formatMany(check.confirmed, "message")} confirmed, ${formatCount(check.acked)} acked, ` +
    counts.join(", ") + (harm === "" ? "" : ` (${harm})`);
}
