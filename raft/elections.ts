/**
 * Campaigns and votes (Raft paper, sections 5.2 and 5.4.1; thesis, sections 4.2.3 and 9.6).
 *
 * A candidate asks for votes while its own is still on the way to its disk, but does not lead before
 * that has arrived: a candidate that led without it could, after a crash, campaign in the same term
 * again and write other entries at the same place.
 *
 * @module
 */

import type { Core } from "./core.ts";
import { isVoter } from "./membership.ts";
import type { PreVoteRequest, PreVoteResponse, VoteRequest, VoteResponse } from "./messages.ts";
import { quorumVote } from "./quorum.ts";
import {
  becomeCandidate,
  becomeFollower,
  becomeLeader,
  becomePreCandidate,
} from "./transitions.ts";

/**
 * Campaigns, if this node may.
 *
 * @param core The node.
 * @param leaderTransfer The leader asked for it: no pre-vote, and voters that hear it vote.
 */
export function campaign(core: Core, leaderTransfer: boolean): void {
  if (core.role === "leader" || !core.promotable) return;
  // With a membership change to apply, this node does not know whom to ask.
  if (core.log.hasUnappliedChange) return;
  if (core.settings.preVote && !leaderTransfer) {
    becomePreCandidate(core);
    askVoters(core, false);
    countVote(core, core.id, true);
  } else {
    becomeCandidate(core);
    askVoters(core, leaderTransfer);
  }
}

function askVoters(core: Core, leaderTransfer: boolean): void {
  const { lastIndex, lastTerm } = core.log;
  const from = core.id;
  for (const to of core.progress.keys()) {
    if (to === from || !isVoter(core.configuration, to)) continue;
    if (core.role === "preCandidate") {
      const term = core.term + 1;
      core.send({ kind: "preVoteRequest", from, to, term, lastIndex, lastTerm });
    } else {
      const term = core.term;
      core.send({ kind: "voteRequest", from, to, term, lastIndex, lastTerm, leaderTransfer });
    }
  }
}

/**
 * Counts an answer to this node's campaign, its own included.
 *
 * @param core A candidate or pre-candidate.
 * @param from Who answered.
 * @param granted The answer; the first of each node counts.
 */
export function countVote(core: Core, from: number, granted: boolean): void {
  if (!core.votes.has(from)) core.votes.set(from, granted);
  const result = quorumVote(core.configuration, core.votes);
  if (result === "lost") {
    becomeFollower(core, core.term, 0);
  } else if (result === "won" && core.votes.has(core.id)) {
    if (core.role === "preCandidate") {
      becomeCandidate(core);
      askVoters(core, false);
    } else {
      becomeLeader(core);
    }
  }
}

/**
 * Answers a request for a vote, in this node's term (or, for a pre-vote, in any).
 *
 * @param core The voter.
 * @param request The request.
 */
export function answerVote(core: Core, request: VoteRequest | PreVoteRequest): void {
  const free = core.vote === request.from ||
    (core.vote === 0 && core.leader === 0) ||
    (request.kind === "preVoteRequest" && request.term > core.term);
  const granted = free && core.log.isUpToDate(request.lastIndex, request.lastTerm);
  if (request.kind === "preVoteRequest") {
    respondPreVote(core, request, granted);
    return;
  }
  if (granted) {
    core.electionElapsed = 0;
    core.vote = request.from;
  }
  core.sendAfterPersist({
    kind: "voteResponse",
    from: core.id,
    to: request.from,
    term: core.term,
    granted,
    ...commitNews(core),
  });
}

function commitNews(core: Core): { commit: number; commitTerm: number } {
  const commit = core.log.commitIndex;
  return { commit, commitTerm: core.log.term(commit) ?? 0 };
}

/**
 * Takes what a voter knows to be committed, if this node holds the same entry.
 *
 * @param core The candidate, or a former one.
 * @param message The voter's answer.
 */
export function learnCommit(core: Core, message: VoteResponse | PreVoteResponse): void {
  const { commit = 0, commitTerm = 0 } = message;
  if (commitTerm === 0 || commit <= core.log.commitIndex) return;
  if (!core.log.matches(commit, commitTerm)) return;
  core.log.commitTo(commit);
  // Whom to ask for votes is known again once the change is applied.
  if (core.log.hasUnappliedChange && core.role !== "follower") becomeFollower(core, core.term, 0);
}

/**
 * Answers a pre-vote request.
 *
 * @param core The voter.
 * @param request The request.
 * @param granted The answer.
 */
export function respondPreVote(core: Core, request: PreVoteRequest, granted: boolean): void {
  core.sendAfterPersist({
    kind: "preVoteResponse",
    from: core.id,
    to: request.from,
    // A grant is for the asked term; a refusal tells the asker of this node's own.
    term: granted ? request.term : core.term,
    granted,
    ...commitNews(core),
  });
}
