/**
 * The leader's side of the log: its own entries, what goes to whom, and what is committed.
 *
 * Nothing is sent the moment there is something to send. Followers are marked as `due`, and when the
 * next ready is made, each gets everything that has come up since the last one: entries and commit
 * index travel together, and a burst of proposals becomes one append.
 *
 * @module
 */

import type { Core } from "./core.ts";
import { isVoter } from "./membership.ts";
import type { Progress } from "./progress.ts";
import { quorumIndex, quorumVote } from "./quorum.ts";
import { confirmReads, registerPostponedReads } from "./reads.ts";
import type { Entry, EntryKind, NodeId } from "./types.ts";

/**
 * Appends the leader's own entries and marks every follower as due.
 *
 * @param core The leader.
 * @param kind What the entries are.
 * @param data One entry each.
 * @returns The index of the first one.
 */
export function appendOwn(core: Core, kind: EntryKind, data: readonly Uint8Array[]): number {
  const firstIndex = core.log.lastIndex + 1;
  const entries: Entry[] = new Array(data.length);
  for (let i = 0; i < data.length; i++) {
    entries[i] = { index: firstIndex + i, term: core.term, kind, data: data[i]! };
  }
  core.log.append(entries);
  markAllDue(core, false);
  return firstIndex;
}

/**
 * Has something sent to a follower with the next ready, if it is not blocked then.
 *
 * @param core The leader.
 * @param progress The follower's.
 * @param evenIfEmpty Send an append even if it has no entries and no news of the commit index.
 */
export function markDue(core: Core, progress: Progress, evenIfEmpty: boolean): void {
  progress.due = true;
  if (evenIfEmpty) progress.dueEvenIfEmpty = true;
  core.sendsDue = true;
}

/**
 * Marks every follower as due.
 *
 * @param core The leader.
 * @param evenIfEmpty As for `markDue`.
 */
export function markAllDue(core: Core, evenIfEmpty: boolean): void {
  for (const [id, progress] of core.progress) {
    if (id !== core.id) markDue(core, progress, evenIfEmpty);
  }
}

/**
 * Makes the messages for all followers that are due.
 *
 * @param core The leader.
 */
export function flushSends(core: Core): void {
  if (core.heartbeatDue) broadcastHeartbeat(core);
  if (!core.sendsDue) return;
  core.sendsDue = false;
  for (const [id, progress] of core.progress) {
    if (!progress.due) continue;
    let evenIfEmpty = progress.dueEvenIfEmpty;
    progress.due = false;
    progress.dueEvenIfEmpty = false;
    while (trySend(core, id, progress, evenIfEmpty)) evenIfEmpty = false;
  }
  core.commitNewsDue = false;
}

/**
 * Has the followers told what is committed that they do not know, even where there is nothing else to
 * tell them.
 *
 * @param core The leader.
 */
export function tellCommit(core: Core): void {
  core.commitNewsDue = true;
  for (const [id, progress] of core.progress) {
    if (id !== core.id && progress.lacksCommit(core.log.commitIndex)) {
      markDue(core, progress, false);
    }
  }
}

/** Sends one append or a snapshot; says whether there was something to send. */
function trySend(core: Core, to: NodeId, progress: Progress, evenIfEmpty: boolean): boolean {
  if (progress.blocked) return false;
  const { log } = core;
  const { nextIndex } = progress;
  const commit = log.commitIndex;
  const ahead = nextIndex <= log.lastIndex;
  const mayCarry = ahead && !(progress.state === "replicate" && progress.inflight.full);
  const mayTell = core.commitNewsDue || core.settings.commitNews === "atOnce";
  const isNews = mayTell && progress.lacksCommit(commit);
  if (!mayCarry && !evenIfEmpty && !isNews) return false;
  const previousIndex = nextIndex - 1;
  const previousTerm = log.term(previousIndex);
  if (previousTerm === undefined || nextIndex < log.firstIndex) {
    return sendSnapshot(core, to, progress);
  }
  let bytesMax = core.settings.appendBytesMax;
  if (progress.state === "probe") {
    // The first guess is often wrong: what it carries is then sent for nothing.
    bytesMax = Math.min(bytesMax, PROBE_BYTES_MAX);
  }
  const entries = mayCarry ? log.slice(nextIndex, log.lastIndex + 1, bytesMax) : [];
  let bytes = 0;
  for (let i = 0; i < entries.length; i++) bytes += entries[i]!.data.byteLength;
  core.send({
    kind: "appendRequest",
    from: core.id,
    to,
    term: core.term,
    previousIndex,
    previousTerm,
    commit,
    entries,
  });
  progress.sent(entries.length, bytes, commit);
  return true;
}

