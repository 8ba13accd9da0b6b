/**
 * One run of a workload: a fresh cluster where none was named, a warm-up, the measurement, and the
 * bare pipeline with the same load.
 *
 * @module
 */

import { waitForLeader } from "../cluster_view.ts";
import { CommandError } from "../failures.ts";
import { LocalCluster } from "../local_cluster.ts";
import { processesListeningOn } from "../local_processes.ts";
import { Arena } from "./arena.ts";
import { Checker, type CheckVerdict } from "./checker.ts";
import type { FaultKind } from "./faults.ts";
import { type BenchLoad, warmUpLoad } from "./load.ts";
import type { NodesUsage } from "./node_meter.ts";
import { Pipeline, type PipelineResult } from "./pipeline.ts";
import type { Measurement, Workload } from "./workload.ts";

/** What is wanted of every run. */
export interface RunPlan {
  /** The cluster that is measured; `undefined` stands for a temporary one. */
  readonly servers: readonly string[] | undefined;
  /** Of the temporary cluster. */
  readonly nodes: number;
  readonly shards: number;
  readonly check: boolean;
  /** Faults in the middle of the measurement; empty where there shall be none. */
  readonly faultKinds: readonly FaultKind[];
  /** How long a client tries to connect, and how long a request may take. */
  readonly timeoutMs: number;
  /** Whether the bare pipeline is measured as well. */
  readonly limit: boolean;
  /** Hears of each part of the work as it begins. `done` tells how many messages are. */
  onStage(stage: string, done: () => number): void;
  /** Stops everything. */
  readonly signal: AbortSignal;
}

/** What one run brought. */
export interface RunResult {
  readonly measurement: Measurement;
  /** What the nodes used, where they can be seen. */
  readonly usage: NodesUsage | undefined;
  /** Faults in the middle of it. */
  readonly faults: Partial<Record<FaultKind, number>>;
  readonly check: CheckVerdict | undefined;
  /** The bare pipeline's part. */
  readonly limit: PipelineResult | undefined;
}

/**
 * Measures a workload once.
 *
 * @param workload What.
 * @param load With which load.
 * @param plan Where, and what beside.
 * @returns All figures of the run.
 * @throws {CommandError} If there was nothing to measure.
 */
export async function runOnce(
  workload: Workload,
  load: BenchLoad,
  plan: RunPlan,
): Promise<RunResult> {
  const { warmUpMessages, ...result } = await measureCluster(workload, load, plan);
  const { messages } = result.measurement;
  if (messages === 0) {
    throw new CommandError(
      `nothing could be measured: no message of workload ${load.workload} was confirmed in time`,
    );
  }
  const compared = plan.limit && workload.noLimit === undefined;
  if (!compared) return { ...result, limit: undefined };
  return { ...result, limit: await measureLimit(load, { warmUpMessages, messages }, plan) };
}

async function measureCluster(
  workload: Workload,
  load: BenchLoad,
  plan: RunPlan,
): Promise<Omit<RunResult, "limit"> & { warmUpMessages: number }> {
  const { servers, nodes, shards, signal, check, timeoutMs } = plan;
  // Where the workload does harm and nobody says which, it is the crash of a leader.
  const isFaulty = workload.injectsFaults === true;
  const faultKinds = isFaulty && plan.faultKinds.length === 0
    ? ["kill-leader"] as const
    : plan.faultKinds;
  plan.onStage("starting", () => 0);
  await using stack = new AsyncDisposableStack();
  const cluster = servers === undefined
    ? stack.use(await LocalCluster.start({ nodes, serveArguments: [`--shards=${shards}`] }))
    : undefined;
  const unseen = { servers: servers ?? cluster!.servers, cluster, timeoutMs, signal };
  const survey = new Arena({ ...unseen, pids: () => [], faultKinds: [] });
  const pids =
    await (cluster === undefined ? findNodes(survey) : electAll(survey, cluster, shards));
  const at = { ...unseen, pids };
  let warmUpMessages = 0;
  if (workload.warmUp) {
    await using arena = new Arena({ ...at, faultKinds: [] });
    plan.onStage("warming up", () => arena.done);
    warmUpMessages = (await workload.run(arena, warmUpLoad(load))).messages;
  }
  const checker = check ? new Checker(load.clients) : undefined;
  await using arena = new Arena({ ...at, checker, faultKinds });
  plan.onStage("measuring", () => arena.done);
  const measurement = await workload.run(arena, load);
  const wanted = faultKinds.length > 0 && !isFaulty;
  if (wanted && Object.keys(arena.faults).length === 0) {
    throw new CommandError(
      "no fault could be done: the messages were all through before the first one; ask for more " +
        "with --messages or --duration",
    );
  }
  const { usage, faults } = arena;
  return { warmUpMessages, measurement, usage, faults, check: checker?.verdict() };
}

/** Elections are no part of a measurement. @returns Tells the processes of the nodes. */
async function electAll(
  arena: Arena,
  cluster: LocalCluster,
  shards: number,
): Promise<() => (number | undefined)[]> {
  await using _ = arena;
  const watcher = await arena.connect("watcher");
  for (let shard = 0; shard < shards; shard++) {
    await waitForLeader(watcher, arena.servers, shard, arena.signal);
  }
  return () => cluster.nodes.map((node) => node.pid);
}

/** Looks for the nodes of somebody's cluster on this machine. @returns Tells their processes. */
async function findNodes(arena: Arena): Promise<() => number[]> {
  await using _ = arena;
  const { nodes } = await (await arena.connect("watcher")).metadata();
  const addresses = nodes.flatMap(({ address }) => address ?? []);
  // The use of some of the nodes would be taken for that of all.
  const pids = addresses.length < nodes.length ? [] : processesListeningOn(addresses) ?? [];
  return () => pids;
}

/** The bare pipeline with as many messages to warm up and to measure, its processes fresh for each. */
async function measureLimit(
  load: BenchLoad,
  { warmUpMessages, messages }: { warmUpMessages: number; messages: number },
  plan: RunPlan,
): Promise<PipelineResult> {
  await using pipeline = await Pipeline.start();
  plan.onStage("bare pipeline", () => 0);
  const { promise: interrupted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(plan.signal.reason);
  plan.signal.addEventListener("abort", onAbort, { once: true });
  try {
    await Promise.race([pipeline.measure({ ...load, messages: warmUpMessages }), interrupted]);
    return await Promise.race([pipeline.measure({ ...load, messages }), interrupted]);
  } finally {
    plan.signal.removeEventListener("abort", onAbort);
  }
}
