/**
 * What happens to partitions: they come and go, messages are published to them and settled.
 *
 * @module
 */

import type {
  CommandMeta,
  CreatePartitionCommand,
  PartitionIdentity,
  PublishCommand,
  PublishDetails,
  RemoveMessageCommand,
  Reply,
  SettleCommand,
  UpdatePartitionCommand,
} from "./commands.ts";
import { unreachable } from "./invariant.ts";
import { COMMAND_BOUNDS, isIntegerIn } from "./limits.ts";
import { Partition } from "./partition.ts";
import type { RememberedBatch } from "./producer_window.ts";
import { limitReached, OK, partitionNotFound, refused, sessionNotFound } from "./replies.ts";
import { MESSAGE_TIME_MS_MAX, queueSettings, queueSettingsProblem } from "./settings.ts";
import type { ShardTables } from "./shard_tables.ts";

/**
 * Publishes a batch, once: a repeat gets the first answer.
 *
 * @param tables The state of the shard.
 * @param meta The command's place in the log.
 * @param command The command.
 * @returns The receipt, or why not.
 */
export function publish(tables: ShardTables, meta: CommandMeta, command: PublishCommand): Reply {
  const { sessionId, partitionId, baseSequence, count, bytes, details } = command;
  if (tables.sessions.get(sessionId) === undefined) return sessionNotFound(sessionId);
  if (
    !isIntegerIn(count, 1, COMMAND_BOUNDS.batchCountMax) ||
    !isIntegerIn(baseSequence, 0, Number.MAX_SAFE_INTEGER - count) ||
    !isIntegerIn(bytes, 0, Number.MAX_SAFE_INTEGER)
  ) {
    return refused("invalidArgument", "A publish command has a number out of range");
  }
  // Its id is never used again, so the answer stays the same without being remembered.
  if (tables.tombstones.has(partitionId)) return partitionNotFound(partitionId);
  const partition = tables.partitions.get(partitionId);
  let window = tables.publishers.window(sessionId, partitionId);
  if (window === undefined) {
    // Where nothing can be stored any sequence may be the first: all of it is refused anyway.
    if (partition !== undefined && baseSequence > 0) return sequenceGap(baseSequence, 0);
    window = tables.publishers.open(sessionId, partitionId, baseSequence);
    if (window === undefined) {
      return limitReached("partitions a session publishes to", tables.limits.producersPerSession);
    }
  }
  const verdict = window.judge(baseSequence, count);
  switch (verdict.kind) {
    case "next":
      break;
    case "repeat":
      return repeated(verdict.answer, count, partitionId);
    case "gap":
      return sequenceGap(baseSequence, window.nextSequence);
    case "tooOld":
      return refused(
        "sequenceTooOld",
        `The batch at sequence ${baseSequence} is older than the window remembers`,
      );
    case "mismatch":
      return refused(
        "invalidArgument",
        `The batch at sequence ${baseSequence} overlaps another one published before`,
      );
    default:
      unreachable(verdict);
  }
  if (partition === undefined) {
    window.recordRefused(count, "partitionNotFound");
    return partitionNotFound(partitionId);
  }
  // In what follows its numbers are not used: the same batch may come again, or its messages elsewhere.
  const problem = misplaced(partition, command);
  if (problem !== undefined) return problem;
  if (partition.isFull) return queueFull(partition.identity);
  const { index, term, timestampMs: publishedAtMs } = meta;
  const firstOffset = partition.publish(
    count,
    bytes,
    index,
    term,
    details,
    tables.nowMs,
    sessionId,
  );
  const { repeats } = partition;
  window.recordPublished(count, firstOffset, index, term, publishedAtMs, repeats);
  tables.touch(partition);
  const duplicate = false;
  return repeats === undefined
    ? { kind: "published", firstOffset, count, index, term, publishedAtMs, duplicate }
    : { kind: "published", firstOffset, count, index, term, publishedAtMs, duplicate, repeats };
}

/**
 * Acks, returns, extends or rejects deliveries.
 *
 * @param tables The state of the shard.
 * @param command The command.
 * @returns A status for each offset, or why not.
 */
export function settle(tables: ShardTables, command: SettleCommand): Reply {
  const { sessionId, consumerId, partitionId, operation, offsets, deliveryCounts, delayMs = 0 } =
    command;
  const session = tables.sessions.get(sessionId);
  if (session === undefined) return sessionNotFound(sessionId);
  if (
    offsets.length > COMMAND_BOUNDS.settleCountMax || offsets.length !== deliveryCounts.length ||
    !isIntegerIn(operation, 0, 3) || !isIntegerIn(delayMs, 0, MESSAGE_TIME_MS_MAX)
  ) {
    return refused("invalidArgument", "A settle command is not well-formed");
  }
  const partition = tables.partitions.get(partitionId);
  if (partition === undefined) return partitionNotFound(partitionId);
  // A consumer that is gone holds nothing, but its repeated acks still get the right answer.
  const consumer = session.consumer(consumerId, partitionId);
  const statuses = partition.settle(consumer, command, tables.nowMs);
  tables.touch(partition);
  return { kind: "settled", statuses };
}

