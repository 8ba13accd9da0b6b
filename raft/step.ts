/**
 * The door for messages: terms are settled first, then the role decides (Raft paper, section 5.1).
 *
 * @module
 */

import type { Core } from "./core.ts";
import { answerVote, respondPreVote } from "./elections.ts";
import { invariant } from "./invariant.ts";
import type { Message } from "./messages.ts";
import { stepCandidate } from "./step_candidate.ts";
import { stepFollower } from "./step_follower.ts";
import { stepLeader } from "./step_leader.ts";
import { becomeFollower } from "./transitions.ts";

/**
 * Takes a message from another node.
 *
 * @param core The node.
 * @param message The message.
 */
export function step(core: Core, message: Message): void {
  invariant(message.to === core.id, () => `a message for ${message.to} is not for ${core.id}`);
  if (message.kind === "forwardProposal" || message.kind === "readIndexRequest") {
    // A request on behalf of a client is of no term: whoever leads now may serve it.
    return stepRole(core, message);
  }
  if (message.term > core.term) {
    if (!settleHigherTerm(core, message)) return;
  } else if (message.term < core.term) {
    return answerLowerTerm(core, message);
  }
  if (message.kind === "voteRequest" || message.kind === "preVoteRequest") {
    answerVote(core, message);
  } else {
    stepRole(core, message);
  }
}

function stepRole(core: Core, message: Message): void {
  if (core.role === "follower") stepFollower(core, message);
  else if (core.role === "leader") stepLeader(core, message);
  else stepCandidate(core, message);
}

/** Moves to a higher term where the message calls for it; says whether the message still counts. */
function settleHigherTerm(core: Core, message: Message): boolean {
  switch (message.kind) {
    case "voteRequest":
      // A node that was removed, or cut off, must not depose a leader that serves the others.
      if (core.settings.checkQuorum && core.hearsLeader && !message.leaderTransfer) return false;
      becomeFollower(core, message.term, 0);
      return true;
    case "preVoteRequest":
      return !(core.settings.checkQuorum && core.hearsLeader);
    case "preVoteResponse":
      // Granted, it is of the term that this node would campaign in.
      if (!message.granted) becomeFollower(core, message.term, 0);
      return true;
    case "appendRequest":
    case "heartbeat":
    case "installSnapshot":
      becomeFollower(core, message.term, message.from);
      return true;
    default:
      becomeFollower(core, message.term, 0);
      return true;
  }
}

/** Most messages of an earlier term are ignored; some senders have to learn that it is over. */
function answerLowerTerm(core: Core, message: Message): void {
  if (message.kind === "preVoteRequest") {
    respondPreVote(core, message, false);
  } else if (message.kind === "heartbeat" || message.kind === "appendRequest") {
    // Where no vote requests carry terms around, a leader of an earlier term could wait for ever for
    // a node of a later one: this answer ends its leadership.
    const { preVote, checkQuorum } = core.settings;
    if (preVote || checkQuorum || !core.promotable) core.acknowledge(message.from, 0);
  }
}
