/**
 * What happened to messages, and acked ones brought back, as far as queues remember.
 *
 * @module
 */

import type { FoundHistory, MessageHappening } from "../wire/mod.ts";
import { asQueueError, checkOpen, type ClientCore, type WaitOptions } from "./core.ts";
import { formatMessageId, type MessagePlace } from "./message_id.ts";
import { partitionOf } from "./peek.ts";

/** What is remembered of a message. */
export interface MessageHistoryReport extends MessagePlace {
  /** As in `orders/0/17`. */
  readonly id: string;
  /**
   * What it is now: `acked` is what can be brought back, `gone` what was acked or came to another end,
   * `unpublished` what is to come.
   */
  readonly state: FoundHistory["state"];
  /** For how long its queue remembers; 0 for not at all. */
  readonly historyMs: number;
  /** Nothing is known of what happened before this time, in milliseconds since the epoch. */
  readonly sinceMs: number;
  /** The leader's time. */
  readonly nowMs: number;
  /** What happened since then, oldest first. */
  readonly happenings: readonly MessageHappening[];
}

/** Settings of `Queue.replay()`. */
export interface ReplayOptions extends WaitOptions {
  /** Messages that were acked at this time or later; a number is milliseconds since the epoch. */
  readonly since: Date | number;
}

/** What `Queue.replay()` did. */
export interface ReplayReport {
  /** How many messages come back. */
  readonly count: number;
  /**
   * From when on everything that was acked is remembered, in milliseconds since the epoch: where that is
   * later than what was asked for, messages that were acked before are missing.
   */
  readonly sinceMs: number;
}

/**
 * Tells what happened to a message.
 *
 * @param core The client.
 * @param place Where it is, or was.
 * @param options How long to wait.
 * @returns What is remembered.
 */
export async function messageHistory(
  core: ClientCore,
  place: MessagePlace,
  options: WaitOptions,
): Promise<MessageHistoryReport> {
  checkOpen(core);
  const { queue: name, partition, offset } = place;
  const id = formatMessageId(place);
  try {
    const queue = await core.refreshQueue(name, options);
    const { id: partitionId, shard } = partitionOf(queue, partition);
    const request = { kind: "messageHistory", partitionId, offset } as const;
    const what = `get the history of ${id}`;
    const found = await core.call(what, request, shard, "messageHistoryReply", options);
    const { state, historyMs, sinceMs, nowMs, happenings } = found;
    return { id, queue: name, partition, offset, state, historyMs, sinceMs, nowMs, happenings };
  } catch (error) {
    throw asQueueError(error, name);
  }
}

/**
 * Brings acked messages back. The moment up to which acks count is taken first: so a request that is
 * repeated after a lost answer brings nothing back twice.
 *
 * @param core The client.
 * @param name The queue.
 * @param options Since when.
 * @returns What comes back.
 */
export async function replayQueue(
  core: ClientCore,
  name: string,
  { since, ...options }: ReplayOptions,
): Promise<ReplayReport> {
  checkOpen(core);
  const asked = since instanceof Date ? since.getTime() : since;
  if (!Number.isFinite(asked)) {
    throw new TypeError(
      `Cannot replay since a time that is neither a Date nor a number: current value is ${since}`,
    );
  }
  const sinceMs = Math.max(0, Math.ceil(asked));
  const what = `replay queue ${JSON.stringify(name)}`;
  try {
    const { partitions } = await core.refreshQueue(name, options);
    const shards = Map.groupBy(partitions, ({ shard }) => shard);
    const reports = await Promise.all([...shards].map(async ([shard, own]) => {
      const partitionIds = own.map(({ id }) => id);
      const inspect = { kind: "inspect", partitionIds } as const;
      const seen = await core.call(what, inspect, shard, "inspectReply", options);
      const replies = await Promise.all(partitionIds.map((partitionId) => {
        const request = { kind: "replay", partitionId, sinceMs, untilIndex: seen.index } as const;
        return core.call(what, request, shard, "replayed", options);
      }));
      return {
        count: replies.reduce((sum, { count }) => sum + count, 0),
        sinceMs: Math.max(0, ...seen.partitions.map(({ history }) => history?.sinceMs ?? 0)),
      };
    }));
    return {
      count: reports.reduce((sum, { count }) => sum + count, 0),
      sinceMs: Math.max(...reports.map(({ sinceMs }) => sinceMs)),
    };
  } catch (error) {
    throw asQueueError(error, name);
  }
}
