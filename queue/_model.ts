/**
 * The queue machine once more, as naive as can be: every message is an object that lives for ever,
 * every question is answered by looking at all of them. Slow, and easy to see right. The tests compare
 * the machine with it.
 *
 * What happens in a partition is in `_partition_model.ts`, and of its messages that nobody acks in
 * `_outcomes_model.ts`; who gets them is in `_consumers_model.ts`. Sessions and what they publish are in
 * `_session_model.ts`, the queues in `_catalog_model.ts`. Here is what concerns several of them.
 *
 * Not modelled: the texts of refusals, and how much the tables may hold, which has tests of its own.
 *
 * @module
 */

import type {
  Command,
  CommandMeta,
  CreatePartitionCommand,
  PublishCommand,
  SettleAndPublishCommand,
  SettleCommand,
  TransferCommand,
} from "./commands.ts";
import { CatalogModel } from "./_catalog_model.ts";
import { isLive, isWaiting, type ModelConsumer, type ModelMessage } from "./_message_model.ts";
import { type ModelReply, refused } from "./_model_reply.ts";
import { type ModelEffects, type ModelLimits, type ModelShard, noEffects } from "./_model_shard.ts";
import { OutboxModel } from "./_outbox_model.ts";
import { byId, PartitionModel } from "./_partition_model.ts";
import { ScheduleListModel } from "./_schedule_model.ts";
import { PublishedModel, SessionListModel } from "./_session_model.ts";
import type { ScheduleCommand } from "./schedule.ts";

/** The naive machine of shard 0. */
export class Model implements ModelShard {
  /** In the order in which they came. */
  readonly partitions: PartitionModel[] = [];
  readonly sessions = new SessionListModel(this, this.partitions);
  readonly catalog = new CatalogModel();
  readonly schedules = new ScheduleListModel();
  readonly outbox: OutboxModel;
  readonly clientNames = new Map<number, string>();
  effects: ModelEffects = noEffects();
  nowMs = 0;
  index = 0;
  #deleted = new Set<number>();

  constructor(readonly limits: ModelLimits) {
    this.outbox = new OutboxModel(limits.outboxTransfers);
  }

  apply(meta: CommandMeta, command: Command): ModelReply {
    this.effects = noEffects();
    this.nowMs = Math.max(this.nowMs, meta.timestampMs);
    this.index = meta.index;
    if (command.kind === "beginTerm") {
      this.sessions.detachAll();
      for (const { consumers } of this.partitions) consumers.renewAll();
    }
    this.#passTime();
    const reply = this.#execute(meta, command);
    for (const partition of byId(this.partitions)) partition.handOut();
    for (const { consumers } of byId(this.partitions)) consumers.sayDrained();
    return reply;
  }

  nextDeadlineMs(): number | undefined {
    const deadlines = [
      ...this.partitions.map(({ firstDeadlineMs }) => firstDeadlineMs).filter(isFinite),
      ...this.sessions.all.filter(({ state }) => state !== "attached").map((s) => s.deadlineMs),
    ];
    return deadlines.length === 0 ? undefined : Math.min(...deadlines);
  }

  lowestLiveEntryIndex(): number | undefined {
    return this.liveEntries()[0];
  }

  /** The entries that hold a message which is not done with, or on its way out, ascending. */
  liveEntries(): number[] {
    const live = [
      ...this.partitions.flatMap(({ messages, history: { kept } }) =>
        messages.filter((message) => isLive(message) || kept.has(message.offset))
      ),
      ...this.outbox.transfers,
    ];
    return [...new Set(live.map(({ entryIndex }) => entryIndex))].sort((a, b) => a - b);
  }

  held(consumer: ModelConsumer): ModelMessage[] {
    return this.#partition(consumer.partitionId)!.consumers.held(consumer);
  }

  /** What the keepers of growing queues have to say. */
  drained(): { partitionId: number; revision: number }[] {
    return this.partitions.filter(({ isDrained }) => isDrained)
      .map(({ id, revision }) => ({ partitionId: id, revision }));
  }

  get historyShare(): number {
    const count = this.partitions.filter(({ history }) => history.windowMs > 0).length;
    return Math.floor(this.limits.historyBytes / Math.max(1, count));
  }

  trimHistories(): void {
    for (const { history } of this.partitions) history.trim(this.historyShare, this.clientNames);
  }

  isAttached(sessionId: number): boolean {
    return this.sessions.find(sessionId)?.state === "attached";
  }

