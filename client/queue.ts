/**
 * A queue, as a client holds it: a name to publish to and to consume from.
 *
 * @module
 */

import {
  deadLetterQueueOf,
  type PartitionStats,
  type PartitionStorage,
  type QueueSettings,
} from "../wire/mod.ts";
import type { Receipt } from "./completions.ts";
import type { ConsumeOptions } from "./consume_options.ts";
import { Consumer } from "./consumer.ts";
import { asQueueError, checkOpen, type ClientCore, type WaitOptions } from "./core.ts";
import {
  type DeadLetter,
  type DeadLettersOptions,
  listDeadLetters,
  redriveDeadLetters,
  type RedriveOptions,
} from "./dead_letters.ts";
import { QueueNotFoundError } from "./errors.ts";
import { type ReplayOptions, replayQueue, type ReplayReport } from "./history.ts";
import { type PartitionActivity, queueActivity } from "./look.ts";
import type { MessageProperties } from "./message_properties.ts";
import { NamedProducer, type ProducerOptions } from "./named_producer.ts";
import { clientLimits, positive } from "./options.ts";
import { untilAborted } from "./waiting.ts";
import { type PeekedMessage, type PeekOptions, peekQueue } from "./peek.ts";
import type { OutgoingMessage, Publisher, PublishOptions } from "./publisher.ts";
import { Schedules } from "./schedules.ts";

/** Settings of `publish()`: what the message is published with, and how long to wait. */
export interface PublishMessageOptions extends PublishOptions, MessageProperties {}

/** A partition of a queue: where it lives, and its counts. */
export interface PartitionReport extends PartitionStats {
  /** Its number in the queue, from 0. */
  readonly partition: number;
  /** The shard it lives in. */
  readonly shard: number;
}

/** What a partition of a queue holds on the disk of the node that leads its shard. */
export interface PartitionStorageReport extends PartitionStorage {
  /** Its number in the queue, from 0. */
  readonly partition: number;
  /** The shard it lives in. */
  readonly shard: number;
  /** The node that looked: the one that leads the shard. */
  readonly node: number;
}

/** What `Queue.info()` tells. Counts are of messages; those of the queue are the sums of its partitions'. */
export interface QueueReport {
  /** The queue's name. */
  readonly name: string;
  /** Its number in the cluster. */
  readonly id: number;
  /** Its settings. */
  readonly settings: QueueSettings;
  /** Nothing is delivered. */
  readonly paused: boolean;
  /** While it is getting more partitions: how many it had. Messages with a key may wait for that. */
  readonly growingFrom?: number;
  /** Ever published. */
  readonly published: number;
  /** Acked, and thereby gone. */
  readonly acked: number;
  /** Purged, and thereby gone. */
  readonly purged: number;
  /** Waiting for a consumer. */
  readonly ready: number;
  /** Held by consumers. */
  readonly leased: number;
  /** Waiting for a time: published with a delay, or failed and backing off. */
  readonly delayed: number;
  /** Moved to the dead-letter queue. */
  readonly dead: number;
  /** Expired, and not moved there. */
  readonly expired: number;
  /** Thrown away because the queue was full, or rejected in a dead-letter queue. */
  readonly dropped: number;
  /** Not stored, as one with the same `unique` was there. */
  readonly repeated: number;
  /** Delivered more than once, counted each time. */
  readonly redelivered: number;
  /** Bytes ever published. */
  readonly bytesPublished: number;
  /** Bytes of the messages that wait or are leased; only of queues that have `maxBytes`. */
  readonly bytesHeld?: number;
  /** Consumers attached: one that takes from several partitions counts for each. */
  readonly consumers: number;
  /** One after the other. */
  readonly partitions: readonly PartitionReport[];
}

/** What a client keeps of a queue. */
export interface QueueHost {
  /** The shared parts of the client. */
  readonly core: ClientCore;
  /** The publisher of a queue, made when it is first asked for. */
  publisher(queue: string): Publisher;
}