/**
 * Takes one message out of a partition, if nobody holds it.
 *
 * @param tables The state of the shard.
 * @param command The command.
 * @returns `ok`, or why not.
 */
export function removeMessage(tables: ShardTables, command: RemoveMessageCommand): Reply {
  const { partitionId, offset } = command;
  const partition = tables.partitions.get(partitionId);
  if (partition === undefined) return partitionNotFound(partitionId);
  const { queueName, number } = partition.identity;
  const { nextOffset } = partition;
  const id = `${queueName}/${number}/${offset}`;
  if (!isIntegerIn(offset, 0, nextOffset - 1)) {
    return refused(
      "messageNotFound",
      `There is no message ${id}: the next one that is published gets offset ${nextOffset}`,
    );
  }
  if (partition.isLeased(offset)) {
    return refused(
      "messageLeased",
      `Message ${id} is with a consumer: it can be removed when it has come back`,
    );
  }
  if (!partition.removeMessage(offset)) {
    return refused("messageGone", `Message ${id} is gone: acked, or come to another end`);
  }
  tables.touch(partition);
  return OK;
}

/**
 * Lets a partition live here.
 *
 * @param tables The state of the shard.
 * @param command The command.
 * @returns `ok`, or why not.
 */
export function createPartition(tables: ShardTables, command: CreatePartitionCommand): Reply {
  const { partitionId, queueId, queueName, partitionNumber, settings } = command;
  const { revision = 0, paused = false, growingFrom } = command;
  const growth = growingFrom === undefined ? {} : { growingFrom };
  if (!isIntegerIn(partitionId, 1, COMMAND_BOUNDS.u32Max)) return badPartitionId(partitionId);
  if (tables.tombstones.has(partitionId)) return partitionNotFound(partitionId);
  // An earlier creation may have been of an older revision.
  if (tables.partitions.has(partitionId)) {
    return updatePartition(tables, {
      kind: "updatePartition",
      partitionId,
      revision,
      settings,
      paused,
      ...growth,
    });
  }
  const problem = queueSettingsProblem(settings);
  if (problem !== undefined) return refused("settingsInvalid", problem);
  const { partitionsPerShard } = tables.limits;
  if (tables.partitions.size >= partitionsPerShard) {
    return limitReached("partitions of a shard", partitionsPerShard);
  }
  tables.addPartition(
    new Partition(
      {
        id: partitionId,
        queueId,
        queueName,
        number: partitionNumber,
        settings: queueSettings(settings),
        paused,
        revision,
        ...growth,
      },
      tables.outbox,
      tables,
    ),
  );
  return OK;
}

/**
 * Tells a partition what its queue is like now.
 *
 * @param tables The state of the shard.
 * @param command The command.
 * @returns `ok`, or why not.
 */
export function updatePartition(tables: ShardTables, command: UpdatePartitionCommand): Reply {
  const { partitionId, revision, paused, growingFrom } = command;
  const partition = tables.partitions.get(partitionId);
  if (partition === undefined) return partitionNotFound(partitionId);
  const problem = queueSettingsProblem(command.settings);
  if (problem !== undefined) return refused("settingsInvalid", problem);
  // A keeper whose time is over may be late.
  if (revision <= partition.identity.revision) return OK;
  const settings = queueSettings(command.settings);
  const hasGrown = settings.partitions > partition.identity.settings.partitions;
  const growth = growingFrom === undefined ? {} : { growingFrom };
  partition.update({ settings, paused, revision, ...growth }, tables.nowMs);
  tables.watchDraining(partition);
  tables.touch(partition);
  if (!hasGrown) return OK;
  for (const { sessionId, consumerId } of partition.consumers) {
    tables.effects.queuesGrown.push({ sessionId, consumerId, partitionId });
  }
  return OK;
}

/**
 * Removes what no consumer holds.
 *
 * @param tables The state of the shard.
 * @param partitionId The partition.
 * @returns How many messages, or why not.
 */
export function purgePartition(tables: ShardTables, partitionId: number): Reply {
  const partition = tables.partitions.get(partitionId);
  if (partition === undefined) return partitionNotFound(partitionId);
  const count = partition.purge();
  tables.touch(partition);
  return { kind: "purged", count };
}

