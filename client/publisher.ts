/**
 * Publishes to one queue: finds the queue, chooses partitions, and holds back what the cluster cannot
 * take yet.
 *
 * The fast way is synchronous: the queue is known and the window has room, so a message is copied into
 * the open batch of its partition while `publish()` is being called. Otherwise messages wait in line,
 * and those that come later line up behind them, so that order is kept.
 *
 * A queue may get more partitions. Then some keys belong to others, and the cluster refuses what was placed
 * without knowing that. From there on nothing new is sent until all is known that was sent; then what
 * is left is placed anew, in its order, and everything goes on.
 *
 * @module
 */

import { batchCountMax, type QueueInfo, readMessageDetails } from "../wire/mod.ts";
import type { Batch } from "./batch.ts";
import { type CheckedMessage, checkMessage } from "./checked_message.ts";
import {
  AbortableCompletion,
  type Completion,
  type Receipt,
  ReceiptCollector,
  SingleCompletion,
} from "./completions.ts";
import { asQueueError, type ClientCore, type Sweepable } from "./core.ts";
import {
  ClientClosedError,
  type FlowMQError,
  QueueNotFoundError,
  RequestTimeoutError,
} from "./errors.ts";
import { partitionOfKey } from "./key_hash.ts";
import type { MessageProperties } from "./message_properties.ts";
import { clientLimits, positive } from "./options.ts";
import { PartitionProducer, type ProducerEvents } from "./partition_producer.ts";
import { sleep } from "./waiting.ts";

/** A message to be published. */
export interface OutgoingMessage extends MessageProperties {
  /** Text is sent as UTF-8. An array must not be changed until the message is confirmed. */
  readonly body: string | Uint8Array;
}

/** Settings of `publish()` and `publishBatch()`. */
export interface PublishOptions {
  /** Gives up waiting; a message that was sent by then may be stored all the same. */
  readonly signal?: AbortSignal;
  /** How long it may take until the message is confirmed. @default {the client's requestTimeoutMs} */
  readonly timeoutMs?: number;
  /** Whether a queue that does not exist is made, with the default settings. @default {true} */
  readonly create?: boolean;
}

/** Messages that wait in line. */
interface Waiting {
  readonly messages: readonly CheckedMessage[];
  readonly completion: Completion;
  readonly timeoutMs: number;
  readonly deadlineMs: number;
  readonly create: boolean;
}

/** See the module comment. */
export class Publisher implements ProducerEvents, Sweepable {
  readonly #core: ClientCore;
  readonly #queue: string;
  #producers: PartitionProducer[] = [];
  /** Replaced ones that still bring their sent batches to an end. */
  readonly #retired = new Set<PartitionProducer>();
  /** The partition that unkeyed messages go to, until its batch is closed. */
  #turn: number;
  #unconfirmedBytes = 0;
  #waiting: Waiting[] = [];
  /** While it is found out where messages go, as the queue has more partitions than were known. */
  #growth: { info?: QueueInfo } | undefined;
  #isResolving = false;
  #idleWaiters: (() => void)[] = [];

  /**
   * Makes a publisher.
   *
   * @param core Of the client.
   * @param queue The queue's name.
   */
  constructor(core: ClientCore, queue: string) {
    this.#core = core;
    this.#queue = queue;
    // Many clients that publish little should not all begin with the first partition.
    this.#turn = Math.floor(core.runtime.random() * 0x1_0000);
    core.watch(this);
  }

