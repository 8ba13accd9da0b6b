/**
 * What a leader does with a message of its own term.
 *
 * @module
 */

import type { Core } from "./core.ts";
import { invariant, unreachable } from "./invariant.ts";
import type { AppendResponse, HeartbeatResponse, Message } from "./messages.ts";
import type { Progress } from "./progress.ts";
import { takeProposal } from "./proposals.ts";
import { confirmReads, requestRead } from "./reads.ts";
import { advanceCommit, markDue } from "./replication.ts";
import { sendTimeoutNow, startTransfer } from "./transfer.ts";

/**
 * Takes a message.
 *
 * @param core The leader.
 * @param message Of this node's term, and not a request for a vote.
 */
export function stepLeader(core: Core, message: Message): void {
  switch (message.kind) {
    case "appendResponse": {
      const progress = core.progress.get(message.from);
      if (progress !== undefined) handleAppendResponse(core, progress, message);
      return;
    }
    case "heartbeatResponse": {
      const progress = core.progress.get(message.from);
      if (progress !== undefined) handleHeartbeatResponse(core, progress, message);
      return;
    }
    case "forwardProposal":
      takeProposal(core, message.entries);
      return;
    case "readIndexRequest":
      if (core.reads.size < core.settings.pendingReadsMax) {
        requestRead(core, message.from, message.context);
      }
      return;
    case "transferRequest":
      startTransfer(core, message.transferee);
      return;
    case "appendRequest":
    case "heartbeat":
    case "installSnapshot":
      invariant(false, `one leader for each term: ${core.id} and ${message.from} in ${core.term}`);
      return;
    case "timeoutNow":
    case "voteResponse":
    case "preVoteResponse":
    case "readIndexResponse":
      return;
    case "voteRequest":
    case "preVoteRequest":
      return;
    default:
      unreachable(message, "message");
  }
}

function handleAppendResponse(core: Core, progress: Progress, message: AppendResponse): void {
  progress.recentlyActive = true;
  if (message.rejected) {
    handleRejection(core, progress, message);
    return;
  }
  invariant(
    message.index <= core.log.lastIndex,
    () => `followers hold what was sent: index ${message.index}, last ${core.log.lastIndex}`,
  );
  const news = progress.acknowledge(message.index);
  if (!news && !(progress.state === "probe" && progress.matchIndex === message.index)) return;
  if (progress.state === "probe") {
    progress.becomeReplicate();
  } else if (progress.state === "snapshot") {
    // Back in touch with the log: by the snapshot, or by appends that overtook it.
    if (progress.matchIndex + 1 >= core.log.firstIndex) {
      progress.becomeProbe();
      progress.becomeReplicate();
    }
  } else {
    progress.inflight.freeTo(message.index);
    progress.paused = progress.inflight.full;
  }
  // This follower has room for more in any case.
  advanceCommit(core);
  markDue(core, progress, false);
  if (message.from === core.transferee && progress.matchIndex === core.log.lastIndex) {
    sendTimeoutNow(core);
  }
}

function handleRejection(core: Core, progress: Progress, message: AppendResponse): void {
  let agreeing = message.hintIndex;
  if (message.hintTerm > 0) {
    agreeing = core.log.lastAgreeing(message.hintIndex, message.hintTerm).index;
  }
  if (!progress.reject(message.index, agreeing)) return;
  if (progress.state === "replicate") progress.becomeProbe();
  markDue(core, progress, true);
}

function handleHeartbeatResponse(core: Core, progress: Progress, message: HeartbeatResponse): void {
  progress.recentlyActive = true;
  // A probe, or everything in a full window, may have been lost: an append, be it empty, finds out.
  progress.paused = false;
  if (progress.matchIndex < core.log.lastIndex || progress.state === "probe") {
    markDue(core, progress, true);
  }
  if (message.round > progress.ackedRound) {
    progress.ackedRound = message.round;
    if (core.reads.size > 0 || core.settings.readMode === "lease") confirmReads(core);
  }
}
