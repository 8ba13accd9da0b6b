/**
 * What is done with the history of a partition.
 *
 * @module
 */

import type { ReplayCommand, Reply } from "./commands.ts";
import { isIntegerIn } from "./limits.ts";
import { partitionNotFound, refused } from "./replies.ts";
import type { ShardTables } from "./shard_tables.ts";

/**
 * Puts acked messages back.
 *
 * @param tables The state of the shard.
 * @param command The command.
 * @returns How many messages come back, or why not.
 */
export function replay(tables: ShardTables, command: ReplayCommand): Reply {
  const { partitionId, sinceMs, untilIndex } = command;
  const partition = tables.partitions.get(partitionId);
  if (partition === undefined) return partitionNotFound(partitionId);
  if (
    !isIntegerIn(sinceMs, 0, Number.MAX_SAFE_INTEGER) ||
    !isIntegerIn(untilIndex, 0, Number.MAX_SAFE_INTEGER)
  ) {
    return refused("invalidArgument", "A replay command has a number out of range");
  }
  const { history, identity: { queueName, settings } } = partition;
  if (history === undefined || settings.historyMs === 0) {
    return refused(
      "noHistory",
      `Queue "${queueName}" keeps no history: what is acked while its historyMs is over 0 can be ` +
        "brought back",
    );
  }
  if (history.replaying >= tables.limits.replaying) {
    return refused(
      "overloaded",
      `${history.replaying} messages of queue "${queueName}" are being brought back already`,
    );
  }
  const count = history.replay(sinceMs, untilIndex);
  tables.touch(partition);
  return { kind: "replayed", count };
}
