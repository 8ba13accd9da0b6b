/**
 * Ids of messages, for people: `QUEUE/PARTITION/OFFSET`.
 *
 * @module
 */

/** Where a message is. */
export interface MessagePlace {
  /** The queue's name, which may have slashes in it. */
  readonly queue: string;
  /** The partition's number in the queue, from 0. */
  readonly partition: number;
  /** The message's place in the partition, from 0. */
  readonly offset: number;
}

/**
 * Writes the id of a message.
 *
 * @param place Where it is.
 * @returns For example `orders/0/17`.
 */
export function formatMessageId({ queue, partition, offset }: MessagePlace): string {
  return `${queue}/${partition}/${offset}`;
}

/**
 * Reads the id of a message.
 *
 * @param id For example `orders/0/17`.
 * @returns Where the message is, or `undefined` when this is no id.
 *
 * @example Usage
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parseMessageId("eu/orders/0/17"), { queue: "eu/orders", partition: 0, offset: 17 });
 * assertEquals(parseMessageId("orders"), undefined);
 * ```
 */
export function parseMessageId(id: string): MessagePlace | undefined {
  const match = /^(.+)\/(\d+)\/(\d+)$/su.exec(id);
  if (match === null) return undefined;
  const [partition, offset] = [Number(match[2]), Number(match[3])];
  if (!Number.isSafeInteger(partition) || !Number.isSafeInteger(offset)) return undefined;
  return { queue: match[1]!, partition, offset };
}
