/**
 * What a quorum agrees on: two pure functions over a set of voters, and the same over a joint
 * configuration, where both halves must agree.
 *
 * No voters at all agree to everything: that makes an ordinary configuration the special case of a
 * joint one whose outgoing half is empty.
 *
 * @module
 */

import type { Configuration, NodeId } from "./types.ts";

/** How a vote stands. */
export type VoteResult = "won" | "lost" | "pending";

/** Sorted in place, so that counting a quorum allocates nothing; grows to the widest configuration. */
let scratch = new Float64Array(8);

/**
 * The highest number that a majority has reached.
 *
 * @param voters Who counts.
 * @param reached What each voter has reached; 0 for a voter of whom nothing is known.
 * @returns The highest index that more than half of the voters have reached; `Infinity` for no voters.
 *
 * @example Two of three voters have index 7
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const match = new Map([[1, 9], [2, 7], [3, 4]]);
 * assertEquals(majorityIndex([1, 2, 3], (id) => match.get(id) ?? 0), 7);
 * ```
 */
export function majorityIndex(
  voters: readonly NodeId[],
  reached: (id: NodeId) => number,
): number {
  const count = voters.length;
  if (count === 0) return Infinity;
  if (count > scratch.length) scratch = new Float64Array(count * 2);
  for (let i = 0; i < count; i++) {
    const value = reached(voters[i]!);
    let at = i;
    for (; at > 0 && scratch[at - 1]! > value; at--) scratch[at] = scratch[at - 1]!;
    scratch[at] = value;
  }
  // Ascending: the entries from here on are a majority, and this is the lowest of them.
  return scratch[count - (count >> 1) - 1]!;
}

/**
 * The highest number that a majority of each half of a configuration has reached.
 *
 * @param configuration Who counts.
 * @param reached What each voter has reached.
 * @returns The index that the configuration agrees on.
 */
export function quorumIndex(
  configuration: Configuration,
  reached: (id: NodeId) => number,
): number {
  const incoming = majorityIndex(configuration.voters, reached);
  if (configuration.votersOutgoing.length === 0) return incoming;
  return Math.min(incoming, majorityIndex(configuration.votersOutgoing, reached));
}

/**
 * How a vote stands among a set of voters.
 *
 * @param voters Who counts.
 * @param votes The answers so far; others are ignored.
 * @returns `won` when a majority says yes, `lost` when none can any more, else `pending`.
 */
export function majorityVote(
  voters: readonly NodeId[],
  votes: ReadonlyMap<NodeId, boolean>,
): VoteResult {
  if (voters.length === 0) return "won";
  let granted = 0;
  let missing = 0;
  for (const id of voters) {
    const vote = votes.get(id);
    if (vote === undefined) missing++;
    else if (vote) granted++;
  }
  const majority = (voters.length >> 1) + 1;
  if (granted >= majority) return "won";
  return granted + missing >= majority ? "pending" : "lost";
}

/**
 * How a vote stands in a configuration: won only if won in both halves, lost as soon as lost in one.
 *
 * @param configuration Who counts.
 * @param votes The answers so far.
 * @returns The state of the vote.
 */
export function quorumVote(
  configuration: Configuration,
  votes: ReadonlyMap<NodeId, boolean>,
): VoteResult {
  const incoming = majorityVote(configuration.voters, votes);
  const outgoing = majorityVote(configuration.votersOutgoing, votes);
  if (incoming === outgoing) return incoming;
  return incoming === "lost" || outgoing === "lost" ? "lost" : "pending";
}
