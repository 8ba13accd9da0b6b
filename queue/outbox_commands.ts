/**
 * What moves messages between queues, exactly once: an ack that publishes, transfers that arrive, and
 * word that they have. How it fits together is told in `outbox.ts`.
 *
 * @module
 */

import {
  type CommandMeta,
  type Reply,
  type SettleAndPublishCommand,
  SettleOperation,
  SettleStatus,
  type TransferCommand,
  type TransferDoneCommand,
} from "./commands.ts";
import { COMMAND_BOUNDS, isIntegerIn } from "./limits.ts";
import { queueNameProblem } from "./queue_name.ts";
import { queueFull } from "./partition_commands.ts";
import { OK, partitionNotFound, refused, sessionNotFound } from "./replies.ts";
import { QUEUE_SETTINGS } from "./settings.ts";
import type { ShardTables } from "./shard_tables.ts";

/**
 * Acks messages and publishes others, all or nothing: nothing where one of the leases is lost.
 *
 * The leases are what makes it happen once: who repeats the command does not hold them any more. That
 * it was done is known by its sequence number, until the client has got the answer.
 *
 * @param tables The state of the shard.
 * @param meta The command's place in the log.
 * @param command The command.
 * @returns A status for each offset, or why not.
 */
export function settleAndPublish(
  tables: ShardTables,
  meta: CommandMeta,
  command: SettleAndPublishCommand,
): Reply {
  const { sessionId, consumerId, partitionId, offsets, deliveryCounts, targets } = command;
  const session = tables.sessions.get(sessionId);
  if (session === undefined) return sessionNotFound(sessionId);
  const problem = problemOf(command);
  if (problem !== undefined) return refused("invalidArgument", problem);
  const { settles } = session;
  settles.answeredBelow(command.answeredBelow);
  const statuses = new Uint8Array(offsets.length);
  if (settles.has(command.sequence)) return { kind: "settled", statuses };
  const partition = tables.partitions.get(partitionId);
  if (partition === undefined) return partitionNotFound(partitionId);
  const consumer = session.consumer(consumerId, partitionId);
  let isLost = consumer === undefined;
  for (let at = 0; at < offsets.length; at++) {
    const isHeld = consumer !== undefined &&
      partition.isHeld(consumer, offsets[at]!, deliveryCounts[at]!);
    statuses[at] = isHeld ? SettleStatus.notDone : SettleStatus.leaseLost;
    isLost ||= !isHeld;
  }
  if (isLost) return { kind: "settled", statuses };
  const { outbox } = tables;
  if (outbox.room < targets.length) {
    return refused(
      "overloaded",
      `The outbox of shard ${tables.shard} has no room for ${targets.length} messages: ` +
        `${outbox.size} wait in it`,
    );
  }
  targets.forEach((target, position) => outbox.post(target, meta.index, position));
  settles.add(command.sequence);
  tables.touch(partition);
  return {
    kind: "settled",
    statuses: partition.settle(
      consumer,
      { operation: SettleOperation.ack, offsets, deliveryCounts },
      tables.nowMs,
    ),
  };
}

/**
 * Takes in messages from the outbox of a shard, those that are not here yet.
 *
 * @param tables The state of the shard.
 * @param meta The command's place in the log.
 * @param command The command.
 * @returns How far this partition has come, or why not.
 */
export function transfer(tables: ShardTables, meta: CommandMeta, command: TransferCommand): Reply {
  const { partitionId, sourceShard, firstId, lastId, count, bytes, details } = command;
  if (
    !isIntegerIn(count, 1, COMMAND_BOUNDS.batchCountMax) ||
    !isIntegerIn(bytes, 0, Number.MAX_SAFE_INTEGER) ||
    !isIntegerIn(lastId - firstId, count - 1, Number.MAX_SAFE_INTEGER)
  ) {
    return refused("invalidArgument", "A transfer command has a number out of range");
  }
  const partition = tables.partitions.get(partitionId);
  if (partition === undefined) return partitionNotFound(partitionId);
  const takenId = tables.transferMarks.get(partitionId, sourceShard);
  // Where only some are new nothing is stored: the keeper learns which, and sends those.
  if (firstId <= takenId) return { kind: "transferred", takenId };
  if (partition.isFull) return queueFull(partition.identity);
  const { index, term } = meta;
  const firstOffset = partition.publish(count, bytes, index, term, details, tables.nowMs);
  tables.transferMarks.set(partitionId, sourceShard, lastId);
  tables.touch(partition);
  return { kind: "transferred", takenId: lastId, firstOffset };
}

/**
 * Takes transfers that have arrived out of the outbox.
 *
 * @param tables The state of the shard.
 * @param command The command.
 * @returns `ok`.
 */
export function transferDone(tables: ShardTables, command: TransferDoneCommand): Reply {
  for (const id of command.ids) tables.outbox.done(id);
  return OK;
}

function problemOf(command: SettleAndPublishCommand): string | undefined {
  const { offsets, deliveryCounts, targets, sequence, answeredBelow } = command;
  const { settleCountMax, settlePublishCountMax, settlesUnansweredMax } = COMMAND_BOUNDS;
  if (
    !isIntegerIn(offsets.length, 1, settleCountMax) || offsets.length !== deliveryCounts.length ||
    offsets.some((offset, at) => at > 0 && offset <= offsets[at - 1]!)
  ) {
    return "An ack that publishes must name messages in the order of their offsets, each once";
  }
  if (!isIntegerIn(targets.length, 1, settlePublishCountMax)) {
    return `An ack may publish 1 to ${settlePublishCountMax} messages: ` +
      `current value is ${targets.length}`;
  }
  if (!isIntegerIn(sequence - answeredBelow, 0, settlesUnansweredMax - 1)) {
    return `An ack that publishes has the sequence ${sequence}, and must have one of the ` +
      `${settlesUnansweredMax} from ${answeredBelow}`;
  }
  for (const { queue, partition } of targets) {
    const problem = queueNameProblem(queue);
    if (problem !== undefined) return problem;
    if (!isIntegerIn(partition, 0, QUEUE_SETTINGS.partitions.max - 1)) {
      return `A queue has no partition ${partition}`;
    }
  }
  return undefined;
}
