/**
 * What a leader takes into its log.
 *
 * @module
 */

import type { Core } from "./core.ts";
import { isJoint, whyNot } from "./membership.ts";
import { decodeConfigChange } from "./membership.ts";
import type { RefusalReason } from "./ready.ts";
import { appendOwn } from "./replication.ts";
import { type Entry, EntryKind } from "./types.ts";

/**
 * Says why a leader does not take commands now, and counts their bytes if it does.
 *
 * @param core The leader.
 * @param data The commands.
 * @returns The reason, or `undefined` if they may be appended.
 */
export function admit(core: Core, data: readonly Uint8Array[]): RefusalReason | undefined {
  if (core.transferee !== 0) return "transferring";
  let bytes = 0;
  for (let i = 0; i < data.length; i++) bytes += data[i]!.byteLength;
  const total = core.uncommittedBytes + bytes;
  if (core.uncommittedBytes > 0 && total > core.settings.uncommittedBytesMax) return "overloaded";
  core.uncommittedBytes = total;
  return undefined;
}

/**
 * Says why a leader does not take a membership change now.
 *
 * @param core The leader.
 * @param data The encoded change.
 * @returns The reason, or `undefined` if it may be appended.
 */
export function admitChange(core: Core, data: Uint8Array): RefusalReason | undefined {
  if (core.transferee !== 0) return "transferring";
  if (!core.termCommitted) return "termNotCommitted";
  if (core.log.appliedIndex < core.pendingChangeIndex) return "changePending";
  const change = decodeConfigChange(data);
  // The leader is about to leave by itself; a second entry to leave would find nothing to do.
  if (isJoint(core.configuration) && core.configuration.autoLeave) return "changePending";
  return whyNot(core.configuration, change);
}

/**
 * Takes proposals that a follower has passed on; those that do not fit now are dropped.
 *
 * @param core The leader.
 * @param entries Without positions, all of one kind.
 */
export function takeProposal(core: Core, entries: readonly Entry[]): void {
  const first = entries[0];
  if (first === undefined) return;
  if (first.kind === EntryKind.configChange) {
    if (entries.length === 1 && admitChange(core, first.data) === undefined) {
      core.pendingChangeIndex = appendOwn(core, first.kind, [first.data]);
    }
    return;
  }
  const data = entries.map((entry) => entry.data);
  if (admit(core, data) === undefined) appendOwn(core, EntryKind.command, data);
}
