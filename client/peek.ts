/**
 * Looks at the messages of a queue without taking them.
 *
 * @module
 */

import {
  ErrorCode,
  type KeyBlockReport,
  type LeaseReport,
  type LiveState,
  type PartitionInfo,
  type PeekedPage,
  type PeekedRecord,
  type PeekQuery,
  type QueueInfo,
  type SeenState,
} from "../wire/mod.ts";
import { asQueueError, checkOpen, type ClientCore, type WaitOptions } from "./core.ts";
import { FlowMQError } from "./errors.ts";
import { ReceivedMessage } from "./received_message.ts";

/** Which messages to look at. Where nothing is said, all that are not gone. */
export interface PeekOptions extends WaitOptions {
  /** Only those in this state. */
  readonly state?: LiveState;
  /** Only those with this key. */
  readonly key?: string;
  /** Only those of this partition. */
  readonly partition?: number;
  /** Only those from this offset on, in each partition. @default {0} */
  readonly offset?: number;
  /** Only those published at this time or later; a number is milliseconds since the epoch. */
  readonly from?: Date | number;
  /** Only those published before this time; a number is milliseconds since the epoch. */
  readonly to?: Date | number;
  /** How many messages to ask a node for at once, up to 1,000. @default {100} */
  readonly pageSize?: number;
}

/** A message as it was when somebody looked at it. */
export class PeekedMessage extends ReceivedMessage {
  readonly queue: string;
  readonly partition: number;
  readonly offset: number;
  /** What had become of it; only one that was asked for by its id may be `acked`. */
  readonly state: SeenState;
  /** How often it was delivered, the delivery under way included. */
  readonly deliveryCount: number;
  /** Term of the log entry that holds the message. */
  readonly term: number;
  /** Index of the log entry that holds the message. */
  readonly index: number;
  /** When the message was published, by the clock of the leader, in milliseconds since the epoch. */
  readonly publishedAtMs: number;
  /** Of a leased message: who holds it, and until when. */
  readonly lease: LeaseReport | undefined;
  /** Of a delayed message: when it is due, in milliseconds since the epoch. */
  readonly dueAtMs: number | undefined;
  /** Of a ready message that has to wait for others of its key, or for its key's rate: for what. */
  readonly block: KeyBlockReport | undefined;

  /**
   * Messages to look at are made by `Queue.peek()`.
   *
   * @ignore
   */
  constructor(queue: string, partition: number, peeked: PeekedRecord) {
    super(peeked.record, 0, peeked.record.length);
    this.queue = queue;
    this.partition = partition;
    this.offset = peeked.offset;
    this.state = peeked.state;
    this.deliveryCount = peeked.deliveryCount;
    this.term = peeked.term;
    this.index = peeked.index;
    this.publishedAtMs = peeked.publishedAtMs;
    this.lease = peeked.lease;
    this.dueAtMs = peeked.dueAtMs;
    this.block = peeked.block;
  }
}

/**
 * Looks at the messages of a queue, oldest first over all partitions, a page of each at a time.
 *
 * @param core The client.
 * @param name The queue.
 * @param options Which messages.
 * @returns The messages.
 */
export async function* peekQueue(
  core: ClientCore,
  name: string,
  options: PeekOptions,
): AsyncGenerator<PeekedMessage, void> {
  checkOpen(core);
  const { partitions } = await core.refreshQueue(name, options);
  const wanted = options.partition;
  const chosen = wanted === undefined ? partitions : [partitionOf({ name, partitions }, wanted)];
  const heads = await Promise.all(chosen.map(async (partition) => {
    const messages = peekPartition(core, name, partition, options);
    return { messages, next: await messages.next() };
  }));
  for (;;) {
    let first: typeof heads[number] | undefined;
    for (const head of heads) {
      if (head.next.done) continue;
      const isOlder = first === undefined ||
        head.next.value.publishedAtMs < (first.next.value as PeekedMessage).publishedAtMs;
      if (isOlder) first = head;
    }
    if (first === undefined) return;
    yield first.next.value as PeekedMessage;
    first.next = await first.messages.next();
  }
}

/**
 * Finds a partition by its number.
 *
 * @param queue The queue.
 * @param number The number.
 * @param what What for, in the words of an error.
 * @returns The catalog's record of it.
 * @throws {FlowMQError} with code `partitionNotFound` when the queue has none with this number.
 */
export function partitionOf(
  { name, partitions }: Pick<QueueInfo, "name" | "partitions">,
  number: number,
  what = "look into",
): PartitionInfo {
  const found = partitions.find((partition) => partition.number === number);
  if (found !== undefined) return found;
  const count = partitions.length;
  throw new FlowMQError(
    `Cannot ${what} partition ${number} of queue ${JSON.stringify(name)} as it has ` +
      (count === 1 ? "partition 0 only" : `partitions 0 to ${count - 1}`),
    { code: ErrorCode.partitionNotFound },
  );
}

async function* peekPartition(
  core: ClientCore,
  name: string,
  { id, number, shard }: PartitionInfo,
  options: PeekOptions,
): AsyncGenerator<PeekedMessage, void> {
  const { state, key, from, to, pageSize = 100 } = options;
  const query: Omit<PeekQuery, "fromOffset"> = {
    partitionId: id,
    count: pageSize,
    ...(state === undefined ? {} : { state }),
    ...(key === undefined ? {} : { key }),
    ...(from === undefined ? {} : { fromMs: Number(from) }),
    ...(to === undefined ? {} : { toMs: Number(to) }),
  };
  let next: number | undefined = options.offset ?? 0;
  while (next !== undefined) {
    const page: PeekedPage = await ask(core, name, shard, { ...query, fromOffset: next }, options);
    for (const message of page.messages) yield new PeekedMessage(name, number, message);
    next = page.nextOffset;
  }
}

async function ask(
  core: ClientCore,
  name: string,
  shard: number,
  query: PeekQuery,
  options: WaitOptions,
): Promise<PeekedPage> {
  checkOpen(core);
  const what = `look into queue ${JSON.stringify(name)}`;
  try {
    return await core.call(what, { kind: "peek", ...query }, shard, "peekReply", options);
  } catch (error) {
    throw asQueueError(error, name);
  }
}