/** A queue; made by `Client.queue()`, without asking the cluster. */
export class Queue {
  /** The queue's name. */
  readonly name: string;
  readonly #host: QueueHost;
  /** Found when it is first needed: a queue that is only consumed has none. */
  #publisher: Publisher | undefined;

  /**
   * Queues are made by `Client.queue()`.
   *
   * @param name The queue's name.
   * @param host The client.
   */
  constructor(name: string, host: QueueHost) {
    this.name = name;
    this.#host = host;
  }

  /**
   * Publishes a message. What is published in one turn of the event loop travels together, so that
   * many single calls are as fast as a batch.
   *
   * @param body Text is sent as UTF-8. An array must not be changed until the promise settles.
   * @param options Key, headers, delay and the like, and how long to wait.
   * @returns Once the message is on the disks of a majority: where it is.
   * @throws {TypeError} when an option is not what it should be, or two exclude each other.
   * @throws {RangeError} when one is out of its range.
   * @throws {RequestTimeoutError} when it was not confirmed in time; `maybeApplied` says what is known.
   * @throws {MessageTooLargeError} when key, headers and body are over the broker's limit.
   * @throws {QueueNotFoundError} when there is no such queue, and `create` is false.
   * @throws {FlowMQError} when the cluster refuses it for another reason.
   *
   * @example Usage
   * ```ts ignore
   * const { offset } = await client.queue("orders").publish("one coffee", { key: "table-7" });
   * await client.queue("mails").publish("Your coffee is cold", { delayMs: 600_000, priority: 9 });
   * ```
   */
  publish(body: string | Uint8Array, options: PublishMessageOptions = {}): Promise<Receipt> {
    this.#publisher ??= this.#host.publisher(this.name);
    return this.#publisher.publish(body, options);
  }

  /**
   * Publishes several messages. Those that go to one partition, as all without a key do, are stored all
   * or none as long as they fit into one batch: 65,536 messages, 8 MiB.
   *
   * @param messages In the order in which they are to be stored.
   * @param options How long to wait.
   * @returns The receipts, in the order of the messages.
   * @throws As {@linkcode publish} does; some of the messages may be stored all the same.
   */
  publishBatch(
    messages: readonly OutgoingMessage[],
    options: PublishOptions = {},
  ): Promise<Receipt[]> {
    this.#publisher ??= this.#host.publisher(this.name);
    return this.#publisher.publishBatch(messages, options);
  }

  /**
   * Opens a producer with a name, whose messages are stored exactly once even if its process dies and
   * publishes them again: they are numbered, and it goes on where the last producer of its name has ended.
   * That one ends, if it lives. All its messages go to one partition.
   *
   * @param name Up to 200 characters; names of producers of other partitions and queues do not matter.
   * @param options The partition, and how long to wait.
   * @returns The producer, once it is known how far it is.
   * @throws {QueueNotFoundError} when there is no such queue, and `create` is false.
   * @throws {RangeError} when the queue has no such partition.
   * @throws {RequestTimeoutError} when no answer comes in time.
   *
   * @example Usage
   * ```ts ignore
   * await using producer = await client.queue("orders").producer("importer of orders");
   * for (let i = producer.nextSequence; i < lines.length; i++) {
   *   await producer.publish(lines[i], { sequence: i });
   * }
   * ```
   */
  async producer(name: string, options: ProducerOptions = {}): Promise<NamedProducer> {
    const { core } = this.#host;
    checkOpen(core);
    if (name.length === 0 || name.length > clientLimits.producerNameLengthMax) {
      throw new RangeError(
        `Cannot open a producer whose name has not 1 to ${clientLimits.producerNameLengthMax} ` +
          `characters: current length is ${name.length}`,
      );
    }
    const { partition: number = 0, create = true, timeoutMs = core.settings.requestTimeoutMs } =
      options;
    const wait = { ...options, timeoutMs: positive("timeoutMs", timeoutMs) };
    const { partitions } = create
      ? await core.findOrCreateQueue(this.name, wait)
      : await core.findQueue(this.name, wait);
    const partition = partitions.find((one) => one.number === number);
    if (partition === undefined) {
      throw new RangeError(
        `Cannot publish to partition ${number} of queue ${JSON.stringify(this.name)}: ` +
          `it has ${partitions.length}`,
      );
    }
    const { id: partitionId, shard } = partition;
    const where = { queue: this.name, partitionId, number, shard };
    const producer = new NamedProducer(name, core, where, timeoutMs);
    try {
      await untilAborted(producer.opened(), options.signal);
      return producer;
    } catch (error) {
      void producer.close();
      throw error;
    }
  }