  #passTime(): void {
    for (let left = this.limits.dueAtOnce; left > 0;) {
      const partition = this.partitions
        .filter(({ firstDeadlineMs }) => firstDeadlineMs <= this.nowMs)
        .sort((a, b) => a.firstDeadlineMs - b.firstDeadlineMs || a.id - b.id)[0];
      if (partition === undefined) break;
      left -= partition.passTime(left);
    }
    this.sessions.passTime();
  }

  #execute(meta: CommandMeta, command: Command): ModelReply {
    switch (command.kind) {
      case "publish":
        return this.#publish(meta, command);
      case "settle":
        return this.#settle(command);
      case "settleAndPublish":
        return this.#settleAndPublish(command);
      case "transfer":
        return this.#transfer(meta, command);
      case "transferDone":
        this.outbox.done(command.ids);
        return { kind: "ok" };
      case "openSession":
        return this.sessions.open(command);
      case "attachSession":
        return this.sessions.attach(command);
      case "detachSession":
        this.sessions.detach(command);
        return { kind: "ok" };
      case "closeSession":
        this.sessions.close(command);
        return { kind: "ok" };
      case "attachConsumer": {
        const { sessionId, partitionId, prefetch } = command;
        const partition = this.#partition(partitionId);
        if (this.sessions.find(sessionId) === undefined) return refused("sessionNotFound");
        if (!(prefetch >= 1 && prefetch <= 65_536)) return refused("invalidArgument");
        if (partition === undefined) return refused("partitionNotFound");
        partition.consumers.attach(command);
        return { kind: "ok" };
      }
      case "detachConsumer": {
        const { sessionId, consumerId, partitionId } = command;
        const partition = this.#partition(partitionId);
        const consumer = partition?.consumers.find(sessionId, consumerId);
        if (consumer !== undefined) partition!.endConsumer(consumer);
        return { kind: "ok" };
      }
      case "beginTerm":
      case "tick":
        return { kind: "ok" };
      case "createPartition":
        return this.#createPartition(command);
      case "updatePartition": {
        const partition = this.#partition(command.partitionId);
        if (partition === undefined) return refused("partitionNotFound");
        partition.update(command);
        return { kind: "ok" };
      }
      case "purgePartition": {
        const partition = this.#partition(command.partitionId);
        if (partition === undefined) return refused("partitionNotFound");
        return { kind: "purged", count: partition.purge() };
      }
      case "deletePartition":
        this.#deletePartition(command.partitionId);
        return { kind: "ok" };
      case "removeMessage": {
        const partition = this.#partition(command.partitionId);
        if (partition === undefined) return refused("partitionNotFound");
        const message = partition.messages[command.offset];
        if (message === undefined) return refused("messageNotFound");
        if (!isLive(message)) return refused("messageGone");
        if (!isWaiting(message)) return refused("messageLeased");
        partition.remove(message);
        return { kind: "ok" };
      }
      case "replay": {
        const partition = this.#partition(command.partitionId);
        if (partition === undefined) return refused("partitionNotFound");
        const { history, settings } = partition;
        if (settings.historyMs === 0) return refused("noHistory");
        const { sinceMs, untilIndex } = command;
        return { kind: "replayed", count: history.replay(sinceMs, untilIndex, this.nowMs) };
      }
      case "createQueue":
        return this.catalog.create(command);
      case "editQueue":
        return this.catalog.edit(command);
      case "deleteQueue":
        return this.catalog.delete(command);
      case "partitionSettled":
        this.catalog.settle(command);
        return { kind: "ok" };
      case "addSchedule":
      case "removeSchedule":
      case "pauseSchedule":
      case "resumeSchedule":
      case "fireSchedule":
        return this.#schedule(meta, command);
    }
  }

  #createPartition(command: CreatePartitionCommand): ModelReply {
    const { partitionId, settings, paused = false, revision = 0, growingFrom } = command;
    if (this.#deleted.has(partitionId)) return refused("partitionNotFound");
    const known = this.#partition(partitionId);
    if (known !== undefined) known.update({ settings, paused, revision, growingFrom });
    else {
      const partition = new PartitionModel(command, this);
      this.partitions.push(partition);
      partition.remember();
    }
    return { kind: "ok" };
  }

  #deletePartition(partitionId: number): void {
    this.#deleted.add(partitionId);
    this.schedules.forgetPartition(partitionId);
    this.sessions.forgetPartition(partitionId);
    const partition = this.#partition(partitionId);
    if (partition === undefined) return;
    this.partitions.splice(this.partitions.indexOf(partition), 1);
    for (const { sessionId, consumerId } of partition.consumers.all) {
      this.effects.consumersEnded.push({ sessionId, consumerId, partitionId });
    }
  }

  #schedule(meta: CommandMeta, command: ScheduleCommand): ModelReply {
    const partition = this.#partition(command.partitionId);
    if (partition === undefined) return refused("partitionNotFound");
    const verdict = this.schedules.apply(meta.index, this.nowMs, command);
    if (verdict.kind === "fire" && command.kind === "fireSchedule") {
      return partition.store(meta, 1, command.bytes, command.details);
    }
    return verdict as ModelReply;
  }

  #publish(meta: CommandMeta, command: PublishCommand): ModelReply {
    const { sessionId, partitionId, baseSequence: base, count, bytes } = command;
    const session = this.sessions.find(sessionId);
    if (session === undefined) return refused("sessionNotFound");
    if (this.#deleted.has(partitionId)) return refused("partitionNotFound");
    const partition = this.#partition(partitionId);
    let published = session.published.get(partitionId);
    if (published === undefined) {
      if (partition !== undefined && base > 0) return refused("sequenceGap");
      published = new PublishedModel(base);
      session.published.set(partitionId, published);
    }
    const answer = published.answer(base, count, this.limits.windowBatches);
    if (answer !== undefined) return answer;
    let reply: ModelReply = refused("partitionNotFound");
    if (partition !== undefined) {
      const { partitionCount = 0, details } = command;
      if (partitionCount > 0 && partitionCount < partition.settings.partitions) {
        return refused("queueGrown");
      }
      const uniques = Array.from({ length: count }, (_, at) => details?.at(at).unique);
      if (partition.isHolding && uniques.some((text) => text !== undefined)) {
        return refused("queueGrowing");
      }
      if (partition.isFull) return refused("queueFull");
      reply = partition.store(meta, count, bytes, details, sessionId);
    }
    published.add({ base, count, reply });
    return reply;
  }

  #settle(command: SettleCommand): ModelReply {
    const { sessionId, consumerId, partitionId } = command;
    if (this.sessions.find(sessionId) === undefined) return refused("sessionNotFound");
    const partition = this.#partition(partitionId);
    if (partition === undefined) return refused("partitionNotFound");
    const consumer = partition.consumers.find(sessionId, consumerId);
    return { kind: "settled", statuses: partition.settle(consumer, command) };
  }

  #settleAndPublish(command: SettleAndPublishCommand): ModelReply {
    const { sessionId, consumerId, partitionId, offsets, deliveryCounts, targets } = command;
    const session = this.sessions.find(sessionId);
    if (session === undefined) return refused("sessionNotFound");
    if (command.sequence < command.answeredBelow) return refused("invalidArgument");
    session.answeredBelow = Math.max(session.answeredBelow, command.answeredBelow);
    const isKnown = session.settled.has(command.sequence) &&
      command.sequence >= session.answeredBelow;
    if (isKnown) return { kind: "settled", statuses: offsets.map(() => 0) };
    const partition = this.#partition(partitionId);
    if (partition === undefined) return refused("partitionNotFound");
    const consumer = partition.consumers.find(sessionId, consumerId);
    const statuses = offsets.map((offset, at) =>
      partition.isHeld(consumer, offset, deliveryCounts[at]!) ? 2 : 1
    );
    if (statuses.includes(1)) return { kind: "settled", statuses };
    if (!this.outbox.hasRoomFor(targets.length)) return refused("overloaded");
    for (const offset of offsets) partition.ack(partition.messages[offset]!);
    for (const [position, target] of targets.entries()) {
      this.outbox.put({ target, entryIndex: this.index, position });
    }
    session.settled.add(command.sequence);
    partition.consumers.updateTurn(consumer!);
    return { kind: "settled", statuses: offsets.map(() => 0) };
  }

  #transfer(meta: CommandMeta, command: TransferCommand): ModelReply {
    const { partitionId, sourceShard, firstId, lastId, count, bytes } = command;
    const partition = this.#partition(partitionId);
    if (partition === undefined) return refused("partitionNotFound");
    const takenId = partition.taken.get(sourceShard) ?? 0;
    if (firstId <= takenId) return { kind: "transferred", takenId };
    if (partition.isFull) return refused("queueFull");
    const { firstOffset } = partition.store(meta, count, bytes, command.details);
    partition.taken.set(sourceShard, lastId);
    return { kind: "transferred", takenId: lastId, firstOffset };
  }

  #partition(id: number): PartitionModel | undefined {
    return this.partitions.find((partition) => partition.id === id);
  }
}
