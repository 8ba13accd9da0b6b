/**
 * `flowmq bench`: how fast a cluster is.
 *
 * @module
 */

import { SHARDS_MAX } from "../../broker/config.ts";
import { type BenchLoad, defaultLoads, describeLoad, suite, workloads } from "../bench_load.ts";
import { Pipeline } from "../bench_pipeline.ts";
import { benchRecord, type BenchReport, benchTable } from "../bench_report.ts";
import { type BenchContext, measure, warmUpMessages } from "../bench_run.ts";
import { defineCommand } from "../command.ts";
import { clientFlags, jsonFlag } from "../common_flags.ts";
import { ExitCode } from "../exit_codes.ts";
import { UsageError } from "../failures.ts";
import { choiceFlag, type FlagValues, integerFlag, sizeFlag, switchFlag } from "../flags.ts";
import { formatCount } from "../format.ts";
import { LocalCluster } from "../local_cluster.ts";
import { type ProcessUsage, processUsage } from "../process_usage.ts";
import { ProgressLine } from "../progress.ts";
import type { Terminal } from "../terminal.ts";

const positive = { minimum: 1, maximum: 1_000_000_000 };

const flags = {
  workload: choiceFlag([...workloads, "all"], {
    help:
      "publish: as fast as it goes. latency: one message at a time. publish-consume: publish, " +
      "deliver and ack.",
    default: "all",
  }),
  nodes: integerFlag({
    help: "Nodes of the temporary cluster that is measured where no --server is given.",
    minimum: 1,
    maximum: 9,
    default: 3,
  }),
  shards: integerFlag({
    help: "Raft groups of the temporary cluster.",
    minimum: 1,
    maximum: SHARDS_MAX,
    default: 1,
  }),
  size: sizeFlag({ help: "Bytes a message.", default: "256", minimum: 0, maximum: 1 << 20 }),
  clients: integerFlag({ help: "Connections that publish.", ...positive, maximum: 1_000 }),
  consumers: integerFlag({ help: "Connections that consume.", ...positive, maximum: 1_000 }),
  batch: integerFlag({
    help: "Messages of one publishBatch(); 1 calls publish() for each.",
    ...positive,
    maximum: 65_536,
  }),
  window: integerFlag({ help: "Messages of one connection that are not confirmed.", ...positive }),
  messages: integerFlag({ help: "Messages to measure, after a warm-up.", ...positive }),
  partitions: integerFlag({
    help: "Partitions of the queue.",
    ...positive,
    maximum: 65_536,
    default: 1,
  }),
  prefetch: integerFlag({
    help: "Messages one consumer holds of a partition.",
    ...positive,
    maximum: 65_536,
  }),
  limit: switchFlag({
    help: "Measure the bare pipeline too, in the same run, and show the ratio: what writing, " +
      "syncing and sending cost with no queue at all.",
  }),
  ...clientFlags,
  json: jsonFlag,
};

/** What the flags ask for. */
function loadsOf(
  values: FlagValues<typeof flags>,
  given: ReadonlySet<keyof typeof flags>,
): BenchLoad[] {
  const { workload, size, partitions } = values;
  const special = ["clients", "consumers", "batch", "window", "messages", "prefetch"] as const;
  if (workload === "all") {
    const flag = special.find((key) => given.has(key));
    if (flag !== undefined) {
      throw new UsageError(`--${flag} needs a workload: ${workloads.join(", ")} (--workload)`);
    }
    return suite.map((load) => ({ ...load, size, partitions }));
  }
  const load: Record<string, unknown> = { ...defaultLoads[workload], size, partitions };
  for (const key of special) {
    const value = values[key];
    if (value === undefined) continue;
    if (workload === "latency" && key !== "messages") {
      throw new UsageError(`--${key} does not go with --workload latency: it sends one at a time`);
    }
    if (workload === "publish" && (key === "consumers" || key === "prefetch")) {
      throw new UsageError(`--${key} needs --workload publish-consume`);
    }
    load[key] = value;
  }
  return [load as unknown as BenchLoad];
}

/** What the nodes used between two moments. */
function usageBetween(
  before: ProcessUsage | undefined,
  after: ProcessUsage | undefined,
): ProcessUsage | undefined {
  if (before === undefined || after === undefined) return undefined;
  return {
    cpuSeconds: after.cpuSeconds - before.cpuSeconds,
    memoryBytes: after.memoryBytes,
  };
}

/** The bare pipeline with the same load and the same warm-up, its processes fresh for each. */
async function measureLimit(load: BenchLoad): Promise<NonNullable<BenchReport["limit"]>> {
  await using pipeline = await Pipeline.start();
  await pipeline.measure({ ...load, messages: warmUpMessages(load.messages) });
  return await pipeline.measure(load);
}

async function measureAll(
  loads: readonly BenchLoad[],
  servers: readonly string[],
  pids: readonly number[],
  limit: boolean,
  terminal: Terminal,
): Promise<BenchReport[]> {
  const reports: BenchReport[] = [];
  for (const load of loads) {
    using progress = new ProgressLine(terminal.stderr);
    let before: ProcessUsage | undefined;
    const context: BenchContext = {
      servers,
      signal: terminal.interrupted,
      onMeasuring() {
        before = pids.length === 0 ? undefined : processUsage(pids);
      },
      onProgress(done) {
        progress.update(() =>
          `${describeLoad(load)}: ${formatCount(done)} of ${formatCount(load.messages)}`
        );
      },
    };
    const result = await measure(context, load);
    const after = pids.length === 0 ? undefined : processUsage(pids);
    reports.push({
      load,
      result,
      usage: usageBetween(before, after),
      limit: limit ? await measureLimit(load) : undefined,
    });
  }
  return reports;
}

/** `flowmq bench`. */
export const bench = defineCommand({
  name: "bench",
  summary: "Measure a cluster: throughput, latency, and how far from the machine's limit",
  synonyms: ["benchmark", "perf"],
  description: [
    "Without --server a temporary cluster on this machine is measured. Every message is confirmed by " +
    "a majority of the disks, as always. Latency is from the call to its confirmation, with " +
    "publish-consume from the call to the delivery.",
    "Figures of one run vary, most of all on a machine that does other work: compare ratios of one " +
    "run (--limit), and take the middle of several.",
  ],
  positionals: [],
  flags,
  examples: [
    { command: "flowmq bench", note: "All workloads on three nodes." },
    {
      command: "flowmq bench --workload publish --clients 4 --batch 32 --messages 300000 --limit",
      note: "One workload, beside the bare pipeline.",
    },
    { command: "flowmq bench -s 10.0.0.1:7400 --json", note: "Your own cluster, for a program." },
  ],

  async run({ flags: values, given }, terminal): Promise<ExitCode> {
    const loads = loadsOf(values, given);
    await using stack = new AsyncDisposableStack();
    let servers = values.server;
    let pids: number[] = [];
    if (!given.has("server")) {
      const cluster = stack.use(
        await LocalCluster.start({
          nodes: values.nodes,
          serveArguments: [`--shards=${values.shards}`],
        }),
      );
      servers = cluster.servers;
      pids = cluster.nodes.flatMap((node) => node.pid ?? []);
    }
    const reports = await measureAll(loads, servers, pids, values.limit, terminal);
    const lines = values.json
      ? reports.map((report) => JSON.stringify(benchRecord(report)))
      : benchTable(reports, terminal.stdout.paint);
    terminal.stdout.text(lines.join("\n") + "\n");
    return ExitCode.ok;
  },
});
