/**
 * The broker: a node of the cluster, made of consensus, queues and storage.
 *
 * @module
 */

export { ReplicaLostError, startNode } from "./node.ts";
export type { RunningNode } from "./node.ts";
export {
  checkConfig,
  clusterIdOf,
  type ClusterMember,
  DEFAULT_LIMITS,
  DEFAULT_TIMINGS,
  type NodeConfig,
  type RaftTimings,
  type ShardLimits,
  SHARDS_MAX,
} from "./config.ts";
export {
  type Address,
  formatAddress,
  type Listener,
  type NodeRuntime,
  parseAddress,
} from "./runtime.ts";
export { denoNodeRuntime } from "./deno_runtime.ts";
export { ListenError } from "./listen_error.ts";
export { type LogFields, type Logger, silentLogger } from "./logger.ts";
export type { ShardObserver } from "./observer.ts";
export { NODE_ID_MAX, nodeOf } from "./replica_id.ts";
export { RaftTrace, type WriteLine } from "./raft_trace.ts";
export type { Shard } from "./shard.ts";
export { version } from "./version.ts";
