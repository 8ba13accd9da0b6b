/**
 * `flowmq bench`: how fast a cluster is, and whether it keeps its promises meanwhile.
 *
 * @module
 */

import { benchFlags, type BenchFlagValues, loadsOf } from "../bench/bench_flags.ts";
import { LiveProgress } from "../bench/live_progress.ts";
import { type BenchLoad, describeLoad } from "../bench/load.ts";
import { benchRecord, type BenchReport, benchTables, reportOf } from "../bench/report.ts";
import { runOnce, type RunPlan, type RunResult } from "../bench/run.ts";
import { workloadNamed, workloads } from "../bench/workloads/mod.ts";
import { defineCommand } from "../command.ts";
import { ExitCode } from "../exit_codes.ts";
import type { Terminal } from "../terminal.ts";

/** Measures one load as often as it is wanted. */
async function measure(
  load: BenchLoad,
  plan: Omit<RunPlan, "onStage">,
  runs: number,
  terminal: Terminal,
): Promise<BenchReport> {
  using progress = new LiveProgress(terminal.stderr);
  const results: RunResult[] = [];
  for (let run = 1; run <= runs; run++) {
    const which = runs === 1 ? "" : ` (run ${run} of ${runs})`;
    const onStage = (stage: string, done: () => number): void =>
      progress.stage(`${describeLoad(load)}${which}, ${stage}`, done);
    results.push(await runOnce(workloadNamed(load.workload), load, { ...plan, onStage }));
  }
  return reportOf(load, results);
}

function planOf(
  values: BenchFlagValues,
  servers: readonly string[] | undefined,
  terminal: Terminal,
): Omit<RunPlan, "onStage"> {
  const { nodes, shards, check, limit, timeout } = values;
  return {
    servers,
    nodes,
    shards,
    check,
    limit,
    faultKinds: values.chaos,
    timeoutMs: timeout,
    signal: terminal.interrupted,
  };
}

/** `flowmq bench`. */
export const bench = defineCommand({
  name: "bench",
  summary: "Measure a cluster: throughput, latency, failover, beside the machine's limit",
  synonyms: ["benchmark", "perf"],
  description: [
    "Without --server a temporary cluster on this machine is measured, a fresh one for each run. " +
    "Every message is confirmed by a majority of the disks, as always.",
    "The workloads:\n" +
    workloads.map(({ name, summary }) => `${name}: ${summary}.`).join("\n"),
    "Figures of one run vary, most of all on a machine that does other work: compare ratios of one " +
    "run (--limit), and take the middle of several (--runs). docs/PERFORMANCE.md says how to read " +
    "them.",
  ],
  positionals: [],
  flags: benchFlags,
  examples: [
    { command: "flowmq bench", note: "All workloads on three nodes." },
    {
      command: "flowmq bench --workload publish --clients 4 --batch 32 --messages 300000 --limit",
      note: "One workload, beside the bare pipeline.",
    },
    {
      command: "flowmq bench --workload publish-consume --check --chaos kill-leader --duration 30s",
      note: "Kill the leader again and again, and check that nothing is lost.",
    },
    { command: "flowmq bench -s 10.0.0.1:7400 --json", note: "Your own cluster, for a program." },
  ],

  async run({ flags: values, given }, terminal): Promise<ExitCode> {
    const loads = loadsOf(values, given);
    const plan = planOf(values, given.has("server") ? values.server : undefined, terminal);
    const reports: BenchReport[] = [];
    try {
      for (const load of loads) {
        const report = await measure(load, plan, values.runs, terminal);
        reports.push(report);
        // A program may read each as soon as it is there.
        if (values.json) terminal.stdout.line(JSON.stringify(benchRecord(report)));
      }
    } finally {
      // Whatever stops the rest, what was measured is worth something.
      if (!values.json && reports.length > 0) {
        terminal.stdout.text(benchTables(reports, terminal.stdout.paint).join("\n") + "\n");
      }
    }
    const failed = reports.find(({ check }) => check?.ok === false);
    if (failed === undefined) return ExitCode.ok;
    terminal.stderr.line(`flowmq: the check of ${describeLoad(failed.load)} failed`);
    return ExitCode.failed;
  },
});
