/**
 * Single messages, and what goes on in a queue.
 *
 * @module
 */

import type { FoundMessage, PartitionInspection } from "../wire/mod.ts";
import { asQueueError, checkOpen, type ClientCore, type WaitOptions } from "./core.ts";
import { formatMessageId, type MessagePlace, parseMessageId } from "./message_id.ts";
import { partitionOf, PeekedMessage } from "./peek.ts";

/** What there is to know of a message. */
export interface MessageReport extends MessagePlace {
  /** As in `orders/0/17`. */
  readonly id: string;
  /**
   * `acked` is what was acked and is kept by the history of its queue, `gone` what was acked or came to
   * another end, `unpublished` what is still to come.
   */
  readonly state: FoundMessage["state"];
  /** The offset that the next message of the partition gets. */
  readonly nextOffset: number;
  /** The leader's time. */
  readonly nowMs: number;
  /** The message, unless it is gone or still to come. */
  readonly message: PeekedMessage | undefined;
}

/** What goes on in a partition of a queue. */
export interface PartitionActivity extends PartitionInspection {
  /** Its number in the queue, from 0. */
  readonly partition: number;
  /** The shard it lives in. */
  readonly shard: number;
  /** The leader's time. */
  readonly nowMs: number;
}

/**
 * Reads the id of a message that has to be one.
 *
 * @param id For example `orders/0/17`.
 * @returns Where the message is.
 * @throws {TypeError} when it is no id.
 */
export function messagePlace(id: string): MessagePlace {
  const place = parseMessageId(id);
  if (place !== undefined) return place;
  throw new TypeError(
    `Cannot find message ${JSON.stringify(id)} as that is no id: it takes QUEUE/PARTITION/OFFSET`,
  );
}

/**
 * Looks at one message.
 *
 * @param core The client.
 * @param place Where it is.
 * @param options How long to wait.
 * @returns What there is to know of it.
 */
export async function findMessage(
  core: ClientCore,
  place: MessagePlace,
  options: WaitOptions,
): Promise<MessageReport> {
  checkOpen(core);
  const { queue: name, partition, offset } = place;
  const id = formatMessageId(place);
  try {
    const { id: partitionId, shard } = partitionOf(
      await core.refreshQueue(name, options),
      partition,
    );
    const request = { kind: "findMessage", partitionId, offset } as const;
    const found = await core.call(`find ${id}`, request, shard, "findMessageReply", options);
    const { state, nextOffset, nowMs, message } = found;
    return {
      id,
      queue: name,
      partition,
      offset,
      state,
      nextOffset,
      nowMs,
      message: message && new PeekedMessage(name, partition, message),
    };
  } catch (error) {
    throw asQueueError(error, name);
  }
}

/**
 * Looks at what goes on in the partitions of a queue.
 *
 * @param core The client.
 * @param name The queue.
 * @param options How long to wait.
 * @returns One item a partition, in the order of their numbers.
 */
export async function queueActivity(
  core: ClientCore,
  name: string,
  options: WaitOptions,
): Promise<PartitionActivity[]> {
  checkOpen(core);
  try {
    const { partitions } = await core.refreshQueue(name, options);
    const shards = Map.groupBy(partitions, ({ shard }) => shard);
    const found = await Promise.all([...shards].map(async ([shard, own]) => {
      const request = { kind: "inspect", partitionIds: own.map(({ id }) => id) } as const;
      const what = `inspect queue ${JSON.stringify(name)}`;
      const { nowMs, ...reply } = await core.call(what, request, shard, "inspectReply", options);
      const numberOf = new Map(own.map(({ id, number }) => [id, number]));
      return reply.partitions.map((one) => {
        return { ...one, partition: numberOf.get(one.partitionId)!, shard, nowMs };
      });
    }));
    return found.flat().sort((a, b) => a.partition - b.partition);
  } catch (error) {
    throw asQueueError(error, name);
  }
}