  /**
   * Takes messages from the queue; see {@linkcode Consumer}. Nothing is thrown here: a queue that does
   * not exist is reported by the first `next()`.
   *
   * @param options Prefetch, partitions, drain, lease and signal.
   * @returns An async iterator.
   * @throws {RangeError} when an option is out of its range.
   *
   * @example Usage
   * ```ts ignore
   * await using consumer = client.queue("orders").consume({ prefetch: 10 });
   * for await (const delivery of consumer) await delivery.ack();
   * ```
   */
  consume(options: ConsumeOptions = {}): Consumer {
    return new Consumer(this.#host.core, this.name, options);
  }

  /** Its recurring schedules; see {@linkcode Schedules}. */
  get schedules(): Schedules {
    return new Schedules(this.#host.core, this.name);
  }

  /**
   * Looks at messages without taking them: nothing about them changes. They come oldest first, each as
   * it is when a node looks at it, which is later than the call, but not at the same moment for all.
   *
   * @param options Which messages; all that are not gone where nothing is said.
   * @returns The messages, asked for a page at a time.
   * @throws {QueueNotFoundError} when there is no such queue.
   * @throws {FlowMQError} with code `partitionNotFound` when it has no such partition.
   * @throws {RequestTimeoutError} when no answer comes in time.
   *
   * @example Usage
   * ```ts ignore
   * for await (const message of client.queue("orders").peek({ state: "leased" })) {
   *   console.log(message.id, message.lease?.consumer.clientName, message.text());
   * }
   * ```
   */
  peek(options: PeekOptions = {}): AsyncGenerator<PeekedMessage, void> {
    return peekQueue(this.#host.core, this.name, options);
  }

  /**
   * Shows messages of this queue that died, which are in its dead-letter queue. Nothing about them
   * changes.
   *
   * @param options How many to show.
   * @returns The oldest first; none where no message has died.
   * @throws {RangeError} when the limit is no whole number of 1 or more.
   *
   * @example Usage
   * ```ts ignore
   * for (const { death, body } of await client.queue("mail").deadLetters()) {
   *   console.log(death?.reason, death?.detail, body.length);
   * }
   * ```
   */
  async deadLetters({ limit = 100 }: DeadLettersOptions = {}): Promise<DeadLetter[]> {
    positive("limit", limit);
    return await listDeadLetters(this.#host.core, deadLetterQueueOf(this.name), limit);
  }

  /**
   * Brings messages that died back to where they were, without what was noted about their deaths. Each
   * leaves the dead-letter queue and goes back in one step, whatever happens meanwhile.
   *
   * @param options How many, and where to.
   * @returns How many are on their way.
   * @throws {QueueNotFoundError} when the queue that a message was in is gone: it stays where it is.
   * @throws {TypeError} when a message does not say where it was, and `to` does not either.
   * @throws {RequestTimeoutError} when no answer comes in time.
   */
  async redrive({ limit = Infinity, to }: RedriveOptions = {}): Promise<number> {
    if (limit !== Infinity) positive("limit", limit);
    const dead = new Queue(deadLetterQueueOf(this.name), this.#host);
    // What dies again meanwhile stays dead.
    const waiting = await dead.#readyIfThere();
    if (waiting === 0) return 0;
    return await redriveDeadLetters(this.#host.core, dead.name, Math.min(limit, waiting), to);
  }

  /**
   * Removes the messages of this queue that died.
   *
   * @param options How long to wait.
   * @returns How many messages are gone.
   * @throws {RequestTimeoutError} when no answer comes in time.
   */
  async purgeDeadLetters(options: WaitOptions = {}): Promise<number> {
    const dead = new Queue(deadLetterQueueOf(this.name), this.#host);
    return await dead.#readyIfThere() === 0 ? 0 : await dead.purge(options);
  }

  async #readyIfThere(): Promise<number> {
    try {
      return (await this.info()).ready;
    } catch (error) {
      if (!(error instanceof QueueNotFoundError)) throw error;
      return 0;
    }
  }

  /**
   * Tells what goes on in each partition: its consumers and what they hold, how old the oldest message
   * is, and how fast messages go through.
   *
   * @param options How long to wait.
   * @returns One item a partition.
   * @throws {QueueNotFoundError} when there is no such queue.
   * @throws {RequestTimeoutError} when no answer comes in time.
   */
  activity(options: WaitOptions = {}): Promise<PartitionActivity[]> {
    return queueActivity(this.#host.core, this.name, options);
  }

  /**
   * Settings and counts of the queue, from the leaders of its shards.
   *
   * @param options How long to wait.
   * @returns The newest there is.
   * @throws {QueueNotFoundError} when there is no such queue.
   * @throws {RequestTimeoutError} when no answer comes in time.
   */
  async info(options: WaitOptions = {}): Promise<QueueReport> {
    const { core } = this.#host;
    checkOpen(core);
    try {
      const queue = await core.refreshQueue(this.name, options);
      const shards = Map.groupBy(queue.partitions, ({ shard }) => shard);
      const replies = await Promise.all([...shards].map(async ([shard, partitions]) => {
        const partitionIds = partitions.map(({ id }) => id);
        const what = `get counts of queue ${JSON.stringify(this.name)}`;
        const request = { kind: "queueStats", partitionIds } as const;
        return (await core.call(what, request, shard, "queueStatsReply", options)).partitions;
      }));
      const statsOf = new Map(replies.flat().map((stats) => [stats.partitionId, stats]));
      const partitions = queue.partitions.flatMap(({ id, number, shard }) => {
        const stats = statsOf.get(id);
        return stats === undefined ? [] : [{ ...stats, partition: number, shard }];
      });
      partitions.sort((a, b) => a.partition - b.partition);
      const { name, id, settings, paused, growingFrom } = queue;
      const growth = growingFrom === undefined ? {} : { growingFrom };
      return { name, id, settings, paused, ...growth, ...sum(partitions) };
    } catch (error) {
      throw asQueueError(error, this.name);
    }
  }

  /**
   * Stops deliveries, of all consumers, until {@linkcode resume}. Publishes and acks go on, and what
   * consumers hold stays theirs. Pausing a paused queue does nothing.
   *
   * @param options How long to wait.
   * @returns Once nothing more is delivered.
   * @throws {QueueNotFoundError} when there is no such queue.
   * @throws {RequestTimeoutError} when no answer comes in time.
   */
  async pause(options: WaitOptions = {}): Promise<void> {
    checkOpen(this.#host.core);
    await this.#host.core.editQueue(this.name, { paused: true }, options);
  }

  /**
   * Lets deliveries go on after {@linkcode pause}. Resuming a queue that is not paused does nothing.
   *
   * @param options How long to wait.
   * @throws {QueueNotFoundError} when there is no such queue.
   * @throws {RequestTimeoutError} when no answer comes in time.
   */
  async resume(options: WaitOptions = {}): Promise<void> {
    checkOpen(this.#host.core);
    await this.#host.core.editQueue(this.name, { paused: false }, options);
  }

  /**
   * Removes every message that no consumer holds. Partitions are purged one by one, each at a moment of
   * its own.
   *
   * @param options How long to wait.
   * @returns How many messages are gone; fewer than there were if an answer was lost on the way and the
   *   question had to be repeated.
   * @throws {QueueNotFoundError} when there is no such queue.
   * @throws {RequestTimeoutError} when no answer comes in time; some partitions may be purged.
   */
  async purge(options: WaitOptions = {}): Promise<number> {
    const { core } = this.#host;
    checkOpen(core);
    try {
      const { partitions } = await core.refreshQueue(this.name, options);
      const what = `purge queue ${JSON.stringify(this.name)}`;
      const replies = await Promise.all(partitions.map(({ id, shard }) => {
        const request = { kind: "purgePartition", partitionId: id } as const;
        return core.call(what, request, shard, "purged", options);
      }));
      return replies.reduce((sum, { count }) => sum + count, 0);
    } catch (error) {
      throw asQueueError(error, this.name);
    }
  }

  /**
   * Brings messages back that were acked, as far as the queue remembers (`historyMs`): as new messages,
   * in the order of their offsets, behind those that are there, each in the partition that it was in. A
   * header, `flowmq-replayed-from`, tells the id that each had. Whatever is repeated on the way, none
   * comes back twice; a second replay brings back what was acked since the first.
   *
   * @param options Since when.
   * @returns How many come back, and whether the queue remembers as far back; they arrive a little later.
   * @throws {TypeError} when `since` is no time.
   * @throws {FlowMQError} with code `noHistory` when the queue keeps no history.
   * @throws {QueueNotFoundError} when there is no such queue.
   * @throws {RequestTimeoutError} when no answer comes in time; some may come back all the same.
   *
   * @example Usage
   * ```ts ignore
   * await client.queue("orders").replay({ since: Date.now() - 600_000 });
   * ```
   */
  async replay(options: ReplayOptions): Promise<ReplayReport> {
    return await replayQueue(this.#host.core, this.name, options);
  }

  /**
   * Tells what the queue holds on disk: of each partition, on the node that leads its shard. Other nodes
   * hold about the same. Costs the nodes a look at every batch of messages that waits.
   *
   * @param options How long to wait.
   * @returns One report for each partition.
   * @throws {QueueNotFoundError} when there is no such queue.
   */
  async storage(options: WaitOptions = {}): Promise<PartitionStorageReport[]> {
    const { core } = this.#host;
    checkOpen(core);
    try {
      const { partitions } = await core.refreshQueue(this.name, options);
      const shards = Map.groupBy(partitions, ({ shard }) => shard);
      const reports = await Promise.all([...shards].map(async ([shard, own]) => {
        const partitionIds = own.map(({ id }) => id);
        const what = `get what queue ${JSON.stringify(this.name)} holds`;
        const request = { kind: "queueStorage", partitionIds } as const;
        const reply = await core.call(what, request, shard, "queueStorageReply", options);
        const numberOf = new Map(own.map(({ id, number }) => [id, number]));
        return reply.partitions.map((one) => {
          return { ...one, partition: numberOf.get(one.partitionId)!, shard, node: reply.nodeId };
        });
      }));
      return reports.flat().sort((a, b) => a.partition - b.partition);
    } catch (error) {
      throw asQueueError(error, this.name);
    }
  }
}

function sum(
  partitions: readonly PartitionReport[],
): Omit<QueueReport, "name" | "id" | "settings" | "paused" | "growingFrom"> {
  const total = (count: (one: PartitionReport) => number) =>
    partitions.reduce((whole, one) => whole + count(one), 0);
  const isHeldCounted = partitions.some(({ bytesHeld }) => bytesHeld !== undefined);
  return {
    published: total((one) => one.published),
    acked: total((one) => one.acked),
    purged: total((one) => one.purged),
    dropped: total((one) => one.dropped),
    ready: total((one) => one.ready),
    leased: total((one) => one.leased),
    delayed: total((one) => one.delayed),
    dead: total((one) => one.dead),
    expired: total((one) => one.expired),
    repeated: total((one) => one.repeated),
    redelivered: total((one) => one.redelivered),
    bytesPublished: total((one) => one.bytesPublished),
    ...(isHeldCounted ? { bytesHeld: total((one) => one.bytesHeld ?? 0) } : {}),
    consumers: total((one) => one.consumers),
    partitions,
  };
}
