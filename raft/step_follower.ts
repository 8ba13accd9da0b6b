/**
 * What a follower does with a message of its own term.
 *
 * @module
 */

import type { Core } from "./core.ts";
import { campaign, learnCommit } from "./elections.ts";
import { unreachable } from "./invariant.ts";
import type { AppendRequest, Heartbeat, InstallSnapshot, Message } from "./messages.ts";

/**
 * Takes a message.
 *
 * @param core The follower.
 * @param message Of this node's term, and not a request for a vote.
 */
export function stepFollower(core: Core, message: Message): void {
  switch (message.kind) {
    case "appendRequest":
      heard(core, message.from);
      return handleAppend(core, message);
    case "heartbeat":
      heard(core, message.from);
      return handleHeartbeat(core, message);
    case "installSnapshot":
      heard(core, message.from);
      return handleSnapshot(core, message);
    case "timeoutNow":
      return campaign(core, true);
    case "forwardProposal":
    case "readIndexRequest":
    case "transferRequest":
      // It was meant for the leader, and leadership has moved on since.
      if (core.leader === 0 || core.leader === message.from) return;
      return core.send({ ...message, to: core.leader });
    case "readIndexResponse":
      core.answerRead({ index: message.index, context: message.context });
      return;
    case "voteResponse":
    case "preVoteResponse":
      return learnCommit(core, message);
    case "appendResponse":
    case "heartbeatResponse":
      return;
    case "voteRequest":
    case "preVoteRequest":
      return;
    default:
      unreachable(message, "message");
  }
}

function heard(core: Core, leader: number): void {
  core.electionElapsed = 0;
  core.leader = leader;
}

/**
 * Takes the leader's entries (Raft paper, figure 2, AppendEntries).
 *
 * @param core The follower.
 * @param message The leader's message.
 */
export function handleAppend(core: Core, message: AppendRequest): void {
  const { log } = core;
  const { from, previousIndex, previousTerm, entries } = message;
  if (previousIndex < log.commitIndex) {
    // Old news: what is committed matches.
    core.acknowledge(from, log.commitIndex);
    return;
  }
  const lastIndex = log.tryAppend(previousIndex, previousTerm, entries);
  if (lastIndex !== undefined) {
    log.commitTo(Math.min(message.commit, lastIndex));
    core.acknowledge(from, lastIndex);
    return;
  }
  // With index and term of where this log may still agree, the leader skips all of its own entries
  // of later terms: a handful of rounds, however long the logs are.
  const hint = log.lastAgreeing(Math.min(previousIndex, log.lastIndex), previousTerm);
  core.sendAfterPersist({
    kind: "appendResponse",
    from: core.id,
    to: from,
    term: core.term,
    rejected: true,
    index: previousIndex,
    hintIndex: hint.index,
    hintTerm: hint.term,
  });
}

/**
 * Takes a sign of life.
 *
 * @param core The follower.
 * @param message The leader's message.
 */
export function handleHeartbeat(core: Core, message: Heartbeat): void {
  if (message.commit > core.log.lastIndex) {
    // It acknowledged that much in this term: its disk has forgotten, and this node cannot be trusted.
    core.lostIndex = message.commit;
    return;
  }
  core.log.commitTo(message.commit);
  core.send({
    kind: "heartbeatResponse",
    from: core.id,
    to: message.from,
    term: core.term,
    round: message.round,
  });
}

/**
 * Takes a snapshot that has arrived.
 *
 * @param core The follower.
 * @param message The leader's message.
 */
export function handleSnapshot(core: Core, message: InstallSnapshot): void {
  const { snapshot, from } = message;
  restore(core, snapshot);
  core.acknowledge(from, Math.max(core.log.commitIndex, 0));
}

function restore(core: Core, snapshot: InstallSnapshot["snapshot"]): void {
  const { index, term } = snapshot.metadata;
  const { log } = core;
  if (index <= log.commitIndex) return;
  // The snapshot may well be older than this node's membership, and not name it among the members.
  if (log.matches(index, term)) {
    // Everything the snapshot stands for is here.
    log.commitTo(index);
    return;
  }
  // The configuration goes with the applied index: it changes once the snapshot is durable.
  log.restore(snapshot);
}
