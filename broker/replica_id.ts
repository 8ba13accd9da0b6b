/**
 * The identity of a replica: one life of one shard on one node.
 *
 * Raft trusts a voter to remember its votes and what it acknowledged. A disk that was wiped, rolled back
 * or damaged has forgotten, so what is on it must never speak under its old name. Therefore Raft knows
 * replicas, not nodes: the replicas that a cluster was founded with are named by the number of their
 * node, and one that takes the place of a lost one gets a later **generation**. It comes in as a learner
 * and gets a vote by a change of members, which a majority without the lost one must agree to.
 *
 * A replica id is `generation * 4096 + node`. A generation is the time of its making, in milliseconds
 * since 2026, or one more than the newest one known, whichever is greater; 0 for the founding ones.
 *
 * @module
 */

import type { NodeId } from "../raft/mod.ts";

/** Names a replica in Raft: a positive safe integer. */
export type ReplicaId = number;

/** The highest number a node can have. */
export const NODE_ID_MAX = 4_095;

const GENERATION_UNIT = NODE_ID_MAX + 1;
const EPOCH_MS = Date.UTC(2026, 0, 1);

/** The node of a replica; 0 for none. */
export function nodeOf(replica: ReplicaId): NodeId {
  return replica % GENERATION_UNIT;
}

/**
 * Names a new replica.
 *
 * @param node Its node.
 * @param nowMs The wall clock, in milliseconds since 1970.
 * @param after A replica of that node that the new one must come after; 0 for none.
 * @returns Its id.
 */
export function newReplica(node: NodeId, nowMs: number, after: ReplicaId = 0): ReplicaId {
  const newest = Math.floor(after / GENERATION_UNIT);
  const generation = Math.max(1, Math.floor(nowMs - EPOCH_MS), newest + 1);
  return generation * GENERATION_UNIT + node;
}