const PROBE_BYTES_MAX = 64 * 1024;

function sendSnapshot(core: Core, to: NodeId, progress: Progress): boolean {
  // A follower that is away would only block the snapshot's transport.
  if (!progress.recentlyActive) return false;
  const snapshot = core.settings.storage.snapshot();
  // The shell has dropped log before its snapshot was in place: the follower has to wait.
  if (snapshot === undefined || snapshot.metadata.index < progress.matchIndex) return false;
  progress.becomeSnapshot(snapshot.metadata.index);
  core.send({ kind: "installSnapshot", from: core.id, to, term: core.term, snapshot });
  return true;
}

/**
 * Tells every member that the leader is alive, and opens a new round of confirmation.
 *
 * @param core The leader.
 */
export function broadcastHeartbeat(core: Core): void {
  core.heartbeatDue = false;
  core.heartbeatElapsed = 0;
  const round = ++core.heartbeatRound;
  core.reads.roundSent(round, core.ticks);
  const commit = core.log.commitIndex;
  for (const [to, progress] of core.progress) {
    if (to === core.id) continue;
    // A follower cannot commit what it is not known to hold.
    const known = Math.min(progress.matchIndex, commit);
    core.send({ kind: "heartbeat", from: core.id, to, term: core.term, commit: known, round });
    if (known > progress.sentCommit) progress.sentCommit = known;
  }
}

/**
 * Commits what a quorum holds, if it is of the leader's own term (Raft paper, section 5.4.2).
 *
 * @param core The leader.
 * @returns Whether the commit index moved.
 */
export function advanceCommit(core: Core): boolean {
  const { log } = core;
  const index = quorumIndex(core.configuration, core.matchOf);
  // Everything from the leader's first entry on is of its term.
  if (index <= log.commitIndex || index < core.termFirstIndex) return false;
  const established = core.termCommitted;
  log.commitTo(index);
  if (core.settings.commitNews === "atOnce") markAllDue(core, false);
  if (!established) registerPostponedReads(core);
  return true;
}

/**
 * Counts what is durable on the leader's own disk.
 *
 * @param core The leader.
 */
export function acknowledgeOwn(core: Core): void {
  const own = core.progress.get(core.id);
  if (own !== undefined && own.acknowledge(core.log.durableIndex)) advanceCommit(core);
}

/**
 * Whether a quorum was heard from since the last check; starts the next one.
 *
 * @param core The leader.
 * @returns Whether the leader may go on.
 */
export function quorumActive(core: Core): boolean {
  const heard = new Map<NodeId, boolean>();
  for (const [id, progress] of core.progress) {
    if (!isVoter(core.configuration, id)) continue;
    heard.set(id, id === core.id || progress.recentlyActive);
  }
  for (const [id, progress] of core.progress) progress.recentlyActive = id === core.id;
  return quorumVote(core.configuration, heard) === "won";
}

/**
 * After a change of members: commits what the new quorum already holds, and feeds newcomers.
 *
 * @param core The leader.
 */
export function adaptToMembers(core: Core): void {
  if (!advanceCommit(core)) markAllDue(core, false);
  confirmReads(core);
}
