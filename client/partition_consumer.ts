/**
 * A consumer of one partition: attaches, takes deliveries in, settles them.
 *
 * The cluster knows which messages this consumer holds, and so do we. After a lost connection we attach
 * again and say what we hold; the cluster sends what we lack and nothing else. A message that comes
 * twice all the same is known by its offset and delivery count, and dropped. Acks without an answer are
 * sent again: acking twice does no harm.
 *
 * When the cluster has forgotten the session, all leases are lost. That ends a life of this consumer:
 * deliveries of an earlier life cannot be settled any more, and those that nobody has taken yet vanish.
 *
 * @module
 */

import {
  type ConsumerEnded,
  decodeReply,
  decodeSettled,
  type Drained,
  encodeFrame,
  encodeSettleAndPublish,
  encodeSettleFrame,
  ErrorCode,
  type Frame,
  isDeliveredBefore,
  isRetryable,
  type QueueGrown,
  ReplyType,
  RequestType,
  type Settled,
  SettleOperation,
  visitDeliveries,
} from "../wire/mod.ts";
import type { Connection, ReplyHandler } from "./connection.ts";
import type { ClientCore, PushTarget } from "./core.ts";
import { type AckResult, Delivery, type MessageToQueue } from "./delivery.ts";
import {
  asFlowMQError,
  ClientClosedError,
  ConnectionLostError,
  errorOfReply,
  FlowMQError,
  LeaseExpiredError,
  QueueNotFoundError,
  RequestTimeoutError,
} from "./errors.ts";
import type { LeaseKeeper } from "./lease_keeper.ts";
import { clientLimits } from "./options.ts";
import { prepareMessages } from "./messages_with_ack.ts";
import type { ProducerPartition } from "./partition_producer.ts";
import type { Session, SessionMember } from "./session.ts";
import {
  plainSettle,
  SettleBatch,
  type SettleOptions,
  type SettlePart,
  unsettled,
} from "./settle_batch.ts";
import { atEndOfTurn } from "./turn.ts";

/** What a consumer of a partition tells the consumer of its queue. */
export interface PartitionConsumerEvents {
  /** A message has come. */
  received(delivery: Delivery): void;
  /** Nothing more is ready in this partition. */
  drained(consumer: PartitionConsumer): void;
  /** The partition cannot be consumed any more. */
  failed(error: FlowMQError): void;
  /** The queue has so many partitions. */
  grown(partitionCount: number): void;
}

/** What a consumer of a partition has of what the consumer of the queue may hold. */
export interface ConsumerShare {
  /** How many messages it may hold at once. */
  readonly prefetch: number;
  /** How many partitions there are, as far as is known. */
  readonly partitionCount: number;
}

/** Settings of a consumer of a partition. */
export interface PartitionConsumerOptions {
  /** How many messages it may hold at once, and with how many partitions it shares. */
  readonly share: ConsumerShare;
  /** Whether to be told when nothing is ready. */
  readonly drain: boolean;
  /** How long it holds a message, where that is not what the queue's settings say. */
  readonly leaseMs: number | undefined;
  /** Extends the leases of what takes long. */
  readonly keeper: LeaseKeeper;
}

/** One attempt to settle. */
class SettleAttempt implements ReplyHandler {
  constructor(
    readonly consumer: PartitionConsumer,
    readonly batch: SettleBatch,
    readonly connection: Connection,
  ) {}

  replied(frame: Frame): void {
    if (frame.type === ReplyType.settled) {
      const settled = decodeSettled(frame.payload);
      if (settled.statuses.length !== this.batch.count) {
        throw new ConnectionLostError(
          `Cannot take ${settled.statuses.length} statuses for ${this.batch.count} messages`,
        );
      }
      this.consumer.settled(this, settled);
      return;
    }
    const reply = decodeReply(frame.type, frame.payload);
    if (reply.kind !== "error") {
      throw new ConnectionLostError(`Cannot take ${reply.kind} for an answer to a settle`);
    }
    this.consumer.refused(this, errorOfReply(reply));
  }

  lost(error: FlowMQError): void {
    this.consumer.refused(this, error);
  }
}

