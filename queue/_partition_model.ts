/**
 * One partition of the naive model: every message that there ever was is an object in a list, and every
 * question is answered by looking at all of them.
 *
 * @module
 */

import type {
  CommandMeta,
  CreatePartitionCommand,
  PartitionStats,
  PublishDetails,
  QueueSettings,
  Repeat,
  SettleCommand,
} from "./commands.ts";
import { type Happening, HappeningKind } from "./happenings.ts";
import { ConsumersModel } from "./_consumers_model.ts";
import { HistoryModel } from "./_history_model.ts";
import { KeyModel } from "./_key_model.ts";
import { isLive, isWaiting, type ModelConsumer, type ModelMessage } from "./_message_model.ts";
import type { ModelReply } from "./_model_reply.ts";
import type { ModelShard } from "./_model_shard.ts";
import { OutcomesModel } from "./_outcomes_model.ts";
import type { QueueState } from "./partition.ts";

/** What of a partition changes with its queue. */
type ModelQueueState = Omit<QueueState, "growingFrom"> & { growingFrom?: number | undefined };

/** Neighbours that expire at the same time. */
interface Range {
  start: number;
  end: number;
  expiresAtMs: number;
  hadItsTurn: boolean;
}

/** A partition, its consumers, and its history. */
export class PartitionModel {
  readonly id: number;
  readonly queueName: string;
  readonly number: number;
  settings: QueueSettings;
  paused: boolean;
  revision: number;
  growingFrom: number | undefined;
  readonly messages: ModelMessage[] = [];
  readonly keys: KeyModel;
  readonly consumers: ConsumersModel;
  /** The newest transfer that came from each shard. */
  readonly taken = new Map<number, number>();
  readonly history = new HistoryModel();
  readonly #shard: ModelShard;
  readonly #outcomes: OutcomesModel;
  #ranges: Range[] = [];
  #passedOver = 0;
  #bytesPublished = 0;
  #redelivered = 0;
  /** Where its queue grows, and it was there before. */
  #drainTo: number | undefined;

  constructor(command: CreatePartitionCommand, shard: ModelShard) {
    const { partitionId, queueName, partitionNumber, settings } = command;
    const { paused = false, revision = 0, growingFrom } = command;
    this.id = partitionId;
    this.queueName = queueName;
    this.number = partitionNumber;
    this.settings = settings;
    this.paused = paused;
    this.revision = revision;
    this.growingFrom = growingFrom;
    this.keys = new KeyModel(settings);
    this.#shard = shard;
    this.consumers = new ConsumersModel(this, shard);
    this.#outcomes = new OutcomesModel(this, shard);
  }

