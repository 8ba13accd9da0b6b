/**
 * A consumer of a queue: the messages of all its partitions, one after the other.
 *
 * @module
 */

import type { QueueInfo } from "../wire/mod.ts";
import {
  checkConsumeOptions,
  type CheckedConsumeOptions,
  type ConsumeOptions,
} from "./consume_options.ts";
import { asQueueError, type ClientCore, type Closeable, type Sweepable } from "./core.ts";
import { ConsumerBatch } from "./consumer_batch.ts";
import type { Delivery } from "./delivery.ts";
import { ClientClosedError, QueueNotFoundError } from "./errors.ts";
import { LeaseKeeper } from "./lease_keeper.ts";
import { partitionOf } from "./peek.ts";
import { clientLimits } from "./options.ts";
import { PartitionConsumer, type PartitionConsumerEvents } from "./partition_consumer.ts";
import { sleep } from "./waiting.ts";

/** Places of messages that have been taken are given back in runs of this length. */
const takenMax = 1_024;

const done: IteratorReturnResult<undefined> = { done: true, value: undefined };

/**
 * Takes messages from a queue, as an async iterator. Leaving the loop closes it; what was delivered and
 * not settled by then goes to others at once.
 *
 * @example Usage
 * ```ts ignore
 * for await (const delivery of client.queue("orders").consume()) {
 *   console.log(delivery.text());
 *   await delivery.ack();
 * }
 * ```
 */