/**
 * Deletes a partition and everything in it, or forbids that it is ever created.
 *
 * @param tables The state of the shard.
 * @param partitionId Its id.
 * @returns `ok`, or why not.
 */
export function deletePartition(tables: ShardTables, partitionId: number): Reply {
  if (!isIntegerIn(partitionId, 1, COMMAND_BOUNDS.u32Max)) return badPartitionId(partitionId);
  tables.tombstones.add(partitionId);
  tables.publishers.forgetPartition(partitionId);
  tables.schedules.forgetPartition(partitionId);
  const partition = tables.partitions.get(partitionId);
  if (partition === undefined) return OK;
  for (const consumer of partition.consumers) {
    const { sessionId, consumerId } = consumer;
    tables.sessions.get(sessionId)!.removeConsumer(consumer);
    tables.effects.consumersEnded.push({ sessionId, consumerId, partitionId });
  }
  tables.removePartition(partition);
  return OK;
}

function repeated(answer: RememberedBatch, count: number, partitionId: number): Reply {
  switch (answer.kind) {
    case "published": {
      return { ...answer, count, duplicate: true };
    }
    case "refused":
      switch (answer.reason) {
        case "partitionNotFound":
          return partitionNotFound(partitionId);
        default:
          unreachable(answer.reason);
      }
  }
}

/** A publish before it goes through the log. */
export type PublishToCome = Omit<PublishCommand, "kind" | "bytes" | "details"> & {
  readonly details?: PublishDetails | undefined;
};

/**
 * Tells whether a publish would be refused at this moment, as its partition is full, or may not take
 * what is unique yet. A repeat of what was published before is not.
 *
 * @param tables The state of the shard.
 * @param command The command.
 * @returns The refusal, or `undefined`.
 */
export function earlyRefusal(
  tables: ShardTables,
  command: PublishToCome,
): Reply | undefined {
  const { sessionId, partitionId, baseSequence, count } = command;
  const partition = tables.partitions.get(partitionId);
  if (partition === undefined || !(partition.isFull || partition.isHolding)) return undefined;
  // What was placed without knowing all partitions has to be refused in the log.
  if (knewFewer(partition, command)) return undefined;
  const refusal = misplaced(partition, command) ??
    (partition.isFull ? queueFull(partition.identity) : undefined);
  if (refusal === undefined) return undefined;
  const verdict = tables.publishers.window(sessionId, partitionId)?.judge(baseSequence, count);
  const isNew = verdict === undefined || verdict.kind === "next" || verdict.kind === "gap";
  return isNew ? refusal : undefined;
}

/**
 * Refuses messages for a partition that has as many as it may.
 *
 * @param identity The partition.
 * @returns The reply.
 */
export function queueFull({ queueName, settings }: PartitionIdentity): Reply {
  const { maxMessages, maxBytes } = settings;
  const limits = [
    ...(maxMessages > 0 ? [`${maxMessages} messages`] : []),
    ...(maxBytes > 0 ? [`${maxBytes} bytes`] : []),
  ];
  return refused(
    "queueFull",
    `Queue "${queueName}" is full: ${limits.join(" and ")} are the most allowed`,
  );
}

/** Whether who chose the partition did not know all that its queue has. */
function knewFewer(
  { identity }: Partition,
  { partitionCount = 0 }: Pick<PublishCommand, "partitionCount">,
): boolean {
  return partitionCount > 0 && partitionCount < identity.settings.partitions;
}

/** Refuses what belongs to another partition now, or may have its like in another one yet. */
function misplaced(
  partition: Partition,
  command: Pick<PublishToCome, "count" | "partitionCount" | "details">,
): Reply | undefined {
  const { queueName, settings: { partitions } } = partition.identity;
  if (knewFewer(partition, command)) {
    return refused(
      "queueGrown",
      `Queue "${queueName}" has ${partitions} partitions by now, not ${command.partitionCount}`,
    );
  }
  if (!partition.isHolding || !asksToBeUnique(command)) return undefined;
  return refused(
    "queueGrowing",
    `Queue "${queueName}" is getting more partitions: messages that are unique by something wait until ` +
      "those are gone that were published before",
  );
}

function asksToBeUnique({ count, details }: Pick<PublishToCome, "count" | "details">): boolean {
  if (details === undefined || !details.hasOptions) return false;
  for (let position = 0; position < count; position++) {
    if (details.at(position).unique !== undefined) return true;
  }
  return false;
}

function sequenceGap(baseSequence: number, nextSequence: number): Reply {
  return refused(
    "sequenceGap",
    `The batch at sequence ${baseSequence} came before the one at ${nextSequence}`,
  );
}

function badPartitionId(partitionId: number): Reply {
  return refused("invalidArgument", `A partition cannot have the id ${partitionId}`);
}
