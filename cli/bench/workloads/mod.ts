/**
 * All workloads, in the order in which they are shown.
 *
 * @module
 */

import type { BenchLoad } from "../load.ts";
import type { Workload } from "../workload.ts";
import { drain } from "./drain.ts";
import { failover } from "./failover.ts";
import { fanIn } from "./fan_in.ts";
import { latency } from "./latency.ts";
import { latencyAtRate } from "./latency_at_rate.ts";
import { manyQueues } from "./many_queues.ts";
import { publish } from "./publish.ts";
import { publishConsume } from "./publish_consume.ts";

/** Everything that can be measured. */
export const workloads: readonly Workload[] = [
  publish,
  publishConsume,
  latency,
  latencyAtRate,
  fanIn,
  drain,
  manyQueues,
  failover,
];

/** What is measured where no workload is named. */
export const suite: readonly BenchLoad[] = [
  publish.defaults,
  { ...publish.defaults, clients: 4, batch: 32, window: 1_024, messages: 400_000 },
  publishConsume.defaults,
  latency.defaults,
  latencyAtRate.defaults,
  fanIn.defaults,
  drain.defaults,
  manyQueues.defaults,
  failover.defaults,
];

/**
 * Finds a workload.
 *
 * @param name One that is in the table.
 * @returns The workload.
 */
export function workloadNamed(name: string): Workload {
  return workloads.find((workload) => workload.name === name)!;
}
