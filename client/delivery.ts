/**
 * A message in the hands of a consumer.
 *
 * @module
 */

import { SettleOperation } from "../wire/mod.ts";
import type { OutgoingMessage } from "./publisher.ts";
import type { PartitionConsumer } from "./partition_consumer.ts";
import { ReceivedMessage } from "./received_message.ts";
import { checkSettleOptions, type SettleOptions, type SettlePart } from "./settle_batch.ts";

/** How a message is given back. */
export interface NackOptions {
  /** Nobody gets it before so many milliseconds have passed; 0 is at once. @default {the queue's back-off} */
  readonly delayMs?: number;
  /** Why, for people; what is over 1,024 bytes of UTF-8 is cut off. */
  readonly reason?: string;
}

/** A message that is published together with an ack. */
export interface MessageToQueue extends OutgoingMessage {
  /** Where to. */
  readonly queue: string;
  /** Whether a queue that does not exist is made, with the default settings. @default {true} */
  readonly create?: boolean;
}

/** Settings of `ack()`. */
export interface AckOptions {
  /** Messages that are published if the message is acked, and only then: up to 1,024, 8 MiB. */
  readonly publish?: readonly MessageToQueue[];
}

/** What the consumer gets for an ack, nack, rejection or extension: where the cluster has it on record. */
export interface AckResult {
  /** The partition, from 0. */
  readonly partition: number;
  /** The message. */
  readonly offset: number;
  /** Term of the log entry that holds the ack, not the message. */
  readonly term: number;
  /** Index of the log entry that holds the ack, not the message. */
  readonly index: number;
}

/**
 * A message that is leased to this consumer: until it is acked or nacked, or the lease expires, nobody
 * else gets it.
 */
export class Delivery extends ReceivedMessage {
  /** Its place in the partition. */
  readonly offset: number;
  /** Which delivery of the message this is: 1 for the first. */
  readonly deliveryCount: number;
  /** Term of the log entry that holds the message. */
  readonly term: number;
  /** Index of the log entry that holds the message. */
  readonly index: number;
  /** When the message was published, by the clock of the leader, in milliseconds since the epoch. */
  readonly publishedAtMs: number;
  readonly #source: PartitionConsumer;
  /** Which life of the source it belongs to: see `PartitionConsumer`. */
  readonly #life: number;
  /** Whether it was acked, nacked or rejected through this object, whatever became of that. */
  #isSpokenFor = false;

  /**
   * Deliveries are made by consumers.
   *
   * @ignore
   */
  constructor(
    source: PartitionConsumer,
    life: number,
    offset: number,
    deliveryCount: number,
    term: number,
    index: number,
    publishedAtMs: number,
    payload: Uint8Array,
    start: number,
    end: number,
  ) {
    super(payload, start, end);
    this.#source = source;
    this.#life = life;
    this.offset = offset;
    this.deliveryCount = deliveryCount;
    this.term = term;
    this.index = index;
    this.publishedAtMs = publishedAtMs;
  }

  /** The queue's name. */
  get queue(): string {
    return this.#source.partition.queue;
  }

  /** The partition, from 0. */
  get partition(): number {
    return this.#source.partition.number;
  }

  /**
   * Says that the message is done with: nobody gets it again once this has resolved.
   *
   * What is given to be published with it is published if and only if the message is acked, however
   * often the connection breaks meanwhile: both are one step, which the cluster has on record when this
   * resolves. The messages arrive in their queues soon after.
   *
   * @param options What to publish with it.
   * @returns Where the cluster has it on record.
   * @throws {LeaseExpiredError} when the lease was over: the message goes to someone else, and nothing
   *   was published.
   * @throws {RequestTimeoutError} when no answer comes in time; it may be acked all the same.
   * @throws {MessageTooLargeError} when a message to be published is over the broker's limit.
   * @throws {QueueNotFoundError} when a queue to publish to is missing, and `create` is false.
   *
   * @example Pass a result on
   * ```ts ignore
   * for await (const delivery of client.queue("orders").consume()) {
   *   await delivery.ack({ publish: [{ queue: "invoices", body: invoiceFor(delivery.json()) }] });
   * }
   * ```
   */
  ack({ publish = [] }: AckOptions = {}): Promise<AckResult> {
    this.#isSpokenFor = true;
    if (publish.length > 0) return this.#source.ackAndPublish(this, this.#life, publish);
    return this.#source.settle(SettleOperation.ack, this, this.#life);
  }

  /**
   * Gives the message back as it could not be handled now: after a while it is ready for anyone, with a
   * higher delivery count. How long it waits is told by the queue's settings, and grows with each failure;
   * after the last of `maxDeliveries` it goes to the dead letters.
   *
   * @param options How long it waits instead, and why.
   * @returns Where the cluster has it on record.
   * @throws {LeaseExpiredError} when the lease was over already.
   * @throws {RequestTimeoutError} when no answer comes in time.
   * @throws {RangeError} when the delay is out of its range.
   *
   * @example Usage
   * ```ts ignore
   * await delivery.nack({ delayMs: 5_000, reason: "the mail server is down" });
   * ```
   */
  async nack(options: NackOptions = {}): Promise<AckResult> {
    const checked = checkSettleOptions(options);
    this.#isSpokenFor = true;
    return await this.#source.settle(SettleOperation.nack, this, this.#life, checked);
  }

  /**
   * Gives the message up, as nobody will ever be able to handle it: it goes to the dead letters at once.
   *
   * @param reason Why, for people; what is over 1,024 bytes of UTF-8 is cut off.
   * @returns Where the cluster has it on record.
   * @throws {LeaseExpiredError} when the lease was over already.
   * @throws {RequestTimeoutError} when no answer comes in time.
   */
  async reject(reason?: string): Promise<AckResult> {
    const checked = checkSettleOptions(reason === undefined ? {} : { reason });
    this.#isSpokenFor = true;
    return await this.#source.settle(SettleOperation.reject, this, this.#life, checked);
  }

  /**
   * Begins the lease anew, for the time that the consumer's options or the queue's settings say. The
   * client does this by itself while it holds a message; see `ConsumeOptions.extendForMs`.
   *
   * @returns Where the cluster has it on record.
   * @throws {LeaseExpiredError} when the lease was over: the message goes to someone else.
   * @throws {RequestTimeoutError} when no answer comes in time.
   */
  extendLease(): Promise<AckResult> {
    return this.#source.settle(SettleOperation.extend, this, this.#life);
  }

  /**
   * Whether it can still be settled, as far as this client knows.
   *
   * @ignore
   */
  get isCurrent(): boolean {
    return this.#source.isCurrent(this.#life);
  }

  /**
   * Says the same about all of which nothing was said one by one.
   *
   * @param deliveries Of any consumers.
   * @param operation What is said.
   * @param options What is said besides.
   * @returns What becomes of them, in parts.
   *
   * @ignore
   */
  static settleAll(
    deliveries: readonly Delivery[],
    operation: SettleOperation,
    options: SettleOptions,
  ): SettlePart[] {
    // Nearly always all are of one partition, and nothing was said of any.
    const [first] = deliveries;
    const isOfFirst = (one: Delivery) => one.#source === first!.#source && !one.#isSpokenFor;
    if (first !== undefined && deliveries.every(isOfFirst)) {
      return first.#source.settleAll(operation, deliveries, options);
    }
    const silent = deliveries.filter((delivery) => !delivery.#isSpokenFor);
    const bySource = Map.groupBy(silent, (delivery) => delivery.#source);
    return [...bySource].flatMap(([source, own]) => source.settleAll(operation, own, options));
  }
}