  get isFull(): boolean {
    const { overflow, maxMessages, maxBytes } = this.settings;
    const { live, bytes } = this.#size;
    return overflow === "reject" &&
      (live >= this.#shareOf(maxMessages) || bytes >= this.#shareOf(maxBytes));
  }

  /** Whether messages with a key wait until its queue has grown. */
  get isHolding(): boolean {
    return this.growingFrom !== undefined && this.number >= this.growingFrom;
  }

  /** Whether it has something to say to the keeper of a growing queue. */
  get isDrained(): boolean {
    return this.#drainTo !== undefined && !this.messages.slice(0, this.#drainTo).some((message) => {
      const waits = message.state === "delayed" && message.deliveryCount === 0;
      return isLive(message) && (!waits || message.unique !== undefined);
    });
  }

  stats(): PartitionStats {
    const count = (...states: ModelMessage["state"][]) =>
      this.messages.filter(({ state }) => states.includes(state)).length;
    return {
      partitionId: this.id,
      published: this.messages.length,
      acked: count("acked"),
      ready: count("ready"),
      leased: count("leased"),
      bytesPublished: this.#bytesPublished,
      ...(this.settings.maxBytes === 0 ? {} : { bytesHeld: this.#size.bytes }),
      redelivered: this.#redelivered,
      consumers: this.consumers.all.length,
      nextOffset: this.messages.length,
      delayed: count("delayed"),
      dead: count("dead"),
      expired: count("expired"),
      dropped: count("dropped"),
      purged: count("purged"),
      repeated: count("repeated"),
    };
  }

  /** What time brings first: a lease that ends, a message that is due, or expires. */
  get firstDeadlineMs(): number {
    return Math.min(
      this.history.firstDeadlineMs(),
      ...this.consumers.leased.map(({ deadlineMs }) => deadlineMs),
      ...this.messages.filter(({ state }) => state === "delayed").map(({ dueMs }) => dueMs),
      ...this.#rangesToCome.map(({ expiresAtMs }) => expiresAtMs),
      ...this.keys.rests.values(),
    );
  }

  /** Returns how many messages were due, expired, or went to the outbox to come back. */
  passTime(countMax: number): number {
    const count = this.#passTimeOfMessages(countMax);
    const { nowMs, outbox } = this.#shard;
    const { history } = this;
    history.forget(nowMs);
    if (history.feedMs > nowMs) return count;
    const target = { queue: this.queueName, partition: this.number };
    const fed = history.replaying.slice(0, Math.max(0, countMax - count));
    for (const [at, offset] of fed.entries()) {
      if (outbox.isHalfFull) {
        history.feedMs = nowMs + 1_000;
        return count + at;
      }
      const { entryIndex, position } = this.messages[offset]!;
      outbox.put({ target, entryIndex, position, replayOf: { ...target, offset } });
      history.replaying.shift();
      this.note(HappeningKind.replayed, { offset });
    }
    return count + fed.length;
  }

  store(
    meta: CommandMeta,
    count: number,
    bytes: number,
    details?: PublishDetails,
    sessionId = 0,
  ): ModelReply & { kind: "published" } {
    const { index, term, timestampMs: publishedAtMs } = meta;
    const { nowMs } = this.#shard;
    const firstOffset = this.messages.length;
    if (!this.messages.some(isLive)) this.#ranges = [];
    const repeats: Repeat[] = [];
    for (let position = 0; position < count; position++) {
      const { key, delayMs = 0, atMs, ttlMs = Infinity, priority = 0, unique } =
        details?.at(position) ?? {};
      const dueMs = atMs ?? nowMs + delayMs;
      const earlier = this.messages.find((message) =>
        unique !== undefined && message.unique === unique && isLive(message)
      );
      const livesMs = Math.min(ttlMs, this.settings.ttlMs || Infinity);
      const expiresAtMs = earlier === undefined ? nowMs + livesMs : Infinity;
      const offset = firstOffset + position;
      if (earlier !== undefined) {
        const { offset, entryIndex: index, term } = earlier;
        repeats.push({ position, offset, index, term });
      }
      this.messages.push({
        unique,
        term,
        offset,
        entryIndex: index,
        position,
        state: earlier !== undefined ? "repeated" : dueMs > nowMs ? "delayed" : "ready",
        key: this.keys.matter ? key : undefined,
        isInOrder: key !== undefined && dueMs <= nowMs && priority === 0,
        deliveryCount: 0,
        priority,
        dueMs,
        expiresAtMs,
        deadlineMs: 0,
        bytes: Math.ceil(bytes / count),
        leaseNumber: 0,
      });
      this.keys.wake(this.messages, key);
      const last = this.#ranges.at(-1);
      if (last?.expiresAtMs === expiresAtMs) last.end = offset + 1;
      else this.#ranges.push({ start: offset, end: offset + 1, expiresAtMs, hadItsTurn: false });
    }
    this.#bytesPublished += bytes;
    this.note(HappeningKind.published, { offset: firstOffset, count, sessionId });
    this.#dropOldest();
    const receipt = { firstOffset, count, index, term, publishedAtMs, duplicate: false };
    return { kind: "published", ...receipt, ...(repeats.length === 0 ? {} : { repeats }) };
  }

  settle(consumer: ModelConsumer | undefined, command: SettleCommand): number[] {
    const { operation, offsets, deliveryCounts, reason, delayMs } = command;
    const statuses = offsets.map((offset, at) => {
      const message = this.messages[offset];
      if (message !== undefined && !isLive(message)) return 0;
      if (!this.isHeld(consumer, offset, deliveryCounts[at]!)) return 1;
      const held = message!;
      if (operation === 0) this.ack(held);
      else if (operation === 1) {
        this.#noteLease(HappeningKind.nacked, held, reason);
        this.#outcomes.fail(held, reason, delayMs);
      } else if (operation === 2) this.consumers.extend(held);
      else {
        this.#noteLease(HappeningKind.rejected, held, reason);
        this.#outcomes.reject(held, reason);
      }
      return 0;
    });
    if (consumer !== undefined) this.consumers.updateTurn(consumer);
    return statuses;
  }

  isHeld(consumer: ModelConsumer | undefined, offset: number, deliveryCount: number): boolean {
    const message = this.messages[offset];
    return consumer !== undefined && message?.state === "leased" && message.holder === consumer &&
      message.deliveryCount === deliveryCount;
  }

  ack(message: ModelMessage): void {
    this.#noteLease(HappeningKind.acked, message);
    this.#outcomes.takeOut(message);
    message.state = "acked";
  }

  /** Takes out what nobody holds. */
  purge(): number {
    const waiting = this.messages.filter(isWaiting);
    const low = this.messages.findIndex(isLive);
    for (const message of waiting) message.state = "purged";
    this.keys.purge();
    const count = this.messages.length - low;
    if (waiting.length > 0) this.note(HappeningKind.purged, { offset: low, count });
    return waiting.length;
  }

  /** Takes out one that nobody holds. */
  remove(message: ModelMessage): void {
    message.state = "purged";
    this.#outcomes.wakeKey(message);
    this.note(HappeningKind.removed, message);
  }

  /** Takes note of what its queue is like now. */
  update({ settings, paused, revision, growingFrom }: ModelQueueState): void {
    if (revision <= this.revision) return;
    if (settings.partitions > this.settings.partitions) {
      for (const { sessionId, consumerId, partitionId } of this.consumers.all) {
        this.#shard.effects.queuesGrown.push({ sessionId, consumerId, partitionId });
      }
    }
    if (growingFrom !== this.growingFrom) {
      const isOld = growingFrom !== undefined && this.number < growingFrom;
      this.#drainTo = isOld ? this.messages.length : undefined;
    }
    const { consumers } = this;
    const lastedMs = consumers.all.map((consumer) => consumers.leaseMs(consumer));
    if (this.settings.maxBytes === 0) {
      // What is there when counting begins counts for the average.
      const average = Math.ceil(this.#bytesPublished / this.messages.length);
      for (const one of this.messages) one.bytes = average;
    }
    Object.assign(this, { settings, paused, revision, growingFrom });
    this.keys.update(this.messages, settings);
    this.remember();
    consumers.all.forEach((consumer, at) => {
      if (consumers.leaseMs(consumer) !== lastedMs[at]) consumers.extendAll(consumer);
    });
    this.#dropOldest();
  }

  /** Begins or ends a history. */
  remember(): void {
    const { history, settings: { historyMs } } = this;
    const isNew = history.windowMs === 0 && historyMs > 0;
    history.setWindow(historyMs, this.#shard.nowMs);
    if (isNew) this.#shard.trimHistories();
  }

  endConsumer(consumer: ModelConsumer, failure?: "sessionTimedOut"): void {
    this.consumers.remove(consumer);
    for (const message of this.consumers.held(consumer)) {
      this.#noteLease(HappeningKind[failure ?? "returned"], message);
      if (failure === undefined) this.#outcomes.return(message);
      else this.#outcomes.fail(message, failure, 0);
    }
  }

  handOut(): void {
    while (!this.paused) {
      const ready = this.messages.filter(({ state }) => state === "ready");
      if (ready.length === 0 || !this.consumers.isAnybodyNext) return;
      const isHeldBack = ({ key, isInOrder }: ModelMessage) =>
        this.isHolding && (key !== undefined || isInOrder);
      if (ready.every(isHeldBack)) return;
      const turn = this.isHolding
        ? { key: undefined }
        : this.keys.next(this.messages, this.#shard.nowMs);
      if (turn === "nobody") return;
      const free = ready.filter((message) => message.key === undefined && !isHeldBack(message));
      const message = turn.key === undefined
        ? this.#choose(free)
        : this.keys.first(ready, turn.key);
      const consumer = this.consumers.next();
      if (message.deliveryCount > 0) this.#redelivered++;
      message.state = "leased";
      message.deliveryCount++;
      message.holder = consumer;
      this.consumers.extend(message);
      this.keys.taken(this.messages, turn.key, this.#shard.nowMs);
      this.#noteLease(HappeningKind.leased, message);
      const { sessionId, consumerId, partitionId } = consumer;
      const { offset, deliveryCount, entryIndex, position } = message;
      this.#shard.effects.deliveries.push({
        sessionId,
        consumerId,
        partitionId,
        offset,
        deliveryCount,
        entryIndex,
        position,
      });
      this.consumers.updateTurn(consumer);
    }
  }

  /** Remembers what happened, where that is wanted. */
  note(kind: HappeningKind, happening: Pick<Happening, "offset"> & Partial<Happening>): void {
    if (this.history.windowMs === 0) return;
    const { index, nowMs: atMs, historyShare, clientNames } = this.#shard;
    const { offset, count = 1, sessionId = 0, consumerId = 0, detail } = happening;
    const isAboutDelivery = sessionId !== 0 || detail !== undefined;
    this.history.happenings.push({
      kind,
      offset,
      count,
      index,
      atMs,
      sessionId,
      consumerId,
      deliveryCount: isAboutDelivery ? happening.deliveryCount ?? 0 : 0,
      ...(detail === undefined ? {} : { detail }),
    });
    this.history.trim(historyShare, clientNames);
  }

  /** What waits or is leased. */
  get #size(): { live: number; bytes: number } {
    const live = this.messages.filter(isLive);
    return { live: live.length, bytes: live.reduce((sum, { bytes }) => sum + bytes, 0) };
  }

  #shareOf(most: number): number {
    const partitions = this.growingFrom ?? this.settings.partitions;
    return most === 0 ? Infinity : Math.max(1, Math.floor(most / partitions));
  }

  get #rangesToCome(): Range[] {
    const low = this.messages.find(isLive)?.offset ?? this.messages.length;
    return this.#ranges.filter(({ end, hadItsTurn }) => end > low && !hadItsTurn);
  }

  /** Returns how many messages were due or expired, where a range in which none was left counts too. */
  #passTimeOfMessages(countMax: number): number {
    const { nowMs } = this.#shard;
    const ranges = this.#rangesToCome
      .filter(({ expiresAtMs }) => expiresAtMs <= nowMs)
      .sort((a, b) => a.expiresAtMs - b.expiresAtMs || a.start - b.start);
    this.#endLeases();
    this.keys.passTime(this.messages, nowMs);
    let count = 0;
    const due = this.messages.filter(({ state, dueMs }) => state === "delayed" && dueMs <= nowMs);
    for (const message of due.sort((a, b) => a.dueMs - b.dueMs || a.offset - b.offset)) {
      if (count === countMax) return count;
      this.#outcomes.return(message);
      count++;
    }
    for (const range of ranges) {
      if (count >= countMax) return count;
      range.hadItsTurn = true;
      const expired = this.messages.slice(range.start, range.end).filter(isWaiting);
      for (const message of expired) {
        const before = { ...message };
        this.#outcomes.expire(message, 0);
        // One that cannot go, and is delayed anyway, stays what it is.
        if (before.state === "delayed" && isLive(message)) Object.assign(message, before);
        this.#outcomes.wakeKey(message);
      }
      count += Math.max(1, expired.length);
    }
    return count;
  }

  #endLeases(): void {
    for (const message of this.consumers.ended()) {
      const consumer = message.holder!;
      this.#noteLease(HappeningKind.leaseExpired, message);
      this.#outcomes.fail(message, "leaseExpired");
      this.consumers.updateTurn(consumer);
    }
  }

  #choose(ready: ModelMessage[]): ModelMessage {
    const top = Math.max(...ready.map(({ priority }) => priority));
    const first = ready.find(({ priority }) => priority === top)!;
    const oldest = ready[0]!;
    const { starvationLimit } = this.settings;
    const isStarved = starvationLimit > 0 && this.#passedOver >= starvationLimit;
    const message = isStarved ? oldest : first;
    this.#passedOver = message === oldest ? 0 : this.#passedOver + 1;
    return message;
  }

  #dropOldest(): void {
    if (this.settings.overflow === "reject") return;
    const { maxMessages, maxBytes } = this.settings;
    for (const message of this.messages.filter(({ state }) => state === "ready")) {
      const { live, bytes } = this.#size;
      const isTooMany = live > this.#shareOf(maxMessages);
      const isTooLarge = bytes > this.#shareOf(maxBytes) && live > 1;
      if (!isTooMany && !isTooLarge) continue;
      message.state = "dropped";
      this.note(HappeningKind.dropped, message);
    }
  }

  #noteLease(kind: HappeningKind, message: ModelMessage, detail?: string): void {
    const { offset, deliveryCount, holder } = message;
    const { sessionId, consumerId } = holder!;
    const said = detail === undefined ? {} : { detail };
    this.note(kind, { offset, deliveryCount, sessionId, consumerId, ...said });
  }
}

/** Sorts partitions into the order in which they have their turn. */
export function byId(partitions: readonly PartitionModel[]): PartitionModel[] {
  return partitions.toSorted((a, b) => a.id - b.id);
}
