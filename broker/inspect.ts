/**
 * Shows what goes on in partitions: who consumes, what each holds, and how fast messages go through.
 *
 * @module
 */

import type { ConsumerInfo } from "../queue/mod.ts";
import {
  commandTimestampMs,
  type ConsumerReport,
  type FoundHistory,
  type PartitionInspection,
} from "../wire/mod.ts";
import type { LocalShard } from "./local_shard.ts";

/** An answer names no more consumers of a partition. */
const CONSUMERS_MAX = 1_000;

/**
 * Shows what goes on in a partition.
 *
 * @param local The shard of the partition, which is led here and known to be current.
 * @param partitionId The partition.
 * @returns What goes on, or `undefined` where there is no such partition.
 */
export function inspectPartition(
  local: LocalShard,
  partitionId: number,
): PartitionInspection | undefined {
  const { machine, store } = local.shard;
  const stats = machine.stats(partitionId);
  if (stats === undefined) return undefined;
  const oldest = machine.look(partitionId, { fromOffset: 0, messagesMax: 1, offsetsMax: 1 });
  const entryIndex = oldest!.messages[0]?.entryIndex;
  const keys = machine.keyCounts(partitionId);
  const consumers = machine.consumers(partitionId).slice(0, CONSUMERS_MAX);
  const history = machine.historyReport(partitionId);
  return {
    partitionId,
    paused: machine.partition(partitionId)!.paused,
    ...(entryIndex === undefined
      ? {}
      : { oldestAtMs: commandTimestampMs(store.entry(entryIndex).data) }),
    rates: local.flow.rates(machine, partitionId),
    ...(keys === undefined ? {} : { keys }),
    consumerCount: stats.consumers,
    consumers: consumers.map((consumer) => reportOf(local, consumer)),
    ...(history === undefined ? {} : { history }),
  };
}

/**
 * Shows what happened to a message.
 *
 * @param local The shard of the partition, which is led here and known to be current.
 * @param partitionId The partition.
 * @param offset The message.
 * @param nowMs The leader's time.
 * @returns What is remembered, or `undefined` where there is no such partition.
 */
export function messageHistory(
  { shard: { machine } }: LocalShard,
  partitionId: number,
  offset: number,
  nowMs: number,
): FoundHistory | undefined {
  const stats = machine.stats(partitionId);
  if (stats === undefined) return undefined;
  const { nextOffset } = stats;
  const found = machine.findMessage(partitionId, offset);
  const { historyMs } = machine.partition(partitionId)!.settings;
  return {
    nowMs,
    state: found?.state ?? (offset < nextOffset ? "gone" : "unpublished"),
    nextOffset,
    historyMs,
    ...(machine.messageHistory(partitionId, offset) ?? { sinceMs: nowMs, happenings: [] }),
  };
}

/**
 * Describes a consumer.
 *
 * @param local The shard of its partition.
 * @param partitionId The partition.
 * @param consumer Which one.
 * @returns The consumer, or `undefined` where there is none.
 */
export function consumerReport(
  local: LocalShard,
  partitionId: number,
  { sessionId, consumerId }: Pick<ConsumerReport, "sessionId" | "consumerId">,
): ConsumerReport | undefined {
  const consumer = local.shard.machine.consumer(sessionId, consumerId, partitionId);
  return consumer === undefined ? undefined : reportOf(local, consumer);
}

function reportOf({ bindings, shard }: LocalShard, consumer: ConsumerInfo): ConsumerReport {
  const { heldSinceMs, ...rest } = consumer;
  const { deadlineMs } = shard.machine.session(consumer.sessionId)!;
  return {
    ...rest,
    address: bindings.link(consumer.sessionId)?.name ?? null,
    ...(heldSinceMs === undefined ? {} : { heldSinceMs }),
    ...(deadlineMs === undefined ? {} : { sessionEndsAtMs: deadlineMs }),
  };
}
