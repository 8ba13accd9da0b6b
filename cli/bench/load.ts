/**
 * What `flowmq bench` is asked to send, and how.
 *
 * @module
 */

import { formatBytes, formatMany, formatMs } from "../format.ts";

/** One measurement. Which of these a workload looks at, its own file says. */
export interface BenchLoad {
  /** The name of the workload. */
  readonly workload: string;
  /** Bytes a body. */
  readonly size: number;
  /** Connections that publish. */
  readonly clients: number;
  /** Connections that consume; 0 where the workload does not. */
  readonly consumers: number;
  /** Messages of one `publishBatch()`, and at most of a consumed batch; 1 stands for one by one. */
  readonly batch: number;
  /** Messages of one connection that are not confirmed yet. */
  readonly window: number;
  /** Messages a second, of all connections together; 0 stands for as many as go. */
  readonly rate: number;
  /** All messages of the measurement; 0 stands for as many as fit into the time. */
  readonly messages: number;
  /** How long messages are published; 0 stands for as long as the messages take. */
  readonly durationMs: number;
  /** Queues that the messages are spread over. */
  readonly queues: number;
  /** Partitions of each queue. */
  readonly partitions: number;
  /** Messages that one consumer holds of a queue. */
  readonly prefetch: number;
  /** How often the failover workload does harm. */
  readonly faults: number;
}

/** The parts that a flag can set. */
export type LoadKey = Exclude<keyof BenchLoad, "workload">;

/** What workloads start from. */
export const commonLoad = {
  size: 256,
  clients: 1,
  consumers: 0,
  batch: 1,
  window: 1_000,
  rate: 0,
  messages: 0,
  durationMs: 0,
  queues: 1,
  partitions: 1,
  prefetch: 1_000,
  faults: 0,
};

/** By then the compilers of all processes have seen what is hot, and have little left to do. */
const warmUpMsMax = 3_000;

/**
 * The load that warms a measurement up.
 *
 * @param load What is measured.
 * @returns The same, for three seconds at most.
 */
export function warmUpLoad(load: BenchLoad): BenchLoad {
  return { ...load, durationMs: Math.min(warmUpMsMax, load.durationMs || Infinity) };
}

/**
 * Describes a load in a few words.
 *
 * @param load What is sent.
 * @returns For example `publish, 256 B, 4 clients, batches of 32`.
 */
export function describeLoad(load: BenchLoad): string {
  const parts = [load.workload, formatBytes(load.size), formatMany(load.clients, "client")];
  if (load.consumers > 0) parts.push(formatMany(load.consumers, "consumer"));
  if (load.queues > 1) parts.push(formatMany(load.queues, "queue"));
  if (load.rate > 0) parts.push(`${formatMany(load.rate, "message")}/s`);
  else if (load.batch > 1) parts.push(`batches of ${load.batch}`);
  else parts.push(`${load.window} under way`);
  if (load.durationMs > 0) parts.push(formatMs(load.durationMs));
  return parts.join(", ");
}
