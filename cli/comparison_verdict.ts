/**
 * What follows from the hashes of the replicas of a shard.
 *
 * @module
 */

import type { ReplicaHash } from "../mod.ts";

/**
 * - `same`: what most replicas have;
 * - `differs`: something else than most;
 * - `disputed`: replicas differ, and none of the states is that of most;
 * - `unknown`: the node did not say.
 */
export type Verdict = "same" | "differs" | "disputed" | "unknown";

/**
 * Judges the replicas of a shard.
 *
 * @param replicas All of them, whether they have answered or not.
 * @returns A verdict for each.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const replica = (nodeId: number, hash: string | undefined) =>
 *   ({ nodeId, hash, address: null, index: 7, problem: undefined });
 * assertEquals(verdictsOf([replica(1, "a"), replica(2, "b"), replica(3, "a")]), [
 *   "same", "differs", "same",
 * ]);
 * assertEquals(verdictsOf([replica(1, "a"), replica(2, "b"), replica(3, undefined)]), [
 *   "disputed", "disputed", "unknown",
 * ]);
 * ```
 */
export function verdictsOf(replicas: readonly ReplicaHash[]): Verdict[] {
  const counts = new Map<string, number>();
  for (const replica of replicas) {
    if (replica.hash === undefined) continue;
    counts.set(stateOf(replica), (counts.get(stateOf(replica)) ?? 0) + 1);
  }
  const isMost = (state: string): boolean =>
    counts.size === 1 || counts.get(state)! * 2 > replicas.length;
  const hasMost = [...counts.keys()].some(isMost);
  return replicas.map((replica) => {
    if (replica.hash === undefined) return "unknown";
    if (!hasMost) return "disputed";
    return isMost(stateOf(replica)) ? "same" : "differs";
  });
}

/** A hash says something only together with the place in the log that it is of. */
function stateOf({ hash, index }: ReplicaHash): string {
  return `${index} ${hash}`;
}