export class Consumer implements AsyncIterableIterator<Delivery, undefined>, AsyncDisposable {
  readonly #core: ClientCore;
  readonly #queue: string;
  readonly #options: CheckedConsumeOptions;
  readonly #onAbort = () => this.#end(this.#options.signal!.reason);
  readonly #events: PartitionConsumerEvents = {
    received: (delivery) => this.#received(delivery),
    drained: (partition) => this.#drained(partition),
    failed: (error) => this.#failed(error),
    grown: (partitionCount) => void this.#grow(partitionCount),
  };
  readonly #sweepable: Sweepable = {
    sweep: (nowMs) => {
      for (const partition of this.#partitions) partition.sweep(nowMs);
    },
  };
  readonly #closeable: Closeable = {
    close: () => this.close(),
    abandon: () => this.#abandon(),
  };
  /** What has come and was not taken yet; `#first` is the next one. */
  #buffer: Delivery[] = [];
  #first = 0;
  #waiters: {
    resolve(result: IteratorResult<Delivery, undefined>): void;
    reject(error: unknown): void;
  }[] = [];
  #partitions: PartitionConsumer[] = [];
  #notDrained = new Set<PartitionConsumer>();
  /** How many partitions it has heard of. */
  #partitionCount = 0;
  #isAttached = false;
  #isEnded = false;
  /** Thrown once, when all that came before it has been taken. */
  #error: { readonly reason: unknown } | undefined;
  #closing: Promise<void> | undefined;

  /**
   * Consumers are made by `Queue.consume()`.
   *
   * @param core Of the client.
   * @param queue The queue's name.
   * @param options Prefetch, partitions, lease, drain and signal.
   */
  constructor(core: ClientCore, queue: string, options: ConsumeOptions) {
    this.#options = checkConsumeOptions(options);
    if (core.isClosed) throw new ClientClosedError();
    this.#core = core;
    this.#queue = queue;
    const { signal } = this.#options;
    core.watch(this.#sweepable);
    core.consumers.add(this.#closeable);
    if (signal?.aborted) this.#onAbort();
    else signal?.addEventListener("abort", this.#onAbort, { once: true });
    if (!this.#isEnded) void this.#attach();
  }

  /** The queue's name. */
  get queue(): string {
    return this.#queue;
  }

  /**
   * The next message.
   *
   * @returns A message, or the end: after `close()`, or when a draining consumer has got everything.
   * @throws {QueueNotFoundError} when there is no such queue, or it was deleted.
   * @throws {FlowMQError} when it has not the partitions that were asked for.
   * @throws The reason of the signal, when it was aborted.
   */
  next(): Promise<IteratorResult<Delivery, undefined>> {
    const delivery = this.#take();
    if (delivery !== undefined) return Promise.resolve({ done: false, value: delivery });
    if (this.#error !== undefined) {
      const { reason } = this.#error;
      this.#error = undefined;
      return Promise.reject(reason);
    }
    if (this.#isEnded) return Promise.resolve(done);
    if (this.#isDrained) {
      this.#endDrained();
      return Promise.resolve(done);
    }
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  /**
   * Takes messages several at a time, which saves most of what a message costs the client: whatever has
   * come by then, and waits only where nothing has. Leaving the loop closes the consumer.
   *
   * @param countMax How many messages a batch has at most; it cannot have more than the prefetch.
   * @returns Batches of one message or more, until the consumer ends as {@linkcode next} tells.
   * @throws {RangeError} when `countMax` is not a whole number from 1.
   *
   * @example Usage
   * ```ts ignore
   * const consumer = client.queue("orders").consume({ prefetch: 1_000 });
   * for await (const batch of consumer.batches(100)) {
   *   await store(batch.deliveries.map((delivery) => delivery.json()));
   *   await batch.ack();
   * }
   * ```
   */
  batches(countMax: number): AsyncGenerator<ConsumerBatch, undefined, undefined> {
    if (!Number.isSafeInteger(countMax) || countMax < 1) {
      throw new RangeError(
        `Cannot take batches of a size that is not a whole number from 1: current value is ${countMax}`,
      );
    }
    return this.#batches(countMax);
  }

  async *#batches(countMax: number): AsyncGenerator<ConsumerBatch, undefined, undefined> {
    let isLeft = true;
    try {
      while (true) {
        const { value: first } = await this.next();
        if (first === undefined) {
          isLeft = false;
          return;
        }
        const deliveries = [first];
        while (deliveries.length < countMax) {
          const delivery = this.#take();
          if (delivery === undefined) break;
          deliveries.push(delivery);
        }
        yield new ConsumerBatch(deliveries);
      }
    } finally {
      // After the end of a drain, what the loop has taken stays its own.
      if (isLeft) await this.close();
    }
  }

  /** Called where a `for await` loop is left; see {@linkcode close}. */
  async return(): Promise<IteratorResult<Delivery, undefined>> {
    await this.close();
    return done;
  }

  /** The consumer is its own iterator. */
  [Symbol.asyncIterator](): this {
    return this;
  }

  /**
   * Stops consuming: what has been settled is brought to an end, everything else that was delivered
   * goes to others at once.
   *
   * @returns When the cluster has taken it.
   */
  close(): Promise<void> {
    this.#end();
    return this.#closing ??= this.#close();
  }

  /** Closes the consumer at the end of an `await using` block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Ends without a word to the cluster: the client is being closed. */
  #abandon(): void {
    for (const partition of this.#partitions) partition.abandon();
    this.#end(this.#isEnded ? undefined : new ClientClosedError());
  }

  #received(delivery: Delivery): void {
    const waiter = this.#waiters.shift();
    if (waiter !== undefined) waiter.resolve({ done: false, value: delivery });
    else this.#buffer.push(delivery);
  }

  #drained(partition: PartitionConsumer): void {
    this.#notDrained.delete(partition);
    if (this.#isDrained && this.#waiters.length > 0) this.#endDrained();
  }

  #failed(error: unknown): void {
    this.#core.forgetQueue(this.#queue);
    this.#end(error);
  }

  get #isDrained(): boolean {
    return this.#options.drain && this.#isAttached && this.#notDrained.size === 0;
  }

  async #attach(): Promise<void> {
    try {
      const { signal } = this.#options;
      const wait = signal === undefined ? {} : { signal };
      const info = await this.#core.refreshQueue(this.#queue, wait);
      if (this.#isEnded) return;
      this.#consumePartitions(info);
      this.#isAttached = true;
    } catch (error) {
      this.#end(asQueueError(error, this.#queue));
    }
  }

  /** Consumes from partitions that the queue has got, too. */
  async #grow(partitionCount: number): Promise<void> {
    if (this.#options.partitions !== undefined || partitionCount <= this.#partitionCount) return;
    this.#partitionCount = partitionCount;
    const { runtime: { clock }, cluster: { closed } } = this.#core;
    while (!this.#isEnded) {
      try {
        const info = await this.#core.refreshQueue(this.#queue);
        if (!this.#isEnded) this.#consumePartitions(info);
      } catch (error) {
        // Anything else may be otherwise the next time.
        if (error instanceof QueueNotFoundError) return this.#failed(error);
      }
      if (this.#partitions.length >= partitionCount) return;
      await sleep(clock, clientLimits.backoffMsMax, closed).catch(() => {});
    }
  }

  /** Attaches to the partitions that there are, and shares out the prefetch. */
  #consumePartitions(info: QueueInfo): void {
    const { leaseMs, extendForMs, drain, partitions: wanted } = this.#options;
    const partitions = wanted === undefined
      ? info.partitions
      : wanted.map((number) => partitionOf(info, number, "consume from"));
    const known = this.#partitions.length;
    const partitionCount = info.partitions.length;
    const prefetch = Math.max(1, Math.floor(this.#options.prefetch / partitions.length));
    const share = { prefetch, partitionCount };
    this.#partitionCount = Math.max(this.#partitionCount, partitionCount);
    if (partitions.length > known) { for (const one of this.#partitions) one.shareAnew(share); }
    for (const { id, number, shard } of partitions.slice(known)) {
      const partition = { queue: this.#queue, partitionId: id, number, shard };
      const keeper = new LeaseKeeper(leaseMs ?? info.settings.leaseMs, extendForMs);
      const options = { share, drain, leaseMs, keeper };
      const consumer = new PartitionConsumer(this.#core, partition, options, this.#events);
      this.#partitions.push(consumer);
      this.#notDrained.add(consumer);
    }
  }

  /** The oldest message that has come and can still be settled. */
  #take(): Delivery | undefined {
    while (this.#first < this.#buffer.length) {
      const delivery = this.#buffer[this.#first]!;
      this.#first++;
      if (this.#first === this.#buffer.length) {
        this.#buffer = [];
        this.#first = 0;
      } else if (this.#first >= takenMax) {
        this.#buffer.splice(0, this.#first);
        this.#first = 0;
      }
      if (delivery.isCurrent) return delivery;
    }
    return undefined;
  }

  /**
   * Everything has been handed out: the iteration ends, but what the loop has taken stays its own until
   * it is settled, or the consumer is closed.
   */
  #endDrained(): void {
    this.#isEnded = true;
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
    const lingering = this.#partitions.map((partition) => partition.linger());
    void Promise.all(lingering).then(() => this.#forget());
    for (const { resolve } of this.#waiters.splice(0)) resolve(done);
  }

  /** Ends the iteration, and closes. */
  #end(reason?: unknown): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
    this.#buffer = [];
    this.#first = 0;
    this.#closing = this.#close();
    const waiters = this.#waiters.splice(0);
    if (reason !== undefined) {
      const first = waiters.shift();
      if (first === undefined) this.#error = { reason };
      else first.reject(reason);
    }
    // A loop that ends goes on when the cluster has taken the end.
    for (const { resolve } of waiters) void this.#closing.then(() => resolve(done));
  }

  async #close(): Promise<void> {
    await Promise.all(this.#partitions.map((partition) => partition.close()));
    this.#forget();
  }

  #forget(): void {
    this.#core.unwatch(this.#sweepable);
    this.#core.consumers.delete(this.#closeable);
  }
}