  /** Publishes one message; see `Queue.publish`. */
  publish(
    body: string | Uint8Array,
    options: MessageProperties & PublishOptions,
  ): Promise<Receipt> {
    return new Promise((resolve, reject) => {
      this.#checkCall(options);
      const timeoutMs = this.#timeoutOf(options);
      const message = checkMessage(this.#core, body, options);
      const completion = this.#abortable(new SingleCompletion(resolve, reject), options.signal);
      if (this.#hasRoom()) this.#put(message, completion, timeoutMs);
      else this.#wait([message], completion, timeoutMs, options);
    });
  }

  /** Publishes several messages; see `Queue.publishBatch`. */
  publishBatch(messages: readonly OutgoingMessage[], options: PublishOptions): Promise<Receipt[]> {
    if (messages.length === 0) return Promise.resolve([]);
    return new Promise((resolve, reject) => {
      this.#checkCall(options);
      const timeoutMs = this.#timeoutOf(options);
      const checked = messages.map((message) => checkMessage(this.#core, message.body, message));
      const receipts = new ReceiptCollector(checked.length, resolve, reject);
      const completion = this.#abortable(receipts, options.signal);
      if (this.#hasRoom()) this.#place(checked, completion, timeoutMs);
      else this.#wait(checked, completion, timeoutMs, options);
    });
  }

  /** Waits until everything published so far is confirmed or has failed. */
  flushed(): Promise<void> {
    if (this.#isIdle) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  /** Fails everything that is left: the client is being closed. */
  close(): void {
    this.#core.unwatch(this);
    this.#growth = undefined;
    const errorOf = (maybeApplied: boolean): FlowMQError => new ClientClosedError({ maybeApplied });
    for (const waiting of this.#waiting.splice(0)) waiting.completion.failed(errorOf(false));
    for (const producer of [...this.#producers, ...this.#retired]) {
      producer.session.remove(producer);
      producer.fail(errorOf);
    }
    this.#producers = [];
    this.#retired.clear();
    this.#tellIdle();
  }

  sweep(nowMs: number): void {
    // The line is in order of arrival, not of deadlines: each may have a time-out of its own.
    if (this.#waiting.some((one) => one.deadlineMs <= nowMs)) {
      const late = this.#waiting.filter((one) => one.deadlineMs <= nowMs);
      this.#waiting = this.#waiting.filter((one) => one.deadlineMs > nowMs);
      const what = `publish to queue ${JSON.stringify(this.#queue)}`;
      for (const { completion, timeoutMs } of late) {
        completion.failed(new RequestTimeoutError(what, timeoutMs, { maybeApplied: false }));
      }
    }
    for (const producer of [...this.#producers]) producer.sweep(nowMs);
    for (const producer of [...this.#retired]) {
      producer.sweep(nowMs);
      if (producer.isIdle) this.#retired.delete(producer);
    }
    this.#placeAnew();
    this.#tellIdle();
  }

  released(bytes: number): void {
    this.#unconfirmedBytes -= bytes;
    if (this.#waiting.length > 0) this.#drain();
    else if (this.#idleWaiters.length > 0) queueMicrotask(() => this.#tellIdle());
  }

  sealed(producer: PartitionProducer): void {
    const count = this.#producers.length;
    if (count > 0 && this.#producers[this.#turn % count] === producer) this.#turn++;
  }

  retired(producer: PartitionProducer, unsent: Batch[]): void {
    this.#core.sessions.replace(producer.session);
    this.#retired.add(producer);
    const successor = this.#makeProducer(producer.partition, this.#producers.length);
    if (this.#growth !== undefined) successor.hold();
    this.#producers[producer.partition.number] = successor;
    successor.succeed(producer, unsent);
  }

  queueGrown(producer: PartitionProducer): void {
    if (!this.#isCurrent(producer)) {
      // It was to bring its messages to an end in a queue that is gone.
      return this.#fail(producer.takeUnsent(), new QueueNotFoundError(this.#queue));
    }
    if (this.#growth !== undefined) return;
    this.#growth = {};
    for (const one of this.#senders) one.hold();
    void this.#learnGrowth(this.#growth);
  }

  settled(): void {
    this.#placeAnew();
  }

  partitionLost(lost: PartitionProducer): void {
    if (!this.#isCurrent(lost)) return;
    this.#core.forgetQueue(this.#queue);
    this.#growth = undefined;
    for (const producer of this.#retireAll()) if (producer !== lost) producer.finish();
  }

  /** Nothing more is given to the producers that there are. Returns all of them, the oldest first. */
  #retireAll(): PartitionProducer[] {
    for (const producer of this.#producers.splice(0)) this.#retired.add(producer);
    return [...this.#retired];
  }

  /** Those that send to the queue that is known by now, the oldest of each partition first. */
  get #senders(): PartitionProducer[] {
    return [...this.#retired, ...this.#producers].filter((one) => this.#isCurrent(one));
  }

  /** Whether a producer is for the queue that is known by now, and not for one that is gone. */
  #isCurrent({ partition: { number, partitionId } }: PartitionProducer): boolean {
    return this.#producers[number]?.partition.partitionId === partitionId;
  }

  get #isIdle(): boolean {
    return this.#unconfirmedBytes === 0 && this.#waiting.length === 0;
  }

  #tellIdle(): void {
    if (this.#idleWaiters.length === 0 || !this.#isIdle) return;
    for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }

  #timeoutOf(options: PublishOptions): number {
    return options.timeoutMs === undefined
      ? this.#core.settings.requestTimeoutMs
      : positive("timeoutMs", options.timeoutMs);
  }

  #checkCall(options: PublishOptions): void {
    options.signal?.throwIfAborted();
    if (this.#core.isClosed) throw new ClientClosedError();
  }

  #hasRoom(): boolean {
    return this.#waiting.length === 0 && this.#canPlace;
  }

  get #canPlace(): boolean {
    return this.#producers.length > 0 && this.#growth === undefined &&
      this.#unconfirmedBytes < this.#core.settings.windowBytes;
  }

  /** Puts one message into the batch of its partition. */
  #put(message: CheckedMessage, completion: Completion, timeoutMs: number): void {
    const { body, key, headers, options, place } = message;
    const producer = this.#producers[this.#partitionFor(place)]!;
    const batch = producer.begin(1, timeoutMs, body.length);
    this.#unconfirmedBytes += batch.add(body, key, headers, options, completion, 0);
  }

  /** Puts messages that belong together into batches, one for each partition concerned. */
  #place(messages: readonly CheckedMessage[], completion: Completion, timeoutMs: number): void {
    if (messages.length === 1) {
      this.#put(messages[0]!, completion, timeoutMs);
      return;
    }
    const groups = new Map<number, Group[]>();
    for (let position = 0; position < messages.length; position++) {
      const message = messages[position]!;
      const partition = this.#partitionFor(message.place);
      let parts = groups.get(partition);
      if (parts === undefined) groups.set(partition, parts = [{ positions: [], bytes: 0 }]);
      let part = parts[parts.length - 1]!;
      const bytes = upperBound(message);
      if (
        part.positions.length === batchCountMax ||
        part.positions.length > 0 && part.bytes + bytes > clientLimits.batchBytesMax
      ) parts.push(part = { positions: [], bytes: 0 });
      part.positions.push(position);
      part.bytes += bytes;
    }
    for (const [partition, parts] of groups) {
      for (const { positions, bytes } of parts) {
        const batch = this.#producers[partition]!.begin(positions.length, timeoutMs, bytes);
        for (const position of positions) {
          const { body, key, headers, options } = messages[position]!;
          this.#unconfirmedBytes += batch.add(body, key, headers, options, completion, position);
        }
      }
    }
  }

  #partitionFor(place: string | undefined): number {
    const count = this.#producers.length;
    return place === undefined ? this.#turn % count : partitionOfKey(place, count);
  }

  #abortable(completion: Completion, signal: AbortSignal | undefined): Completion {
    if (signal === undefined) return completion;
    return new AbortableCompletion(completion, signal, (aborted) => {
      this.#waiting = this.#waiting.filter((one) => one.completion !== aborted);
    });
  }

  #wait(
    messages: readonly CheckedMessage[],
    completion: Completion,
    timeoutMs: number,
    options: PublishOptions,
  ): void {
    const deadlineMs = this.#core.nowMs + timeoutMs;
    const create = options.create ?? true;
    this.#waiting.push({ messages, completion, timeoutMs, deadlineMs, create });
    if (this.#producers.length === 0) void this.#resolve();
  }

  /** Lets those in line go on, as far as there is room. */
  #drain(): void {
    let count = 0;
    while (count < this.#waiting.length && this.#canPlace) {
      const { messages, completion, timeoutMs } = this.#waiting[count++]!;
      this.#place(messages, completion, timeoutMs);
    }
    if (count > 0) this.#waiting.splice(0, count);
    if (this.#waiting.length > 0 && this.#producers.length === 0) void this.#resolve();
  }

  /** Finds the queue, or makes it, for those in line. */
  async #resolve(): Promise<void> {
    if (this.#isResolving) return;
    this.#isResolving = true;
    const first = this.#waiting[0]!;
    try {
      const options = { timeoutMs: Math.max(1, Math.ceil(first.deadlineMs - this.#core.nowMs)) };
      const info = first.create
        ? await this.#core.findOrCreateQueue(this.#queue, options)
        : await this.#core.findQueue(this.#queue, options);
      if (!this.#core.isClosed) this.#bind(info);
    } catch (error) {
      // Whoever has come later tries again for itself.
      if (this.#waiting[0] === first) this.#waiting.shift();
      first.completion.failed(asQueueError(error, this.#queue));
    }
    this.#isResolving = false;
    this.#drain();
    this.#tellIdle();
  }

  #bind({ partitions }: QueueInfo): void {
    const known = this.#producers.length;
    for (const { id, number, shard } of [...partitions].sort((a, b) => a.number - b.number)) {
      if (number < known) continue;
      const partition = { queue: this.#queue, partitionId: id, number, shard };
      this.#producers.push(this.#makeProducer(partition, partitions.length));
    }
  }

  #makeProducer(
    partition: PartitionProducer["partition"],
    partitionCount: number,
  ): PartitionProducer {
    const { sessions, runtime } = this.#core;
    const session = sessions.get(partition.shard, "producers");
    const producer = new PartitionProducer(partition, session, runtime, this, partitionCount);
    session.add(producer);
    return producer;
  }

  /** Asks which partitions the queue has, until there are more than were known. */
  async #learnGrowth(growth: { info?: QueueInfo }): Promise<void> {
    const { runtime: { clock }, cluster: { closed } } = this.#core;
    while (this.#growth === growth && !closed.aborted) {
      try {
        const info = await this.#core.refreshQueue(this.#queue);
        if (this.#growth !== growth) return;
        const { partitionId } = this.#producers[0]!.partition;
        const isSame = info.partitions.some(({ id }) => id === partitionId);
        // It was deleted, and there is another one of its name.
        if (!isSame) throw new QueueNotFoundError(this.#queue);
        if (info.partitions.length > this.#producers.length) growth.info = info;
      } catch (error) {
        // Anything else may be otherwise the next time.
        if (error instanceof QueueNotFoundError && this.#growth === growth) {
          return this.#lose(error);
        }
      }
      if (growth.info !== undefined) return this.#placeAnew();
      await sleep(clock, clientLimits.backoffMsMax, closed).catch(() => {});
    }
  }

  /** Once the queue's new partitions are known, and what became of all that was sent: goes on. */
  #placeAnew(): void {
    const info = this.#growth?.info;
    if (info === undefined) return;
    const before = this.#senders;
    if (!before.every(({ isSettled }) => isSettled)) return;
    // First of all, as those that come to their end by this say that they are settled.
    this.#growth = undefined;
    const unsent = this.#producers.map(({ partition }) =>
      before.filter((one) => one.partition.number === partition.number)
        .flatMap((one) => one.takeUnsent())
    );
    this.#bind(info);
    const placed = this.#producers.map((): Batch[] => []);
    for (const [number, batches] of unsent.entries()) {
      for (const batch of batches) this.#divide(batch, number, placed);
    }
    for (const [number, producer] of this.#producers.entries()) {
      producer.placeBy(this.#producers.length, placed[number]!);
    }
    this.#drain();
  }

  /** Copies the messages of a batch into batches for the partitions that they belong to. */
  #divide(batch: Batch, number: number, placed: readonly Batch[][]): void {
    const parts = new Map<number, Batch>();
    for (let position = 0; position < batch.messages.count; position++) {
      const { key, unique } = readMessageDetails(batch.messages.recordAt(position), 0);
      const place = key ?? unique;
      const target = place === undefined ? number : partitionOfKey(place, placed.length);
      let part = parts.get(target);
      if (part === undefined) {
        part = this.#producers[target]!.batchLike(batch);
        parts.set(target, part);
        placed[target]!.push(part);
      }
      part.addOf(batch, position);
    }
  }

  /** The queue is gone, as far as it was known. */
  #lose(error: FlowMQError): void {
    this.#growth = undefined;
    this.#core.forgetQueue(this.#queue);
    for (const producer of this.#retireAll()) {
      this.#fail(producer.takeUnsent(), error);
      producer.finish();
    }
    this.#drain();
  }

  #fail(batches: readonly Batch[], error: FlowMQError): void {
    for (const batch of batches) {
      this.released(batch.messages.bytes);
      batch.fail(error);
    }
  }
}

/** Messages of one call that go to one partition in one batch. */
interface Group {
  readonly positions: number[];
  bytes: number;
}

/** What a message takes at most: three bytes a code unit, and its framing. */
function upperBound({ body, key, headers, options }: CheckedMessage): number {
  const bodyBytes = typeof body === "string" ? body.length * 3 : body.length;
  return bodyBytes + (key === undefined ? 0 : key.length * 3) +
    (headers === undefined ? 0 : headers.length) + (options === undefined ? 0 : options.length) +
    16;
}
