/**
 * The sessions of the naive model, which remember every batch that they ever published.
 *
 * @module
 */

import type {
  AttachSessionCommand,
  CloseSessionCommand,
  DetachSessionCommand,
  OpenSessionCommand,
} from "./commands.ts";
import type { ModelConsumer } from "./_message_model.ts";
import { type ModelReply, refused } from "./_model_reply.ts";
import type { ModelShard } from "./_model_shard.ts";
import { byId, type PartitionModel } from "./_partition_model.ts";
import type { SessionInfo } from "./session_table.ts";

interface Batch {
  readonly base: number;
  readonly count: number;
  readonly reply: ModelReply;
}

/** What a session published to a partition. */
export class PublishedModel {
  readonly batches: Batch[] = [];

  /** @param next The sequence of the next message. */
  constructor(public next: number) {}

  /** The answer to a batch that is not the next one; `undefined` for the next one. */
  answer(base: number, count: number, windowBatches: number): ModelReply | undefined {
    if (base > this.next) return refused("sequenceGap");
    if (base === this.next) return undefined;
    const known = this.batches.slice(-windowBatches);
    if (!known.some((batch) => batch.base <= base)) return refused("sequenceTooOld");
    const same = known.find((batch) => batch.base === base && batch.count === count);
    if (same === undefined) return refused("invalidArgument");
    return same.reply.kind === "published" ? { ...same.reply, duplicate: true } : same.reply;
  }

  add(batch: Batch): void {
    this.batches.push(batch);
    this.next += batch.count;
  }
}

/** A session. */
export interface ModelSession {
  readonly id: number;
  readonly producer: string | undefined;
  readonly clientName: string;
  readonly timeoutMs: number;
  state: SessionInfo["state"];
  deadlineMs: number;
  attachIndex: number;
  /** By partition. */
  readonly published: Map<number, PublishedModel>;
  /** Numbers of all acks that publish which were done. */
  readonly settled: Set<number>;
  answeredBelow: number;
}

/** All sessions. */
export class SessionListModel {
  readonly all: ModelSession[] = [];
  readonly #shard: ModelShard;
  readonly #partitions: readonly PartitionModel[];

  /**
   * @param shard The shard.
   * @param partitions Those that there are.
   */
  constructor(shard: ModelShard, partitions: readonly PartitionModel[]) {
    this.#shard = shard;
    this.#partitions = partitions;
  }

  find(id: number): ModelSession | undefined {
    return this.all.find((session) => session.id === id);
  }

  open({ clientName, timeoutMs, producer }: OpenSessionCommand): ModelReply {
    const { index, clientNames, effects } = this.#shard;
    clientNames.set(index, clientName);
    const before = this.all.find((one) => producer !== undefined && one.producer === producer);
    const session: ModelSession = {
      id: index,
      producer,
      clientName,
      timeoutMs,
      state: "attached",
      deadlineMs: 0,
      attachIndex: index,
      published: before?.published ?? new Map(),
      settled: new Set(),
      answeredBelow: 0,
    };
    this.all.push(session);
    if (producer === undefined) return { kind: "sessionOpened", sessionId: index };
    if (before !== undefined) {
      if (before.state !== "ended") effects.sessionsEnded.push({ sessionId: before.id });
      this.#endConsumers(before);
      this.#forget(before);
    }
    const producers = [...session.published].map(([partitionId, { next }]) => {
      return { partitionId, nextSequence: next };
    });
    return { kind: "sessionOpened", sessionId: index, producers };
  }

  attach({ sessionId }: AttachSessionCommand): ModelReply {
    const session = this.find(sessionId);
    if (session === undefined) return refused("sessionNotFound");
    session.state = "attached";
    session.attachIndex = this.#shard.index;
    for (const [{ consumers }, consumer] of this.#consumersOf(session)) {
      consumers.updateTurn(consumer);
    }
    return { kind: "ok" };
  }

  detach({ sessionId, attachIndex }: DetachSessionCommand): void {
    const session = this.find(sessionId);
    if (session?.attachIndex === attachIndex) this.#detach(session);
  }

  close({ sessionId }: CloseSessionCommand): void {
    const session = this.find(sessionId);
    if (session === undefined) return;
    this.#endConsumers(session);
    if (session.producer === undefined || session.published.size === 0) this.#forget(session);
    else if (session.state !== "ended") this.#end(session);
  }

  detachAll(): void {
    for (const session of this.all) this.#detach(session);
  }

  forgetPartition(partitionId: number): void {
    for (const session of this.all) session.published.delete(partitionId);
  }

  passTime(): void {
    const late = this.all.filter(({ state, deadlineMs }) =>
      state !== "attached" && deadlineMs <= this.#shard.nowMs
    );
    for (const session of late.sort((a, b) => a.deadlineMs - b.deadlineMs || a.id - b.id)) {
      this.#endConsumers(session, "sessionTimedOut");
      if (session.state === "ended") this.#forget(session);
      else {
        this.#end(session);
        this.#shard.effects.sessionsEnded.push({ sessionId: session.id });
      }
    }
  }

  info(session: ModelSession): SessionInfo {
    const { id, clientName, producer, timeoutMs, state, deadlineMs } = session;
    return {
      sessionId: id,
      clientName,
      ...(producer === undefined ? {} : { producer }),
      timeoutMs,
      state,
      ...(state === "attached" ? {} : { deadlineMs }),
      consumers: this.#consumersOf(session).length,
      producers: session.published.size,
    };
  }

  #detach(session: ModelSession): void {
    if (session.state !== "ended") {
      session.state = "detached";
      session.deadlineMs = this.#shard.nowMs + session.timeoutMs;
    }
    for (const [{ consumers }, consumer] of this.#consumersOf(session)) {
      consumer.attached = false;
      consumers.updateTurn(consumer);
    }
  }

  #end(session: ModelSession): void {
    const { nowMs, limits: { producerRetentionMs, namedProducerRetentionMs } } = this.#shard;
    session.state = "ended";
    session.deadlineMs = nowMs +
      (session.producer === undefined ? producerRetentionMs : namedProducerRetentionMs);
  }

  #forget(session: ModelSession): void {
    this.all.splice(this.all.indexOf(session), 1);
  }

  #endConsumers(session: ModelSession, failure?: "sessionTimedOut"): void {
    for (const [partition, consumer] of this.#consumersOf(session)) {
      partition.endConsumer(consumer, failure);
    }
  }

  #consumersOf({ id }: ModelSession): (readonly [PartitionModel, ModelConsumer])[] {
    return byId(this.#partitions).flatMap((partition) =>
      partition.consumers.of(id).map((consumer) => [partition, consumer] as const)
    );
  }
}
