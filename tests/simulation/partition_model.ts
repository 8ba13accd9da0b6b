/**
 * One partition of the model: its messages, and what becomes of each.
 *
 * Everything is kept for every message ever published, and each is in exactly one state, so that the
 * model is easy to see through. Nothing here knows the tables of the queue machine.
 *
 * @module
 */

import { isDeadLetterQueue, type QueueSettings } from "../../queue/mod.ts";
import { backoffMs } from "../../queue/backoff.ts";
import type { DeathReason } from "../../queue/commands.ts";
import { KeyChecker } from "./key_checker.ts";
import { ReadyLines } from "./ready_lines.ts";
import { ReplayModel } from "./replay_model.ts";

/** What may become of a message. */
export type MessageState =
  | "ready"
  | "delayed"
  | "leased"
  | "acked"
  | "dead"
  | "expired"
  | "dropped"
  | "purged"
  /** Not stored: one that is unique by the same was alive. */
  | "repeated";

/** A message as it is published. */
export interface NewMessage {
  readonly id: string;
  readonly key: string | undefined;
  /** Where it was published. */
  readonly index: number;
  readonly term: number;
  readonly priority: number;
  /** Before that nobody gets it. */
  readonly dueMs: number;
  /** When its time is over; `Infinity` for never. */
  readonly expiresAtMs: number;
  /** What it is unique by. */
  readonly unique: string | undefined;
  /** How many bytes it is published with, and how many it counts for: its share of the batch. */
  readonly bytes: number;
  readonly share: number;
}

/** A message, and what became of it. */
export interface ModelMessage extends Omit<NewMessage, "dueMs" | "share"> {
  readonly offset: number;
  share: number;
  state: MessageState;
  /** The entry that ended it. */
  goneIndex: number;
  deliveryCount: number;
  /** The entry that delivered it last. */
  deliveredIndex: number;
  lease: Lease | undefined;
  /** While it is delayed: until when. */
  dueMs: number;
  /** It has a key, and asked for nothing that gives it a place of its own. */
  readonly isInOrder: boolean;
  /** Which application has seen each delivery, by its count. */
  readonly seen: Map<number, string>;
}

/** A message in the hands of a consumer. */
export interface Lease {
  readonly consumer: ModelConsumer;
  deadlineMs: number;
}

/** A consumer. */
export interface ModelConsumer {
  readonly sessionId: number;
  readonly consumerId: number;
  prefetch: number;
  /** How long it holds a message; 0 for what the queue says. */
  leaseMs: number;
  /** Not since its session lost its connection. */
  attached: boolean;
  /** How many messages it holds. */
  held: number;
}

/** Told what becomes of messages. */
export interface PartitionHost {
  /** The entry that is being applied. */
  readonly index: number;
  /** The time of the log. */
  readonly nowMs: number;
  /** A message has died: it is on its way to the dead-letter queue. */
  died(
    partition: ModelPartition,
    message: ModelMessage,
    reason: DeathReason,
    deliveryCount: number,
  ): void;
  /** A message that was acked is on its way back. */
  revived(partition: ModelPartition, message: ModelMessage): void;
  /** Counts something that happened. */
  count(what: string, by?: number): void;
}

/** One partition. */
export class ModelPartition {
  readonly id: number;
  readonly queue: string;
  readonly number: number;
  readonly shard: number;
  settings: QueueSettings;
  paused = false;
  revision = 0;
  /** While its queue is getting more partitions: how many there were before. */
  growingFrom: number | undefined;
  /** The entry by which it heard last that there are more partitions. */
  grownIndex = 0;
  /** Its queue got it when it was in use. */
  cameLater = false;
  readonly messages: ModelMessage[] = [];
  /** How many messages are in each state. */
  readonly counts: Record<MessageState, number> = {
    ready: 0,
    delayed: 0,
    leased: 0,
    acked: 0,
    dead: 0,
    expired: 0,
    dropped: 0,
    purged: 0,
    repeated: 0,
  };
  /** Acked messages that may come back. */
  readonly history = new ReplayModel();
  readonly consumers = new Map<string, ModelConsumer>();
  readonly leased = new Set<ModelMessage>();
  /** Ready messages without a key, or in whose queue keys mean nothing. */
  readonly ready = new ReadyLines<ModelMessage>();
  /** Those of keys that take turns. */
  readonly #readyOfKeys = new ReadyLines<ModelMessage>();
  /** Those that wait for other partitions. */
  readonly #heldBack = new ReadyLines<ModelMessage>();
  readonly keys: KeyChecker;
  readonly #delayed = new Set<ModelMessage>();
  /** Bytes of those alive, by their shares. */
  #liveBytes = 0;
  #bytesPublished = 0;
  /** Those alive that will expire. */
  readonly #mortal = new Set<ModelMessage>();
  /** The newest message stored for each text that messages are unique by. */
  readonly #uniques = new Map<string, ModelMessage>();
  readonly #host: PartitionHost;

