/**
 * What a candidate or pre-candidate does with a message of its own term.
 *
 * @module
 */

import type { Core } from "./core.ts";
import { countVote, learnCommit } from "./elections.ts";
import { unreachable } from "./invariant.ts";
import type { Message } from "./messages.ts";
import { stepFollower } from "./step_follower.ts";
import { becomeFollower } from "./transitions.ts";

/**
 * Takes a message.
 *
 * @param core The candidate or pre-candidate.
 * @param message Of this node's term, and not a request for a vote.
 */
export function stepCandidate(core: Core, message: Message): void {
  switch (message.kind) {
    case "appendRequest":
    case "heartbeat":
    case "installSnapshot":
      // Somebody else leads this term.
      becomeFollower(core, core.term, message.from);
      return stepFollower(core, message);
    case "voteResponse":
      learnCommit(core, message);
      if (core.role === "candidate") countVote(core, message.from, message.granted);
      return;
    case "preVoteResponse":
      learnCommit(core, message);
      // A grant for an earlier pre-vote may come late.
      if (core.role !== "preCandidate") return;
      if (message.granted && message.term !== core.term + 1) return;
      countVote(core, message.from, message.granted);
      return;
    case "timeoutNow":
    case "appendResponse":
    case "heartbeatResponse":
    case "forwardProposal":
    case "readIndexRequest":
    case "readIndexResponse":
    case "transferRequest":
      return;
    case "voteRequest":
    case "preVoteRequest":
      return;
    default:
      unreachable(message, "message");
  }
}
