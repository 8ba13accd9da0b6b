/**
 * What `flowmq bench` sends, and how.
 *
 * @module
 */

/** The kinds of work that can be measured. */
export const workloads = ["publish", "latency", "publish-consume"] as const;
export type Workload = (typeof workloads)[number];

/** One measurement. */
export interface BenchLoad {
  readonly workload: Workload;
  /** Bytes a body. */
  readonly size: number;
  /** Connections that publish. */
  readonly clients: number;
  /** Connections that consume; 0 where the workload does not. */
  readonly consumers: number;
  /** Messages of one `publishBatch()`; 1 stands for `publish()`. */
  readonly batch: number;
  /** Messages of one connection that are not confirmed yet. */
  readonly window: number;
  /** All messages of the measurement. */
  readonly messages: number;
  /** Partitions of the queue. */
  readonly partitions: number;
  /** Messages that one consumer holds of a partition. */
  readonly prefetch: number;
}

const common = { size: 256, partitions: 1, prefetch: 1_000, consumers: 0 };

/** What each workload sends where nothing else is asked for. */
export const defaultLoads: Readonly<Record<Workload, BenchLoad>> = {
  publish: {
    ...common,
    workload: "publish",
    clients: 1,
    batch: 1,
    window: 1_000,
    messages: 100_000,
  },
  latency: { ...common, workload: "latency", clients: 1, batch: 1, window: 1, messages: 2_000 },
  "publish-consume": {
    ...common,
    workload: "publish-consume",
    clients: 4,
    consumers: 4,
    batch: 32,
    window: 1_024,
    messages: 200_000,
  },
};

/** What is measured where no workload is named. */
export const suite: readonly BenchLoad[] = [
  defaultLoads.publish,
  { ...defaultLoads.publish, clients: 4, batch: 32, window: 1_024, messages: 400_000 },
  defaultLoads.latency,
  defaultLoads["publish-consume"],
];

/**
 * Describes a load in a few words.
 *
 * @param load What is sent.
 * @returns For example `publish, 256 B, 4 clients, batches of 32`.
 */
export function describeLoad(load: BenchLoad): string {
  const parts = [load.workload, `${load.size} B`];
  if (load.workload !== "latency") {
    parts.push(load.clients === 1 ? "1 client" : `${load.clients} clients`);
    if (load.consumers > 0) {
      parts.push(load.consumers === 1 ? "1 consumer" : `${load.consumers} consumers`);
    }
    parts.push(load.batch === 1 ? `${load.window} under way` : `batches of ${load.batch}`);
  }
  return parts.join(", ");
}