  constructor(
    { shard, id, queue, number }: Pick<ModelPartition, "shard" | "id" | "queue" | "number">,
    settings: QueueSettings,
    host: PartitionHost,
  ) {
    this.shard = shard;
    this.id = id;
    this.queue = queue;
    this.number = number;
    this.settings = settings;
    this.#host = host;
    this.keys = new KeyChecker(settings);
  }

  /** Messages that wait or are leased. */
  get live(): number {
    const { ready, delayed, leased } = this.counts;
    return ready + delayed + leased;
  }

  /** As many messages as there may be, and bytes. */
  get #most(): { readonly messages: number; readonly bytes: number } {
    const { maxMessages, maxBytes } = this.settings;
    const partitions = this.growingFrom ?? this.settings.partitions;
    const share = (of: number) => of === 0 ? Infinity : Math.max(1, Math.floor(of / partitions));
    return { messages: share(maxMessages), bytes: share(maxBytes) };
  }

  /** Whether nothing more is taken. */
  get isFull(): boolean {
    const { messages, bytes } = this.#most;
    return this.settings.overflow === "reject" &&
      (this.live >= messages || this.#liveBytes >= bytes);
  }

  /** Whether it is new in its queue, and messages with a key have to wait. */
  get isHolding(): boolean {
    return this.growingFrom !== undefined && this.number >= this.growingFrom;
  }

  /** Whether a message has to wait, as older ones of its key may be in other partitions. */
  isHeldBack({ offset, isInOrder }: ModelMessage): boolean {
    return this.isHolding && (isInOrder || this.keys.has(offset));
  }

  /** Its queue begins to grow, or has grown. */
  grow(growingFrom: number | undefined): void {
    const ready = this.messages.filter(({ state }) => state === "ready");
    for (const message of ready) this.#leave(message);
    this.growingFrom = growingFrom;
    for (const message of ready) this.#enter(message);
  }

  /** The settings of the queue are others now. */
  update(settings: QueueSettings): void {
    if (this.settings.maxBytes === 0 && settings.maxBytes > 0) {
      // What is there when counting begins counts for the average of all that came.
      const share = Math.ceil(this.#bytesPublished / this.messages.length);
      for (const message of this.messages) message.share = share;
      this.#liveBytes = this.live === 0 ? 0 : this.live * share;
    }
    this.settings = settings;
  }

  /**
   * Stores a message, or finds that it is here.
   *
   * @returns The one that keeps it out, where there is one.
   */
  store(message: NewMessage): ModelMessage | undefined {
    const { unique, dueMs } = message;
    const earlier = unique === undefined ? undefined : this.#uniques.get(unique);
    const isRepeat = earlier !== undefined && isAlive(earlier);
    const isDelayed = dueMs > this.#host.nowMs;
    const stored: ModelMessage = {
      ...message,
      offset: this.messages.length,
      state: isRepeat ? "repeated" : isDelayed ? "delayed" : "ready",
      goneIndex: 0,
      deliveryCount: 0,
      deliveredIndex: 0,
      lease: undefined,
      dueMs: isDelayed ? dueMs : 0,
      isInOrder: message.key !== undefined && !isDelayed && message.priority === 0,
      seen: new Map(),
    };
    this.messages.push(stored);
    this.#bytesPublished += message.bytes;
    if (!isRepeat) this.keys.published(stored);
    this.#enter(stored);
    if (isRepeat) {
      this.#host.count("queue: messages not stored, as a unique one was alive");
      return earlier;
    }
    if (unique !== undefined) this.#uniques.set(unique, stored);
    if (earlier !== undefined) this.#host.count(`queue: unique texts used again: ${earlier.state}`);
    if (stored.expiresAtMs < Infinity) this.#mortal.add(stored);
    if (isDelayed) this.#host.count("queue: messages published with a delay");
    if (stored.priority > 0) this.#host.count("queue: messages published with a priority");
    if (stored.expiresAtMs < Infinity) this.#host.count("queue: messages published for a time");
    return undefined;
  }

  /** Hands a message out. */
  deliver(message: ModelMessage, consumer: ModelConsumer): void {
    this.#become(message, "leased");
    message.deliveryCount++;
    message.deliveredIndex = this.#host.index;
    message.lease = { consumer, deadlineMs: this.#host.nowMs + this.leaseMsOf(consumer) };
    consumer.held++;
  }

  /** A consumer is no more: what it holds comes back, and counts as failed where it was not closed. */
  endConsumer(consumer: ModelConsumer, how: "closed" | "timedOut"): void {
    this.consumers.delete(nameOfConsumer(consumer));
    for (const message of this.leased) {
      if (message.lease!.consumer !== consumer) continue;
      if (how === "closed") this.giveBack(message);
      else this.fail(message, 0);
    }
  }

  /** How long a consumer holds a message. */
  leaseMsOf({ leaseMs }: ModelConsumer): number {
    return leaseMs || this.settings.leaseMs;
  }

  /** Leases that go on get all of their time again. */
  renewLeases(which: (consumer: ModelConsumer) => boolean): void {
    for (const { lease } of this.leased) {
      const { consumer } = lease!;
      if (which(consumer)) lease!.deadlineMs = this.#host.nowMs + this.leaseMsOf(consumer);
    }
  }

  /** The holder has done with a message. */
  ack(message: ModelMessage): void {
    this.#become(message, "acked");
    this.#host.count("queue: messages acked");
    if (this.settings.historyMs === 0) return;
    const { nowMs: atMs, index } = this.#host;
    this.history.acked({ offset: message.offset, atMs, index });
  }

  /** The holder wants nobody to have a message. */
  reject(message: ModelMessage): void {
    this.#host.count("queue: messages rejected");
    if (isDeadLetterQueue(this.queue)) this.#become(message, "dropped");
    else this.#die(message, "rejected", message.deliveryCount);
  }

  /** A holder that has not failed gives a message back. */
  giveBack(message: ModelMessage): void {
    this.#comeBack(message, 0);
  }

  /**
   * A holder has failed with a message: it waits, or dies.
   *
   * @param delayMs How long it waits; `undefined` for the back-off.
   */
  fail(message: ModelMessage, delayMs?: number): void {
    const { settings } = this;
    const { deliveryCount, offset } = message;
    const isTooOften = settings.maxDeliveries > 0 && deliveryCount >= settings.maxDeliveries &&
      !isDeadLetterQueue(this.queue);
    if (isTooOften && message.expiresAtMs > this.#host.nowMs) {
      return this.#die(message, "maxDeliveries", deliveryCount);
    }
    this.#comeBack(message, delayMs ?? backoffMs(settings, this.id, offset, deliveryCount));
  }

  /** What time brings: leases end, messages are due, messages expire, acked ones are forgotten or go back. */
  passTime(): void {
    const { nowMs } = this.#host;
    for (const message of this.leased) {
      if (message.lease!.deadlineMs > nowMs) continue;
      this.#host.count("queue: leases expired");
      this.fail(message);
    }
    for (const message of this.#delayed) {
      if (message.dueMs > nowMs) continue;
      if (message.expiresAtMs <= nowMs) this.#expire(message, message.deliveryCount);
      else this.#become(message, "ready");
    }
    for (const message of this.#mortal) {
      if (message.expiresAtMs > nowMs || message.state === "leased") continue;
      this.#expire(message, 0);
    }
    this.history.forget(nowMs, this.settings.historyMs);
    for (const offset of this.history.take()) {
      this.#host.count("queue: messages on their way back");
      this.#host.revived(this, this.messages[offset]!);
    }
  }

  /**
   * Everything that nobody holds is taken out.
   *
   * @returns How many messages that were.
   */
  purge(): number {
    const waiting = this.messages.filter(({ state }) => state === "ready" || state === "delayed");
    for (const message of waiting) this.#become(message, "purged");
    this.#host.count("queue: messages purged", waiting.length);
    return waiting.length;
  }

  /**
   * A message that waits is taken out.
   *
   * @returns Whether it waits.
   */
  remove(offset: number): boolean {
    const message = this.messages[offset];
    if (message?.state !== "ready" && message?.state !== "delayed") return false;
    this.#become(message, "purged");
    this.#host.count("queue: messages removed");
    return true;
  }

  /** Where there are too many messages, or bytes, the oldest that are ready are dropped. */
  dropOldest(): void {
    if (this.settings.overflow !== "dropOldest") return;
    const { messages, bytes } = this.#most;
    for (;;) {
      const isTooMany = this.live > messages;
      // The last message stays, however large it is.
      const isTooLarge = this.#liveBytes > bytes && this.live > 1;
      const [oldest] = [this.ready, this.#readyOfKeys, this.#heldBack]
        .flatMap((lines) => lines.oldest() ?? [])
        .sort((one, other) => one.offset - other.offset);
      if (oldest === undefined || !(isTooMany || isTooLarge)) return;
      this.#become(oldest, "dropped");
      this.#host.count(
        `queue: messages dropped${isTooMany ? "" : ", as there are too many bytes"}`,
      );
    }
  }

  /** Makes a message that was leased ready after a while, unless its time is over. */
  #comeBack(message: ModelMessage, waitMs: number): void {
    const { nowMs } = this.#host;
    if (message.expiresAtMs <= nowMs) return this.#expire(message, message.deliveryCount);
    if (waitMs === 0) return this.#become(message, "ready");
    this.#become(message, "delayed");
    message.dueMs = nowMs + waitMs;
    this.#host.count("queue: messages backing off");
  }

  #expire(message: ModelMessage, deliveryCount: number): void {
    if (this.settings.deadLetterExpired && !isDeadLetterQueue(this.queue)) {
      return this.#die(message, "expired", deliveryCount);
    }
    this.#become(message, "expired");
    this.#host.count("queue: messages expired");
  }

  #die(message: ModelMessage, reason: DeathReason, deliveryCount: number): void {
    this.#become(message, "dead");
    this.#host.count(`queue: messages dead: ${reason}`);
    this.#host.died(this, message, reason, deliveryCount);
  }

  #linesOf(message: ModelMessage): ReadyLines<ModelMessage> {
    if (this.isHeldBack(message)) return this.#heldBack;
    return this.keys.has(message.offset) ? this.#readyOfKeys : this.ready;
  }

  #become(message: ModelMessage, state: MessageState): void {
    this.#leave(message);
    message.state = state;
    this.#enter(message);
    if (isAlive(message)) return;
    message.goneIndex = this.#host.index;
    this.#mortal.delete(message);
  }

  #enter(message: ModelMessage): void {
    this.counts[message.state]++;
    if (isAlive(message)) this.#liveBytes += message.share;
    if (message.state === "ready") this.#linesOf(message).add(message);
    else if (message.state === "delayed") this.#delayed.add(message);
    else if (message.state === "leased") this.leased.add(message);
  }

  #leave(message: ModelMessage): void {
    this.counts[message.state]--;
    if (isAlive(message)) this.#liveBytes -= message.share;
    if (message.state === "ready") this.#linesOf(message).remove(message);
    else if (message.state === "delayed") {
      this.#delayed.delete(message);
      message.dueMs = 0;
    } else if (message.state === "leased") {
      this.leased.delete(message);
      message.lease!.consumer.held--;
      message.lease = undefined;
    }
  }
}

/** Whether a message may still be delivered. */
export function isAlive({ state }: ModelMessage): boolean {
  return state === "ready" || state === "delayed" || state === "leased";
}

/** What a consumer is called in its partition. */
export function nameOfConsumer(
  { sessionId, consumerId }: Pick<ModelConsumer, "sessionId" | "consumerId">,
): string {
  return `${sessionId}/${consumerId}`;
}
