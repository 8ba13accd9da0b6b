/**
 * The consumers of one partition of the naive model: whose turn it is, and what they hold for how long.
 *
 * @module
 */

import type { AttachConsumerCommand, HeldMessage, QueueSettings } from "./commands.ts";
import type { ModelConsumer, ModelMessage } from "./_message_model.ts";
import type { ModelShard } from "./_model_shard.ts";

/** The partition that they share. */
export interface SharedPartition {
  readonly paused: boolean;
  readonly settings: QueueSettings;
  readonly messages: readonly ModelMessage[];
}

/** Everybody who is attached to a partition. */
export class ConsumersModel {
  /** In the order in which they first attached. */
  readonly all: ModelConsumer[] = [];
  readonly #partition: SharedPartition;
  readonly #shard: ModelShard;
  /** Those with credit; the first one is next. */
  #turns: ModelConsumer[] = [];
  #leaseNumber = 0;

  constructor(partition: SharedPartition, shard: ModelShard) {
    this.#partition = partition;
    this.#shard = shard;
  }

  find(sessionId: number, consumerId: number): ModelConsumer | undefined {
    return this.all.find((consumer) =>
      consumer.sessionId === sessionId && consumer.consumerId === consumerId
    );
  }

  of(sessionId: number): ModelConsumer[] {
    return this.all.filter((consumer) => consumer.sessionId === sessionId);
  }

  attach(command: AttachConsumerCommand): void {
    const { sessionId, consumerId, partitionId, prefetch, drain, leaseMs = 0 } = command;
    let consumer = this.find(sessionId, consumerId);
    if (consumer === undefined) {
      const name = { sessionId, consumerId, partitionId };
      consumer = { ...name, prefetch, attached: true, draining: false, leaseMs };
      this.all.push(consumer);
    }
    const lasted = this.leaseMs(consumer);
    consumer.leaseMs = leaseMs;
    if (this.leaseMs(consumer) !== lasted) this.extendAll(consumer);
    consumer.prefetch = prefetch;
    consumer.draining = drain;
    consumer.attached = true;
    this.updateTurn(consumer);
  }

  /** What it holds is not looked at here. */
  remove(consumer: ModelConsumer): void {
    this.all.splice(this.all.indexOf(consumer), 1);
    this.#turns = this.#turns.filter((other) => other !== consumer);
  }

  get isAnybodyNext(): boolean {
    return this.#turns.length > 0;
  }

  /** Tells whose turn it is, and ends that turn. */
  next(): ModelConsumer {
    return this.#turns.shift()!;
  }

  /** Who gets credit goes to the end of the line, who has none leaves it. */
  updateTurn(consumer: ModelConsumer): void {
    const hasCredit = this.#isReceiving(consumer) && this.held(consumer).length < consumer.prefetch;
    const inLine = this.#turns.includes(consumer);
    if (hasCredit && !inLine) this.#turns.push(consumer);
    if (!hasCredit) this.#turns = this.#turns.filter((other) => other !== consumer);
  }

  sayDrained(): void {
    const { paused, messages } = this.#partition;
    if (!paused && messages.some(({ state }) => state === "ready")) return;
    for (const consumer of this.all) {
      if (!consumer.draining || !this.#isReceiving(consumer)) continue;
      const { sessionId, consumerId, partitionId } = consumer;
      consumer.draining = false;
      this.#shard.effects.drained.push({ sessionId, consumerId, partitionId });
    }
  }

  /** What anybody holds. */
  get leased(): ModelMessage[] {
    return this.#partition.messages.filter(({ state }) => state === "leased");
  }

  held(consumer: ModelConsumer): ModelMessage[] {
    return this.leased.filter(({ holder }) => holder === consumer);
  }

  leases(consumer: ModelConsumer): HeldMessage[] {
    return this.held(consumer).map(({ offset, deliveryCount, entryIndex, position }) => ({
      offset,
      deliveryCount,
      entryIndex,
      position,
    }));
  }

  leaseMs({ leaseMs }: ModelConsumer): number {
    return leaseMs || this.#partition.settings.leaseMs;
  }

  extend(message: ModelMessage): void {
    message.deadlineMs = this.#shard.nowMs + this.leaseMs(message.holder!);
    message.leaseNumber = ++this.#leaseNumber;
  }

  extendAll(consumer: ModelConsumer): void {
    for (const message of this.held(consumer)) this.extend(message);
  }

  /** A new leader gives every lease its full time again; they end in the order in which they did. */
  renewAll(): void {
    for (const message of this.leased) {
      message.deadlineMs = this.#shard.nowMs + this.leaseMs(message.holder!);
    }
  }

  /** Leases that have ended, in that order. */
  ended(): ModelMessage[] {
    const ended = this.leased.filter(({ deadlineMs }) => deadlineMs <= this.#shard.nowMs);
    const leaseMs = ({ holder }: ModelMessage) => this.leaseMs(holder!);
    return ended.sort((a, b) =>
      a.deadlineMs - b.deadlineMs || leaseMs(a) - leaseMs(b) || a.leaseNumber - b.leaseNumber
    );
  }

  #isReceiving({ attached, sessionId }: ModelConsumer): boolean {
    return attached && this.#shard.isAttached(sessionId);
  }
}
