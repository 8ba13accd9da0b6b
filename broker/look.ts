/**
 * Answers what clients ask about what is in a queue.
 *
 * @module
 */

import type { LookReply, LookRequest } from "../wire/mod.ts";
import type { Clock } from "../client/runtime.ts";
import { inspectPartition, messageHistory } from "./inspect.ts";
import type { LocalShard } from "./local_shard.ts";
import { findMessage, peek } from "./peek.ts";

/**
 * Answers one request.
 *
 * @param local The shard that was asked, which is led here and known to be current.
 * @param request The request.
 * @param clock The time, and turns for others.
 * @returns The answer, or `undefined` where the partition is not there.
 */
export async function look(
  local: LocalShard,
  request: LookRequest,
  clock: Clock,
): Promise<LookReply | undefined> {
  const nowMs = Math.floor(clock.now());
  switch (request.kind) {
    case "peek": {
      const page = await peek(local, request, clock);
      return page && { kind: "peekReply", ...page };
    }
    case "findMessage": {
      const found = findMessage(local, request.partitionId, request.offset, nowMs);
      return found && { kind: "findMessageReply", ...found };
    }
    case "messageHistory": {
      const found = messageHistory(local, request.partitionId, request.offset, nowMs);
      return found && { kind: "messageHistoryReply", ...found };
    }
    case "inspect": {
      const inspections = request.partitionIds.map((id) => inspectPartition(local, id));
      const partitions = inspections.filter((one) => one !== undefined);
      const index = local.shard.machine.appliedIndex;
      return { kind: "inspectReply", nowMs, index, partitions };
    }
  }
}