/** See the module comment. */
export class PartitionConsumer implements SessionMember, PushTarget {
  /** What it consumes. */
  readonly partition: ProducerPartition;
  readonly #core: ClientCore;
  readonly #session: Session;
  readonly #options: PartitionConsumerOptions;
  readonly #events: PartitionConsumerEvents;
  /** What we hold, as far as we know: offset to delivery count. The oldest come first. */
  readonly #held = new Map<number, number>();
  #share: ConsumerShare;
  #consumerId: number;
  #life = 1;
  #open: SettleBatch | undefined;
  /** Closed and unconfirmed, in order. */
  #settles: SettleBatch[] = [];
  #isFlushing = false;
  readonly #gathered = () => this.#open?.count ?? 0;
  readonly #flush = () => {
    this.#isFlushing = false;
    this.#seal();
  };
  #state: "open" | "lingering" | "closing" | "closed" = "open";
  /** Where the cluster has been asked to detach it. */
  #detachingOn: Connection | undefined;
  #onClosed: (() => void)[] = [];

  /**
   * Makes a consumer and has it attached as soon as its session is ready.
   *
   * @param core Of the client.
   * @param partition What to consume.
   * @param options Prefetch and drain.
   * @param events What to tell the consumer of the queue.
   */
  constructor(
    core: ClientCore,
    partition: ProducerPartition,
    options: PartitionConsumerOptions,
    events: PartitionConsumerEvents,
  ) {
    this.partition = partition;
    this.#core = core;
    this.#options = options;
    this.#share = options.share;
    this.#events = events;
    this.#consumerId = core.register(this);
    this.#session = core.sessions.get(partition.shard, "consumers");
    this.#session.add(this);
  }

  /** Whether a delivery of this life can still be settled. */
  isCurrent(life: number): boolean {
    return life === this.#life && (this.#state === "open" || this.#state === "lingering");
  }

  /** Says something about a delivery; see `Delivery`. */
  settle(
    operation: SettleOperation,
    delivery: Delivery,
    life: number,
    options: SettleOptions = plainSettle,
  ): Promise<AckResult> {
    if (this.#isTooLate(life)) return Promise.reject(this.#tooLate(delivery));
    return this.#say(operation, delivery, options);
  }

  /** Says the same about several deliveries of this consumer; see `ConsumerBatch`. */
  settleAll(
    operation: SettleOperation,
    deliveries: readonly Delivery[],
    options: SettleOptions,
  ): SettlePart[] {
    const parts: SettlePart[] = [];
    const isInTime = (delivery: Delivery) => !this.#core.isClosed && delivery.isCurrent;
    let current = deliveries;
    if (!deliveries.every(isInTime)) {
      const late = deliveries.filter((delivery) => !isInTime(delivery));
      const outcome = unsettled((position) => this.#tooLate(late[position]!));
      parts.push({ deliveries: late, position: 0, outcome: Promise.resolve(outcome) });
      current = deliveries.filter(isInTime);
    }
    for (let from = 0, to = 0; from < current.length; from = to) {
      const batch = this.#batchFor(operation, options);
      to = from + clientLimits.settleCountSoft - batch.count;
      const part = current.slice(from, to);
      parts.push({ deliveries: part, position: batch.count, outcome: batch.outcome });
      for (const { offset, deliveryCount } of part) batch.add(offset, deliveryCount);
    }
    return parts;
  }

  /** Whether deliveries of a life cannot be settled any more, as far as is known here. */
  #isTooLate(life: number): boolean {
    return this.#core.isClosed || !this.isCurrent(life);
  }

  /** Why a delivery cannot be settled any more. */
  #tooLate({ offset }: Delivery): FlowMQError {
    if (this.#core.isClosed) return new ClientClosedError();
    return new LeaseExpiredError(this.partition.queue, this.partition.number, offset);
  }

  #say(
    operation: SettleOperation,
    { offset, deliveryCount }: Pick<Delivery, "offset" | "deliveryCount">,
    options: SettleOptions,
  ): Promise<AckResult> {
    const batch = this.#batchFor(operation, options);
    return batch.result(batch.add(offset, deliveryCount));
  }

  /** The batch that takes the next word; it is sent at the end of the turn. */
  #batchFor(operation: SettleOperation, options: SettleOptions): SettleBatch {
    const isFull = (this.#open?.count ?? 0) >= clientLimits.settleCountSoft;
    // Words about one message stay in the order in which they were said.
    if (isFull || this.#open?.isFor(operation, options) !== true) this.#seal();
    if (!this.#isFlushing) {
      this.#isFlushing = true;
      atEndOfTurn(this.#gathered, this.#flush);
    }
    return this.#open ??= new SettleBatch(
      operation,
      options,
      this.#consumerId,
      this.#core.nowMs + this.#core.settings.requestTimeoutMs,
    );
  }

  /** Acks a delivery and publishes messages in one step; see `Delivery`. */
  async ackAndPublish(
    delivery: Delivery,
    life: number,
    messages: readonly MessageToQueue[],
  ): Promise<AckResult> {
    if (this.#core.isClosed) throw new ClientClosedError();
    const prepared = await prepareMessages(this.#core, messages);
    if (this.#isTooLate(life)) throw this.#tooLate(delivery);
    // Words about one message stay in the order in which they were said.
    this.#seal();
    const batch = new SettleBatch(
      SettleOperation.ack,
      plainSettle,
      this.#consumerId,
      this.#core.nowMs + this.#core.settings.requestTimeoutMs,
      { sequence: this.#session.settles.take(), ...prepared },
    );
    const position = batch.add(delivery.offset, delivery.deliveryCount);
    this.#close(batch);
    return await batch.result(position);
  }

  /**
   * Brings what was said to an end, then gives the rest back.
   *
   * @returns When the cluster has taken it, or the session is gone.
   */
  close(): Promise<void> {
    if (this.#state === "closed") return Promise.resolve();
    const closed = new Promise<void>((resolve) => this.#onClosed.push(resolve));
    if (this.#state !== "closing") {
      this.#seal();
      this.#state = "closing";
      this.#detachWhenSettled();
    }
    return closed;
  }

  /**
   * Takes nothing more, and closes by itself when all that was delivered is settled.
   *
   * @returns When it is closed.
   */
  linger(): Promise<void> {
    if (this.#state === "open") {
      this.#state = "lingering";
      if (this.#held.size === 0) return this.close();
      // With a prefetch of 1 it has no credit as long as it holds anything.
      const connection = this.#session.connection;
      if (connection !== undefined) void this.#attach(connection);
    }
    if (this.#state === "closed") return Promise.resolve();
    return new Promise((resolve) => this.#onClosed.push(resolve));
  }

  /** Ends it without a word: the client is being closed. */
  abandon(): void {
    this.#seal();
    for (const batch of this.#settles.splice(0)) {
      this.#forget(batch);
      batch.fail(() => new ClientClosedError({ maybeApplied: batch.attempts > 0 }));
    }
    this.#finish();
  }

  /** Extends leases, and fails what has waited too long; called again and again. */
  sweep(nowMs: number): void {
    this.#extendLeases(nowMs);
    if (!this.#settles.some((batch) => batch.deadlineMs <= nowMs)) return;
    const late = this.#settles.filter((batch) => batch.deadlineMs <= nowMs);
    this.#settles = this.#settles.filter((batch) => batch.deadlineMs > nowMs);
    for (const batch of late) {
      this.#forget(batch);
      batch.fail((offset) =>
        new RequestTimeoutError(
          `settle message ${offset} of queue ${JSON.stringify(this.partition.queue)}`,
          this.#core.settings.requestTimeoutMs,
          { maybeApplied: batch.attempts > 0 },
        )
      );
    }
    this.#detachWhenSettled();
  }

  #extendLeases(nowMs: number): void {
    if (this.#state !== "open" && this.#state !== "lingering") return;
    // Without a connection the words would only wait, and be of no use.
    if (this.#session.connection === undefined) return;
    const life = this.#life;
    for (const offset of this.#options.keeper.due(nowMs, this.#held)) {
      const deliveryCount = this.#held.get(offset)!;
      const held = { offset, deliveryCount };
      this.#say(SettleOperation.extend, held, plainSettle).catch((error) => {
        const isLost = error instanceof LeaseExpiredError && life === this.#life;
        if (isLost && this.#held.get(offset) === deliveryCount) this.#held.delete(offset);
      });
    }
  }

  attaching(): void {
    // Deliveries come over a connection only once the session is attached there.
  }

  ready(): void {
    const connection = this.#session.connection!;
    if (this.#state === "open" || this.#state === "lingering") void this.#attach(connection);
    // Leases are in the log: what is known of them does not depend on the answer to the attach.
    for (const batch of this.#settles) this.#send(batch, connection);
    this.#detachWhenSettled();
  }

  down(): void {
    // What waits is sent again when the session is ready.
  }

  forgotten(error: FlowMQError): void {
    this.#loseLeases(error);
    if (this.#state !== "open") this.#finish();
  }

  delivered(payload: Uint8Array): void {
    // A leader that was paused, and deposed meanwhile, does not know yet what was acked elsewhere.
    if (isDeliveredBefore(payload, this.#session.term)) return;
    // There was credit, so that what it lingers for is over: give this one back at once.
    if (this.#state === "lingering") void this.close();
    if (this.#state !== "open") return;
    visitDeliveries(payload, (offset, deliveryCount, term, index, publishedAtMs, start, end) => {
      const heldCount = this.#held.get(offset);
      if (heldCount === deliveryCount) return;
      // What comes again is the newest now.
      if (heldCount !== undefined) this.#held.delete(offset);
      this.#held.set(offset, deliveryCount);
      this.#events.received(
        new Delivery(
          this,
          this.#life,
          offset,
          deliveryCount,
          term,
          index,
          publishedAtMs,
          payload,
          start,
          end,
        ),
      );
    });
    this.#dropOldestHeld();
  }

  drained({ partitionId, term }: Drained): void {
    if (partitionId !== this.partition.partitionId || term < this.#session.term) return;
    this.#events.drained(this);
  }

  grown({ partitionId, partitionCount }: QueueGrown): void {
    if (partitionId === this.partition.partitionId) this.#events.grown(partitionCount);
  }

  /**
   * Goes on with another share.
   *
   * @param share What it has from now on.
   */
  shareAnew(share: ConsumerShare): void {
    this.#share = share;
    const connection = this.#session.connection;
    if (this.#state === "open" && connection !== undefined) void this.#attach(connection);
  }

  ended({ partitionId, reason }: ConsumerEnded): void {
    if (partitionId !== this.partition.partitionId) return;
    this.#fail(
      new FlowMQError(`The partition is gone: ${reason}`, { code: ErrorCode.partitionNotFound }),
    );
  }

  /** The broker has answered. */
  settled({ batch }: SettleAttempt, settled: Settled): void {
    if (!this.#remove(batch)) return;
    if (batch.operation !== SettleOperation.extend) {
      for (let i = 0; i < batch.count; i++) {
        const offset = batch.offsets[i]!;
        // It may be held again already: a nack can bring it back before its own answer comes.
        if (this.#held.get(offset) === batch.deliveryCounts[i]) this.#held.delete(offset);
      }
    }
    batch.complete(this.partition, settled);
    if (this.#state === "lingering" && this.#held.size === 0) void this.close();
    this.#detachWhenSettled();
  }

  /** The broker has refused, or the connection was lost. */
  refused({ batch, connection }: SettleAttempt, error: FlowMQError): void {
    if (isRetryable(error.code) || error.code === ErrorCode.sessionNotFound) {
      this.#session.disturb(connection, error);
    } else if (error.code === ErrorCode.consumerNotFound) {
      if (this.#session.connection !== connection || !this.#settles.includes(batch)) return;
      this.forgotten(error);
      if (this.#state === "open") this.ready();
    } else if (this.#remove(batch)) {
      batch.fail(() => this.#asQueueError(error));
      this.#detachWhenSettled();
    }
  }

  async #attach(connection: Connection): Promise<void> {
    try {
      await connection.request({
        kind: "attachConsumer",
        sessionId: this.#session.id,
        consumerId: this.#consumerId,
        partitionId: this.partition.partitionId,
        prefetch: this.#state === "lingering" ? 1 : this.#share.prefetch,
        drain: this.#state === "open" && this.#options.drain,
        ...(this.#options.leaseMs === undefined ? {} : { leaseMs: this.#options.leaseMs }),
        partitionCount: this.#share.partitionCount,
        held: [...this.#held].map(([offset, deliveryCount]) => ({ offset, deliveryCount })),
      }, this.partition.shard);
    } catch (thrown) {
      const error = asFlowMQError(thrown);
      if (isRetryable(error.code) || error.code === ErrorCode.sessionNotFound) {
        this.#session.disturb(connection, error);
      } else {
        this.#fail(error);
      }
    }
  }

  /** There is nothing to be consumed any more. */
  #fail(error: FlowMQError): void {
    if (this.#state === "closed") return;
    const isEndedByUser = this.#state === "closing";
    this.#loseLeases(error);
    this.#finish();
    if (!isEndedByUser) this.#events.failed(this.#asQueueError(error));
  }

  #detachWhenSettled(): void {
    const connection = this.#session.connection;
    if (this.#state !== "closing" || connection === undefined) return;
    // What is given back needs no longer lease.
    if (this.#settles.some(({ operation }) => operation !== SettleOperation.extend)) return;
    if (this.#detachingOn === connection) return;
    this.#detachingOn = connection;
    void this.#detach(connection);
  }

  async #detach(connection: Connection): Promise<void> {
    try {
      await connection.request({
        kind: "detachConsumer",
        sessionId: this.#session.id,
        consumerId: this.#consumerId,
        partitionId: this.partition.partitionId,
      }, this.partition.shard);
    } catch (thrown) {
      const error = asFlowMQError(thrown);
      if (isRetryable(error.code) || error.code === ErrorCode.sessionNotFound) {
        // Tried again when the session is ready: what is never detached would go on getting messages.
        this.#detachingOn = undefined;
        this.#session.disturb(connection, error);
        return;
      }
    }
    this.#finish();
  }

  /** Nothing is attached any more. */
  #finish(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    const { queue, number } = this.partition;
    for (const batch of this.#settles.splice(0)) {
      batch.fail((offset) => new LeaseExpiredError(queue, number, offset));
    }
    this.#session.remove(this);
    this.#core.unregister(this.#consumerId);
    for (const resolve of this.#onClosed.splice(0)) resolve();
  }

  #seal(): void {
    const batch = this.#open;
    if (batch === undefined) return;
    this.#open = undefined;
    this.#close(batch);
  }

  #close(batch: SettleBatch): void {
    this.#settles.push(batch);
    const connection = this.#session.connection;
    if (connection !== undefined) this.#send(batch, connection);
  }

  #send(batch: SettleBatch, connection: Connection): void {
    batch.attempts++;
    const correlationId = connection.expect(new SettleAttempt(this, batch, connection));
    const { shard, partitionId } = this.partition;
    const { consumerId, offsets, deliveryCounts, operation, options, publishing } = batch;
    const words = {
      sessionId: this.#session.id,
      consumerId,
      partitionId,
      offsets,
      deliveryCounts,
    };
    if (publishing === undefined) {
      const command = { kind: "settle", operation, ...options, ...words } as const;
      connection.send(encodeSettleFrame(RequestType.settle, shard, correlationId, command));
      return;
    }
    const { sequence, targets, messages } = publishing;
    const { answeredBelow } = this.#session.settles;
    const command = encodeSettleAndPublish(
      { ...words, sequence, answeredBelow, targets },
      messages,
    );
    connection.send(encodeFrame(RequestType.settleAndPublish, shard, correlationId, command));
  }

  #remove(batch: SettleBatch): boolean {
    const at = this.#settles.indexOf(batch);
    if (at === -1) return false;
    this.#settles.splice(at, 1);
    this.#forget(batch);
    return true;
  }

  /** Nobody waits for the answer to a batch any more. */
  #forget({ publishing }: SettleBatch): void {
    if (publishing !== undefined) this.#session.settles.answered(publishing.sequence);
  }

  /** Begins a new life: whatever was held is someone else's now. */
  #loseLeases(cause: FlowMQError): void {
    this.#seal();
    this.#life++;
    this.#held.clear();
    this.#core.unregister(this.#consumerId);
    if (this.#state === "open") this.#consumerId = this.#core.register(this);
    const { queue, number } = this.partition;
    for (const batch of this.#settles.splice(0)) {
      const maybeApplied = batch.attempts > 0;
      this.#forget(batch);
      batch.fail((offset) => new LeaseExpiredError(queue, number, offset, { maybeApplied, cause }));
    }
  }

  /**
   * A consumer that never settles gets the same messages again and again, and others in between. What
   * is older than several times its prefetch cannot be ours any more.
   */
  #dropOldestHeld(): void {
    let excess = this.#held.size - Math.max(1_000, 4 * this.#share.prefetch);
    if (excess <= 0) return;
    for (const offset of this.#held.keys()) {
      if (excess-- <= 0) return;
      this.#held.delete(offset);
    }
  }

  #asQueueError(error: FlowMQError): FlowMQError {
    const isGone = error.code === ErrorCode.partitionNotFound ||
      error.code === ErrorCode.queueNotFound;
    return isGone ? new QueueNotFoundError(this.partition.queue, { cause: error }) : error;
  }
}
