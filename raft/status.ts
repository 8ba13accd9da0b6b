/**
 * A look at a node from outside.
 *
 * @module
 */

import type { Core } from "./core.ts";
import { isVoter } from "./membership.ts";
import type { ProgressStatus, RaftStatus } from "./ready.ts";

/**
 * Collects what a node knows.
 *
 * @param core The node.
 * @returns A copy that does not change any more.
 */
export function statusOf(core: Core): RaftStatus {
  const { log } = core;
  return {
    id: core.id,
    role: core.role,
    leader: core.leader,
    term: core.term,
    vote: core.vote,
    commitIndex: log.commitIndex,
    appliedIndex: log.appliedIndex,
    lastIndex: log.lastIndex,
    durableIndex: log.durableIndex,
    uncommittedBytes: core.uncommittedBytes,
    configuration: core.configuration,
    transferee: core.transferee,
    progress: core.role === "leader" ? progressOf(core) : [],
  };
}

function progressOf(core: Core): ProgressStatus[] {
  const others = [...core.progress].filter(([id]) => id !== core.id);
  return others.map(([id, progress]) => ({
    id,
    state: progress.state,
    matchIndex: progress.matchIndex,
    nextIndex: progress.nextIndex,
    learner: !isVoter(core.configuration, id),
    recentlyActive: progress.recentlyActive,
    inflightMessages: progress.inflight.count,
    inflightBytes: progress.inflight.bytes,
  }));
}
