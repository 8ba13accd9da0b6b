/**
 * What a leader does for a replica that has come in place of a lost one: takes it in as a learner, and
 * once that has caught up gives it the vote of the one before.
 *
 * The new replica asks again and again, and each time the leader does the next thing that is due, by
 * looking at the configuration alone. So nothing has to be remembered, and it does not matter how often
 * the leader changes in between. The swap of votes is one joint change: at no time has the lost replica
 * left the quorum before the new one is in it.
 *
 * @module
 */

import { type ConfigChangeStep, type Configuration, isJoint, members } from "../raft/mod.ts";
import type { Raft } from "../raft/mod.ts";
import { nodeOf, type ReplicaId } from "./replica_id.ts";

/** A learner that lacks no more entries than this has caught up: it takes part in what is new. */
const CAUGHT_UP_ENTRIES = 1_024;

/** A replica that goes on although a later one of its node is known: its disk was rolled back. */
export class StaleReplicaError extends Error {
  override readonly name = "StaleReplicaError";

  /**
   * @param replica The replica.
   * @param later The one that took its place.
   */
  constructor(replica: ReplicaId, later: ReplicaId) {
    super(`Replica ${replica} was replaced by ${later}: the disk of this node was rolled back`);
  }
}

/** What was done for a replica that asked. */
export type Admission =
  /** It became a learner, or is about to. */
  | { readonly kind: "learner" }
  /** It gets its vote, and the replicas before it go. */
  | { readonly kind: "voter" }
  /** Nothing to do, or not now: it will ask again. */
  | { readonly kind: "ignored" };

/**
 * Does the next thing for a replica without a vote.
 *
 * @param raft The core, which leads.
 * @param replica The replica that asks.
 * @returns What was proposed.
 */
export function admitReplica(raft: Raft, replica: ReplicaId): Admission {
  const { configuration } = raft;
  if (configuration.voters.includes(replica) || isJoint(configuration)) return { kind: "ignored" };
  if (!configuration.learners.includes(replica)) {
    const steps: ConfigChangeStep[] = earlierReplicas(configuration.learners, replica)
      .map((node) => ({ kind: "remove", node }));
    steps.push({ kind: "addLearner", node: replica });
    return propose(raft, steps, "learner");
  }
  const { progress, commitIndex } = raft.status();
  const learner = progress.find(({ id }) => id === replica);
  const hasCaughtUp = learner?.state === "replicate" &&
    learner.matchIndex + CAUGHT_UP_ENTRIES >= commitIndex;
  if (!hasCaughtUp) return { kind: "ignored" };
  const steps: ConfigChangeStep[] = earlierReplicas(members(configuration), replica)
    .map((node) => ({ kind: "remove", node }));
  steps.push({ kind: "addVoter", node: replica });
  return propose(raft, steps, "voter");
}

function propose(
  raft: Raft,
  steps: readonly ConfigChangeStep[],
  kind: "learner" | "voter",
): Admission {
  const { kind: result } = raft.proposeConfigChange({ steps, transition: "auto" });
  return { kind: result === "accepted" ? kind : "ignored" };
}

/** The other replicas of a replica's node. */
function earlierReplicas(ids: readonly ReplicaId[], replica: ReplicaId): ReplicaId[] {
  return ids.filter((id) => id !== replica && nodeOf(id) === nodeOf(replica));
}

/**
 * Finds the replica that has taken another one's place.
 *
 * @param configuration Any configuration.
 * @param replica A replica.
 * @returns A member of the same node that was made later; 0 if there is none.
 */
export function laterReplica(configuration: Configuration, replica: ReplicaId): ReplicaId {
  return Math.max(
    0,
    ...earlierReplicas(members(configuration), replica).filter((id) => id > replica),
  );
}
