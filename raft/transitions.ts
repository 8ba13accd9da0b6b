/**
 * From role to role: what is forgotten, and what begins.
 *
 * @module
 */

import type { Core } from "./core.ts";
import { invariant } from "./invariant.ts";
import { appendOwn, flushSends } from "./replication.ts";
import { EntryKind, type NodeId } from "./types.ts";

/** Forgets what belonged to a role, and to a term if it is a new one. */
function reset(core: Core, term: number): void {
  invariant(term >= core.term, () => `terms never go back: ${core.term} to ${term}`);
  if (term !== core.term) {
    core.term = term;
    core.vote = 0;
  }
  core.leader = 0;
  core.electionElapsed = 0;
  core.heartbeatElapsed = 0;
  core.drawElectionTimeout();
  core.votes.clear();
  core.transferee = 0;
  core.leaseBroken = false;
  core.pendingChangeIndex = 0;
  core.termFirstIndex = 0;
  core.uncommittedBytes = 0;
  core.heartbeatRound = 0;
  core.heartbeatDue = false;
  core.sendsDue = false;
  core.commitNewsDue = false;
  core.reads.clear();
}

/**
 * Follows, in this term or a later one.
 *
 * @param core The node.
 * @param term The term.
 * @param leader Its leader, or 0 while unknown.
 */
export function becomeFollower(core: Core, term: number, leader: NodeId): void {
  // What the followers can still use, such as the commit index, goes out before the role ends.
  if (core.role === "leader" && term === core.term) {
    core.commitNewsDue = true;
    flushSends(core);
  }
  reset(core, term);
  core.role = "follower";
  core.leader = leader;
}

/**
 * Asks around whether a campaign would be won. Keeps term and vote.
 *
 * @param core The node.
 */
export function becomePreCandidate(core: Core): void {
  invariant(core.role !== "leader", "a leader does not campaign");
  core.role = "preCandidate";
  core.leader = 0;
  core.votes.clear();
}

/**
 * Campaigns in the next term. The node's own vote counts once it is durable.
 *
 * @param core The node.
 */
export function becomeCandidate(core: Core): void {
  invariant(core.role !== "leader", "a leader does not campaign");
  reset(core, core.term + 1);
  core.role = "candidate";
  core.vote = core.id;
}

/**
 * Leads: takes stock of every member and puts an empty entry of its own term into the log, without
 * which nothing of earlier terms can be committed (Raft paper, section 5.4.2).
 *
 * @param core The node.
 */
export function becomeLeader(core: Core): void {
  invariant(core.role === "candidate", "only a candidate becomes leader");
  reset(core, core.term);
  core.role = "leader";
  core.leader = core.id;
  const lastIndex = core.log.lastIndex;
  for (const id of core.progress.keys()) {
    const progress = core.newProgress(false);
    progress.nextIndex = lastIndex + 1;
    core.progress.set(id, progress);
  }
  const own = core.progress.get(core.id);
  invariant(own !== undefined, "a leader is a member");
  own.matchIndex = core.log.durableIndex;
  own.recentlyActive = true;
  // A change that is in the log, but not yet applied, may still take effect.
  core.pendingChangeIndex = lastIndex;
  core.termFirstIndex = lastIndex + 1;
  appendOwn(core, EntryKind.command, [new Uint8Array(0)]);
}
