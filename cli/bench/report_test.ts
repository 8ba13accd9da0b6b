import { assert, assertEquals, assertMatch } from "@std/assert";
import { paintFor } from "../terminal.ts";
import type { CheckVerdict } from "./checker.ts";
import { median } from "./figures.ts";
import { Histogram } from "./histogram.ts";
import { benchRecord, benchTables, reportOf } from "./report.ts";
import type { RunResult } from "./run.ts";
import { workloadNamed, workloads } from "./workloads/mod.ts";

function histogram(...values: number[]): Histogram {
  const result = new Histogram();
  for (const value of values) result.record(value);
  return result;
}

const verdict: CheckVerdict = {
  published: 100,
  confirmed: 100,
  delivered: 100,
  redelivered: 2,
  acked: 100,
  lost: 0,
  duplicated: 0,
  corrupted: 0,
  reordered: 0,
  ok: true,
};

/**
 * A run of 1,000 messages in so many seconds; the bare pipeline needs one. Latencies this short are
 * exact in a histogram.
 */
function runOf(seconds: number, check: Partial<CheckVerdict> = {}): RunResult {
  return {
    measurement: { messages: 1_000, seconds, confirm: histogram(seconds / 100, seconds / 25) },
    usage: { cpuSeconds: 0.5, memoryBytes: 1_000, memoryPeakBytes: 2_000 },
    faults: { "kill-leader": 1 },
    check: { ...verdict, ...check },
    limit: {
      messages: 1_000,
      seconds: 1,
      latency: histogram(0.01, 0.02),
      usage: { cpuSeconds: 0.25, memoryBytes: 400, memoryPeakBytes: 500 },
    },
  };
}

const load = workloadNamed("publish").defaults;

Deno.test("benchRecord() has one shape, with ratios to the bare pipeline", () => {
  const record = benchRecord(reportOf(load, [runOf(2)]));
  assertEquals(JSON.parse(JSON.stringify(record)), {
    ...load,
    messages: 1_000,
    runs: 1,
    seconds: 2,
    messagesPerSecond: 500,
    megabytesPerSecond: 0.128,
    p50Ms: 0.02,
    p90Ms: 0.08,
    p99Ms: 0.08,
    p999Ms: 0.08,
    maxMs: 0.08,
    confirm: { p50Ms: 0.02, p90Ms: 0.08, p99Ms: 0.08, p999Ms: 0.08, maxMs: 0.08 },
    nodes: {
      cpuSeconds: 0.5,
      cpuSecondsPerMillion: 500,
      memoryBytes: 1_000,
      memoryPeakBytes: 2_000,
    },
    limit: {
      messages: 1_000,
      seconds: 1,
      messagesPerSecond: 1_000,
      p50Ms: 0.01,
      p90Ms: 0.02,
      p99Ms: 0.02,
      p999Ms: 0.02,
      maxMs: 0.02,
      nodes: {
        cpuSeconds: 0.25,
        cpuSecondsPerMillion: 250,
        memoryBytes: 400,
        memoryPeakBytes: 500,
      },
    },
    limitRatio: 0.5,
    limitP50Ratio: 2,
    limitP99Ratio: 4,
    limitCpuRatio: 2,
    faultsInjected: { "kill-leader": 1 },
    check: verdict,
  });
  assertEquals(Object.keys(record)[0], "workload");
});

Deno.test("without processor time of the bare pipeline there is no ratio to it", () => {
  const run = runOf(2);
  for (const usage of [undefined, { ...run.usage!, cpuSeconds: 0 }]) {
    const limit = { ...run.limit!, usage };
    const { figures } = reportOf(load, [{ ...run, limit }]);
    assertEquals(figures.limitCpuRatio, undefined);
    assertEquals(figures.limitRatio, 0.5);
  }
});

Deno.test("several runs give the median of each figure, and the ratios one by one", () => {
  const record = benchRecord(reportOf(load, [runOf(4), runOf(1), runOf(2)]));
  assertEquals(record.runs, 3);
  assertEquals(record.messagesPerSecond, 500);
  assertEquals(record.limitRatio, 0.5);
  assertEquals(record.limitRatioOfRuns, [0.25, 1, 0.5]);
  assertEquals(record.limitP50RatioOfRuns, [4, 1, 2]);
  assertEquals(record.limitP99RatioOfRuns, [8, 2, 4]);
  assertEquals(record.limitCpuRatioOfRuns, [2, 2, 2]);
  assertEquals(record.messagesPerSecondOfRuns, [250, 1_000, 500]);
  assertEquals(record.p50Ms, 0.02);
});

Deno.test("a check that failed in one of several runs has failed", () => {
  const { check } = reportOf(load, [runOf(1), runOf(1, { lost: 3, ok: false }), runOf(1)]);
  assertEquals(check, { ...verdictTimes(3), lost: 3, ok: false });
});

function verdictTimes(times: number): CheckVerdict {
  return Object.fromEntries(
    Object.entries(verdict).map(([name, count]) => [name, Number(count) * times]),
  ) as unknown as CheckVerdict;
}

Deno.test("median() takes the middle, or the mean of the two in the middle", () => {
  assertEquals(median([5]), 5);
  assertEquals(median([9, 1, 5]), 5);
  assertEquals(median([4, 1, 2, 100]), 3);
});

Deno.test("gaps are reported by the kind of fault, with the nearest rank", () => {
  const ms = Array.from({ length: 150 }, (_, i) => i + 1);
  const failover = workloadNamed("failover").defaults;
  const gaps = new Map([["kill-leader", ms], ["pause", []]] as const);
  const record = benchRecord(
    reportOf(failover, [{ ...runOf(1), measurement: { messages: 1_000, seconds: 1, gaps } }]),
  );
  assertEquals(record.gaps, {
    "kill-leader": { count: 150, medianMs: 75.5, p99Ms: 149, maxMs: 150 },
    pause: { count: 0, medianMs: 0, p99Ms: 0, maxMs: 0 },
  });
});

Deno.test("benchTables() shows rates, latencies and what the check found", () => {
  const paint = paintFor(false);
  const text = benchTables([reportOf(load, [runOf(2), runOf(2)])], paint).join("\n");
  assertMatch(
    text,
    /^workload +size +clients +batch +messages\/s .* bare pipeline +ratio +ratio of/,
  );
  assertMatch(text, /^publish +256 B +1 +1 +500 .* 1,000 +50 % +50 %, 50 % +250\.0 s +2\.00 ×$/m);
  assertMatch(text, /^publish +confirmed +0\.02 ms .* 2\.00 × +4\.00 ×$/m);
  assertMatch(text, /^ok {2}publish.* 200 acked, 0 lost, .* 4 redelivered \(kill-leader 2 ×\)$/m);
  const bad = benchTables([reportOf(load, [runOf(2, { reordered: 1, ok: false })])], paint);
  assertMatch(bad.at(-1)!, /^FAILED .* 1 reordered/);
});

Deno.test("every workload says what it sends, in a load that carries its name", () => {
  for (const { name, defaults } of workloads) {
    assertEquals(defaults.workload, name);
    const { messages, durationMs, faults } = defaults;
    assert(messages + durationMs + faults > 0, `${name} has no end`);
  }
});
