/**
 * Handing leadership over (thesis, section 3.10): the leader stops taking proposals, brings the
 * target up to date, and tells it to campaign at once. If nothing has come of it after an election
 * time-out, the leader goes on.
 *
 * @module
 */

import type { Core } from "./core.ts";
import { invariant } from "./invariant.ts";
import { isVoter } from "./membership.ts";
import { markDue } from "./replication.ts";
import type { NodeId } from "./types.ts";

/**
 * Begins to hand leadership over; an attempt for another target ends.
 *
 * @param core The leader.
 * @param to The target.
 * @returns Why not, or `undefined` if it has begun.
 */
export function startTransfer(core: Core, to: NodeId): "notVoter" | "alreadyLeader" | undefined {
  if (to === core.id) return "alreadyLeader";
  if (!isVoter(core.configuration, to)) return "notVoter";
  if (core.transferee === to) return undefined;
  const progress = core.progress.get(to);
  invariant(progress !== undefined, "every voter has a progress");
  core.transferee = to;
  core.electionElapsed = 0;
  if (progress.matchIndex === core.log.lastIndex) sendTimeoutNow(core);
  else markDue(core, progress, true);
  return undefined;
}

/**
 * Tells the target to campaign.
 *
 * @param core The leader.
 */
export function sendTimeoutNow(core: Core): void {
  // However late it arrives, voters will follow it: no lease holds in this term any more.
  core.leaseBroken = true;
  core.send({ kind: "timeoutNow", from: core.id, to: core.transferee, term: core.term });
}
