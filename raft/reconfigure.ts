/**
 * Changes of members, as they are applied.
 *
 * A configuration takes effect when its entry is applied, on each node for itself. That is safe
 * because a change is committed under the configuration before it, because a leader appends the next
 * one only after it has applied the one before, and because a node that holds a committed change
 * which it has not yet applied does not campaign. After a crash a node may have forgotten what was
 * committed; but a change in its log proves that the one before it was.
 *
 * So that nobody is left behind in a configuration whose members are gone, the commit index is made
 * durable with each change, and voters tell candidates what they know to be committed.
 *
 * @module
 */

import type { Core } from "./core.ts";
import {
  changedConfiguration,
  decodeConfigChange,
  encodeConfigChange,
  isJoint,
  isVoter,
  LEAVE_JOINT,
  members,
} from "./membership.ts";
import { adaptToMembers, appendOwn, markAllDue } from "./replication.ts";
import { becomeFollower } from "./transitions.ts";
import { type Configuration, type Entry, EntryKind } from "./types.ts";

/**
 * Applies a committed change.
 *
 * @param core Any node.
 * @param entry The entry that holds the change.
 */
export function applyChange(core: Core, entry: Entry): void {
  const change = decodeConfigChange(entry.data);
  core.appliedChangeIndex = entry.index;
  switchConfiguration(core, changedConfiguration(core.configuration, change));
}

/**
 * Leaves a joint configuration, when that is the leader's to do and its time has come.
 *
 * @param core Any node.
 */
export function leaveJointIfDue(core: Core): void {
  const { configuration } = core;
  if (core.role !== "leader" || !isJoint(configuration) || !configuration.autoLeave) return;
  if (core.log.appliedIndex < Math.max(core.pendingChangeIndex, core.termFirstIndex)) return;
  core.pendingChangeIndex = appendOwn(core, EntryKind.configChange, [
    encodeConfigChange(LEAVE_JOINT),
  ]);
}

function switchConfiguration(core: Core, configuration: Configuration): void {
  const before = core.progress;
  core.configuration = configuration;
  core.voting = isVoter(configuration, core.id);
  core.progress = new Map();
  for (const id of members(configuration)) {
    // A newcomer counts as heard from, so that the next quorum check does not hold its silence
    // against the leader.
    core.progress.set(id, before.get(id) ?? core.newProgress(true));
  }
  if (core.role !== "leader") {
    // It steps down as soon as it has applied this: no need to wait until its silence is noticed.
    if (core.leader !== 0 && !isVoter(configuration, core.leader)) core.leader = 0;
    return;
  }
  if (!core.voting) {
    // The last word to the others is that the change is committed: they elect one of theirs.
    markAllDue(core, false);
    becomeFollower(core, core.term, 0);
    return;
  }
  adaptToMembers(core);
  if (core.transferee !== 0 && !isVoter(configuration, core.transferee)) core.transferee = 0;
}
