/**
 * The queue machine once more, as naive as can be: every message is an object that lives for ever,
 * every question is answered by looking at all of them. Slow, and easy to see right. The tests compare
 * the machine with it.
 *
 * Not modelled: the texts of refusals, and how much the tables may hold, which has tests of its own.
 *
 * @module
 */

import { backoffMs } from "./backoff.ts";
import type {
  Command,
  CommandMeta,
  Death,
  DrainedEffect,
  HeldMessage,
  PartitionStats,
  PublishCommand,
  PublishDetails,
  QueueSettings,
  Repeat,
  SettleAndPublishCommand,
  SettleCommand,
  Transfer,
  TransferCommand,
} from "./commands.ts";
import type { MachineLimits } from "./limits.ts";
import { CatalogModel } from "./_catalog_model.ts";
import { HistoryModel } from "./_history_model.ts";
import { type Happening, HappeningKind } from "./happenings.ts";
import { KeyModel } from "./_key_model.ts";
import { type ModelReply, refused } from "./_model_reply.ts";
import { ScheduleListModel } from "./_schedule_model.ts";
import type { ScheduleCommand } from "./schedule.ts";
import type { SessionInfo } from "./session_table.ts";

/** The limits of the machine that the model knows. */
export type ModelLimits = Pick<
  MachineLimits,
  | "windowBatches"
  | "producerRetentionMs"
  | "namedProducerRetentionMs"
  | "dueAtOnce"
  | "outboxTransfers"
  | "historyBytes"
>;

/** The effects of one command, one object each. */
export interface ModelEffects {
  deliveries: (HeldMessage & DrainedEffect)[];
  drained: DrainedEffect[];
  sessionsEnded: { sessionId: number }[];
  consumersEnded: DrainedEffect[];
  queuesGrown: DrainedEffect[];
}

interface Message {
  offset: number;
  entryIndex: number;
  position: number;
  /** `out` for a moment: it comes back, or comes to an end. */
  state: "ready" | "delayed" | "leased" | "out" | Outcome;
  /** Where keys mattered when it was published. */
  key: string | undefined;
  /** It has a key, and asked for nothing that gives it a place of its own. */
  isInOrder: boolean;
  deliveryCount: number;
  priority: number;
  unique: string | undefined;
  term: number;
  /** Of a delayed one. */
  dueMs: number;
  expiresAtMs: number;
  holder?: ModelConsumer | undefined;
  deadlineMs: number;
  /** How many bytes it counts for. */
  bytes: number;
  /** Leases given or extended later have a higher one. */
  leaseNumber: number;
}

type Outcome = "acked" | "dead" | "expired" | "dropped" | "purged" | "repeated";

/** Neighbours that expire at the same time. */
interface Range {
  start: number;
  end: number;
  expiresAtMs: number;
  hadItsTurn: boolean;
}

interface ModelConsumer {
  sessionId: number;
  consumerId: number;
  partitionId: number;
  prefetch: number;
  attached: boolean;
  draining: boolean;
  /** 0 for what the queue says. */
  leaseMs: number;
}

interface ModelPartition {
  id: number;
  queueName: string;
  number: number;
  settings: QueueSettings;
  paused: boolean;
  revision: number;
  growingFrom: number | undefined;
  /** Where its queue grows, and it was there before. */
  drainTo: number | undefined;
  messages: Message[];
  ranges: Range[];
  keys: KeyModel;
  passedOver: number;
  /** In the order in which they first attached. */
  consumers: ModelConsumer[];
  /** Those with credit; the first one is next. */
  turns: ModelConsumer[];
  bytesPublished: number;
  redelivered: number;
  /** The newest transfer that came from each shard. */
  taken: Map<number, number>;
  readonly history: HistoryModel;
}

interface Batch {
  base: number;
  count: number;
  reply: ModelReply;
}

interface ModelSession {
  id: number;
  producer: string | undefined;
  clientName: string;
  timeoutMs: number;
  state: SessionInfo["state"];
  deadlineMs: number;
  attachIndex: number;
  /** All batches ever, by partition. */
  published: Map<number, { next: number; batches: Batch[] }>;
  /** Numbers of all acks that publish which were done. */
  settled: Set<number>;
  answeredBelow: number;
}

/** The naive machine of shard 0. */
export class Model {
  readonly sessions: ModelSession[] = [];
  readonly partitions: ModelPartition[] = [];
  readonly catalog = new CatalogModel();
  readonly schedules = new ScheduleListModel();
  /** In the order of the ids. */
  outbox: Transfer[] = [];
  effects: ModelEffects = noEffects();
  nowMs = 0;
  /** What the clients of sessions were called, of all that ever were. */
  readonly clientNames = new Map<number, string>();
  #index = 0;
  #deleted = new Set<number>();
  #leaseNumber = 0;
  #nextTransferId = 1;

  constructor(readonly limits: ModelLimits) {}

  apply(meta: CommandMeta, command: Command): ModelReply {
    this.effects = noEffects();
    this.nowMs = Math.max(this.nowMs, meta.timestampMs);
    this.#index = meta.index;
    if (command.kind === "beginTerm") this.#beginTerm();
    this.#passTime();
    const reply = this.#execute(meta, command);
    for (const partition of this.#partitionsById()) this.#handOut(partition);
    for (const partition of this.#partitionsById()) this.#sayDrained(partition);
    return reply;
  }

  nextDeadlineMs(): number | undefined {
    const deadlines = [
      ...this.partitions.map((partition) => this.#firstDeadlineMs(partition)).filter(isFinite),
      ...this.sessions.filter(({ state }) => state !== "attached").map((s) => s.deadlineMs),
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
      ...this.outbox,
    ];
    return [...new Set(live.map(({ entryIndex }) => entryIndex))].sort((a, b) => a - b);
  }

  held(consumer: ModelConsumer): Message[] {
    return this.#leased().filter(({ holder }) => holder === consumer);
  }

  leases(consumer: ModelConsumer): HeldMessage[] {
    return this.held(consumer).map(({ offset, deliveryCount, entryIndex, position }) => ({
      offset,
      deliveryCount,
      entryIndex,
      position,
    }));
  }

  stats(partition: ModelPartition): PartitionStats {
    const count = (...states: Message["state"][]) =>
      partition.messages.filter(({ state }) => states.includes(state)).length;
    return {
      partitionId: partition.id,
      published: partition.messages.length,
      acked: count("acked"),
      ready: count("ready"),
      leased: count("leased"),
      bytesPublished: partition.bytesPublished,
      ...(partition.settings.maxBytes === 0 ? {} : { bytesHeld: held(partition).bytes }),
      redelivered: partition.redelivered,
      consumers: partition.consumers.length,
      nextOffset: partition.messages.length,
      delayed: count("delayed"),
      dead: count("dead"),
      expired: count("expired"),
      dropped: count("dropped"),
      purged: count("purged"),
      repeated: count("repeated"),
    };
  }

  sessionInfo(session: ModelSession): SessionInfo {
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

  /** What the keepers of growing queues have to say. */
  drained(): { partitionId: number; revision: number }[] {
    return this.partitions.filter(({ drainTo, messages }) =>
      drainTo !== undefined && !messages.slice(0, drainTo).some((message) => {
        const waits = message.state === "delayed" && message.deliveryCount === 0;
        return isLive(message) && (!waits || message.unique !== undefined);
      })
    ).map(({ id, revision }) => ({ partitionId: id, revision }));
  }

  #beginTerm(): void {
    for (const session of this.sessions) this.#detach(session);
    for (const partition of this.partitions) {
      for (const message of partition.messages) {
        if (message.state === "leased") {
          message.deadlineMs = this.nowMs + this.#leaseMs(message.holder!);
        }
      }
    }
  }

  #passTime(): void {
    for (let left = this.limits.dueAtOnce; left > 0;) {
      const partition = this.partitions
        .filter((partition) => this.#firstDeadlineMs(partition) <= this.nowMs)
        .sort((a, b) => this.#firstDeadlineMs(a) - this.#firstDeadlineMs(b) || a.id - b.id)[0];
      if (partition === undefined) break;
      left -= this.#passTimeIn(partition, left);
    }
    const late = this.sessions.filter(({ state, deadlineMs }) =>
      state !== "attached" && deadlineMs <= this.nowMs
    );
    for (const session of late.sort((a, b) => a.deadlineMs - b.deadlineMs || a.id - b.id)) {
      for (const consumer of this.#consumersOf(session)) {
        this.#endConsumer(consumer, "sessionTimedOut");
      }
      if (session.state === "ended") {
        this.sessions.splice(this.sessions.indexOf(session), 1);
      } else {
        this.#endSession(session);
        this.effects.sessionsEnded.push({ sessionId: session.id });
      }
    }
  }

  #execute(meta: CommandMeta, command: Command): ModelReply {
    switch (command.kind) {
      case "publish":
        return this.#publish(meta, command);
      case "settle":
        return this.#settle(command);
      case "settleAndPublish":
        return this.#settleAndPublish(meta, command);
      case "transfer":
        return this.#transfer(meta, command);
      case "transferDone":
        this.outbox = this.outbox.filter(({ id }) => !command.ids.includes(id));
        return { kind: "ok" };
      case "openSession": {
        const { clientName, timeoutMs, producer } = command;
        this.clientNames.set(meta.index, clientName);
        const before = this.sessions.find((one) =>
          producer !== undefined && one.producer === producer
        );
        const session: ModelSession = {
          id: meta.index,
          producer,
          clientName,
          timeoutMs,
          state: "attached",
          deadlineMs: 0,
          attachIndex: meta.index,
          published: before?.published ?? new Map(),
          settled: new Set(),
          answeredBelow: 0,
        };
        this.sessions.push(session);
        if (producer === undefined) return { kind: "sessionOpened", sessionId: meta.index };
        if (before !== undefined) {
          if (before.state !== "ended") this.effects.sessionsEnded.push({ sessionId: before.id });
          for (const consumer of this.#consumersOf(before)) this.#endConsumer(consumer);
          this.sessions.splice(this.sessions.indexOf(before), 1);
        }
        const producers = [...session.published].map(([partitionId, { next }]) => {
          return { partitionId, nextSequence: next };
        });
        return { kind: "sessionOpened", sessionId: meta.index, producers };
      }
      case "attachSession": {
        const session = this.#session(command.sessionId);
        if (session === undefined) return refused("sessionNotFound");
        session.state = "attached";
        session.attachIndex = meta.index;
        for (const consumer of this.#consumersOf(session)) this.#updateTurn(consumer);
        return { kind: "ok" };
      }
      case "detachSession": {
        const session = this.#session(command.sessionId);
        if (session?.attachIndex === command.attachIndex) this.#detach(session);
        return { kind: "ok" };
      }
      case "closeSession": {
        const session = this.#session(command.sessionId);
        if (session === undefined) return { kind: "ok" };
        for (const consumer of this.#consumersOf(session)) this.#endConsumer(consumer);
        if (session.producer === undefined || session.published.size === 0) {
          this.sessions.splice(this.sessions.indexOf(session), 1);
        } else if (session.state !== "ended") this.#endSession(session);
        return { kind: "ok" };
      }
      case "attachConsumer": {
        const { sessionId, consumerId, partitionId, prefetch, drain, leaseMs = 0 } = command;
        const partition = this.#partition(partitionId);
        if (this.#session(sessionId) === undefined) return refused("sessionNotFound");
        if (!(prefetch >= 1 && prefetch <= 65_536)) return refused("invalidArgument");
        if (partition === undefined) return refused("partitionNotFound");
        let consumer = this.#consumer(sessionId, consumerId, partitionId);
        if (consumer === undefined) {
          consumer = {
            sessionId,
            consumerId,
            partitionId,
            prefetch,
            attached: true,
            draining: false,
            leaseMs,
          };
          partition.consumers.push(consumer);
        }
        const lasted = this.#leaseMs(consumer);
        consumer.leaseMs = leaseMs;
        if (this.#leaseMs(consumer) !== lasted) {
          for (const message of this.held(consumer)) this.#extend(message);
        }
        consumer.prefetch = prefetch;
        consumer.draining = drain;
        consumer.attached = true;
        this.#updateTurn(consumer);
        return { kind: "ok" };
      }
      case "detachConsumer": {
        const { sessionId, consumerId, partitionId } = command;
        const consumer = this.#consumer(sessionId, consumerId, partitionId);
        if (consumer !== undefined) this.#endConsumer(consumer);
        return { kind: "ok" };
      }
      case "beginTerm":
      case "tick":
        return { kind: "ok" };
      case "createPartition": {
        const { partitionId, settings, paused = false, revision = 0, growingFrom } = command;
        if (this.#deleted.has(partitionId)) return refused("partitionNotFound");
        const partition = this.#partition(partitionId);
        if (partition !== undefined) {
          this.#update(partition, settings, paused, revision, growingFrom);
          return { kind: "ok" };
        }
        this.partitions.push({
          id: partitionId,
          queueName: command.queueName,
          number: command.partitionNumber,
          settings,
          paused,
          revision,
          growingFrom,
          drainTo: undefined,
          messages: [],
          ranges: [],
          keys: new KeyModel(settings),
          passedOver: 0,
          consumers: [],
          turns: [],
          bytesPublished: 0,
          redelivered: 0,
          taken: new Map(),
          history: new HistoryModel(),
        });
        this.#remember(this.#partition(partitionId)!);
        return { kind: "ok" };
      }
      case "updatePartition": {
        const { settings, paused, revision, growingFrom } = command;
        const partition = this.#partition(command.partitionId);
        if (partition === undefined) return refused("partitionNotFound");
        this.#update(partition, settings, paused, revision, growingFrom);
        return { kind: "ok" };
      }
      case "purgePartition": {
        const partition = this.#partition(command.partitionId);
        if (partition === undefined) return refused("partitionNotFound");
        const waiting = partition.messages.filter(({ state }) =>
          state === "ready" || state === "delayed"
        );
        const low = partition.messages.findIndex(isLive);
        for (const message of waiting) message.state = "purged";
        partition.keys.purge();
        if (waiting.length > 0) {
          this.#note(partition, HappeningKind.purged, {
            offset: low,
            count: partition.messages.length - low,
          });
        }
        return { kind: "purged", count: waiting.length };
      }
      case "deletePartition": {
        const { partitionId } = command;
        this.#deleted.add(partitionId);
        this.schedules.forgetPartition(partitionId);
        for (const session of this.sessions) session.published.delete(partitionId);
        const partition = this.#partition(partitionId);
        if (partition === undefined) return { kind: "ok" };
        this.partitions.splice(this.partitions.indexOf(partition), 1);
        this.effects.consumersEnded = partition.consumers.map(({ sessionId, consumerId }) => ({
          sessionId,
          consumerId,
          partitionId,
        }));
        return { kind: "ok" };
      }
      case "removeMessage": {
        const partition = this.#partition(command.partitionId);
        if (partition === undefined) return refused("partitionNotFound");
        const message = partition.messages[command.offset];
        if (message === undefined) return refused("messageNotFound");
        if (!isLive(message)) return refused("messageGone");
        if (message.state === "leased") return refused("messageLeased");
        message.state = "purged";
        partition.keys.wake(partition.messages, message.key);
        this.#note(this.#partition(command.partitionId)!, HappeningKind.removed, message);
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

  #schedule(meta: CommandMeta, command: ScheduleCommand): ModelReply {
    const partition = this.#partition(command.partitionId);
    if (partition === undefined) return refused("partitionNotFound");
    const verdict = this.schedules.apply(meta.index, this.nowMs, command);
    if (verdict.kind === "fire" && command.kind === "fireSchedule") {
      return this.#store(meta, partition, 1, command.bytes, command.details);
    }
    return verdict as ModelReply;
  }

  #publish(meta: CommandMeta, command: PublishCommand): ModelReply {
    const { sessionId, partitionId, baseSequence: base, count, bytes } = command;
    const session = this.#session(sessionId);
    if (session === undefined) return refused("sessionNotFound");
    if (this.#deleted.has(partitionId)) return refused("partitionNotFound");
    const partition = this.#partition(partitionId);
    let published = session.published.get(partitionId);
    if (published === undefined) {
      if (partition !== undefined && base > 0) return refused("sequenceGap");
      published = { next: base, batches: [] };
      session.published.set(partitionId, published);
    }
    if (base > published.next) return refused("sequenceGap");
    if (base < published.next) {
      const known = published.batches.slice(-this.limits.windowBatches);
      if (!known.some((batch) => batch.base <= base)) return refused("sequenceTooOld");
      const same = known.find((batch) => batch.base === base && batch.count === count);
      if (same === undefined) return refused("invalidArgument");
      return same.reply.kind === "published" ? { ...same.reply, duplicate: true } : same.reply;
    }
    let reply: ModelReply = refused("partitionNotFound");
    if (partition !== undefined) {
      const { partitionCount = 0, details } = command;
      if (partitionCount > 0 && partitionCount < partition.settings.partitions) {
        return refused("queueGrown");
      }
      const uniques = Array.from({ length: count }, (_, at) => details?.at(at).unique);
      if (isHolding(partition) && uniques.some((text) => text !== undefined)) {
        return refused("queueGrowing");
      }
      if (isFull(partition)) return refused("queueFull");
      reply = this.#store(meta, partition, count, bytes, command.details, sessionId);
    }
    published.batches.push({ base, count, reply });
    published.next += count;
    return reply;
  }

  #settleAndPublish(meta: CommandMeta, command: SettleAndPublishCommand): ModelReply {
    const { sessionId, consumerId, partitionId, offsets, deliveryCounts } = command;
    const session = this.#session(sessionId);
    if (session === undefined) return refused("sessionNotFound");
    if (command.sequence < command.answeredBelow) return refused("invalidArgument");
    session.answeredBelow = Math.max(session.answeredBelow, command.answeredBelow);
    const isKnown = session.settled.has(command.sequence) &&
      command.sequence >= session.answeredBelow;
    if (isKnown) return { kind: "settled", statuses: offsets.map(() => 0) };
    const partition = this.#partition(partitionId);
    if (partition === undefined) return refused("partitionNotFound");
    const consumer = this.#consumer(sessionId, consumerId, partitionId);
    const statuses = offsets.map((offset, at) => {
      const message = partition.messages[offset];
      const isHeld = consumer !== undefined && message?.state === "leased" &&
        message.holder === consumer && message.deliveryCount === deliveryCounts[at];
      return isHeld ? 2 : 1;
    });
    if (statuses.includes(1)) return { kind: "settled", statuses };
    if (this.outbox.length + command.targets.length > this.limits.outboxTransfers) {
      return refused("overloaded");
    }
    for (const offset of offsets) {
      this.#noteLease(partition, HappeningKind.acked, partition.messages[offset]!);
      this.#takeOut(partition, partition.messages[offset]!);
      partition.messages[offset]!.state = "acked";
    }
    command.targets.forEach((target, position) => {
      this.outbox.push({ id: this.#nextTransferId++, target, entryIndex: meta.index, position });
    });
    session.settled.add(command.sequence);
    this.#updateTurn(consumer!);
    return { kind: "settled", statuses: offsets.map(() => 0) };
  }

  #transfer(meta: CommandMeta, command: TransferCommand): ModelReply {
    const { partitionId, sourceShard, firstId, lastId, count, bytes } = command;
    const partition = this.#partition(partitionId);
    if (partition === undefined) return refused("partitionNotFound");
    const takenId = partition.taken.get(sourceShard) ?? 0;
    if (firstId <= takenId) return { kind: "transferred", takenId };
    if (isFull(partition)) return refused("queueFull");
    const { firstOffset } = this.#store(meta, partition, count, bytes, command.details);
    partition.taken.set(sourceShard, lastId);
    return { kind: "transferred", takenId: lastId, firstOffset };
  }

  #store(
    meta: CommandMeta,
    partition: ModelPartition,
    count: number,
    bytes: number,
    details?: PublishDetails,
    sessionId = 0,
  ): ModelReply & { kind: "published" } {
    const { index, term, timestampMs: publishedAtMs } = meta;
    const firstOffset = partition.messages.length;
    if (!partition.messages.some(isLive)) partition.ranges = [];
    const repeats: Repeat[] = [];
    for (let position = 0; position < count; position++) {
      const { key, delayMs = 0, atMs, ttlMs = Infinity, priority = 0, unique } =
        details?.at(position) ??
          {};
      const dueMs = atMs ?? this.nowMs + delayMs;
      const earlier = partition.messages.find((message) =>
        unique !== undefined && message.unique === unique && isLive(message)
      );
      const livesMs = Math.min(ttlMs, partition.settings.ttlMs || Infinity);
      const expiresAtMs = earlier === undefined ? this.nowMs + livesMs : Infinity;
      const offset = firstOffset + position;
      if (earlier !== undefined) {
        const { offset, entryIndex: index, term } = earlier;
        repeats.push({ position, offset, index, term });
      }
      partition.messages.push({
        unique,
        term,
        offset,
        entryIndex: index,
        position,
        state: earlier !== undefined ? "repeated" : dueMs > this.nowMs ? "delayed" : "ready",
        key: partition.keys.matter ? key : undefined,
        isInOrder: key !== undefined && dueMs <= this.nowMs && priority === 0,
        deliveryCount: 0,
        priority,
        dueMs,
        expiresAtMs,
        deadlineMs: 0,
        bytes: Math.ceil(bytes / count),
        leaseNumber: 0,
      });
      partition.keys.wake(partition.messages, key);
      const last = partition.ranges.at(-1);
      if (last?.expiresAtMs === expiresAtMs) last.end = offset + 1;
      else {
        partition.ranges.push({ start: offset, end: offset + 1, expiresAtMs, hadItsTurn: false });
      }
    }
    partition.bytesPublished += bytes;
    this.#note(partition, HappeningKind.published, { offset: firstOffset, count, sessionId });
    this.#dropOldest(partition);
    const receipt = { firstOffset, count, index, term, publishedAtMs, duplicate: false };
    return { kind: "published", ...receipt, ...(repeats.length === 0 ? {} : { repeats }) };
  }

  #settle(command: SettleCommand): ModelReply {
    const { sessionId, consumerId, partitionId, operation, offsets, deliveryCounts } = command;
    if (this.#session(sessionId) === undefined) return refused("sessionNotFound");
    const partition = this.#partition(partitionId);
    if (partition === undefined) return refused("partitionNotFound");
    const consumer = this.#consumer(sessionId, consumerId, partitionId);
    const statuses = offsets.map((offset, at) => {
      const message = partition.messages[offset];
      if (message !== undefined && !isLive(message)) return 0;
      const isCurrent = consumer !== undefined && message?.state === "leased" &&
        message.holder === consumer && message.deliveryCount === deliveryCounts[at];
      if (!isCurrent) return 1;
      if (operation === 2) this.#extend(message);
      else if (operation === 1) {
        this.#noteLease(partition, HappeningKind.nacked, message, command.reason);
        this.#fail(partition, message, command.reason, command.delayMs);
      } else {
        const what = operation === 0 ? HappeningKind.acked : HappeningKind.rejected;
        this.#noteLease(partition, what, message, operation === 0 ? undefined : command.reason);
        this.#takeOut(partition, message);
        if (operation === 0) message.state = "acked";
        else if (partition.queueName.endsWith(".dead")) {
          message.state = "dropped";
          this.#note(partition, HappeningKind.dropped, message);
        } else if (
          this.#bury(partition, message, message.deliveryCount, "rejected", command.reason)
        ) {
          message.state = "dead";
        } else this.#delay(partition, message, 1_000);
      }
      return 0;
    });
    if (consumer !== undefined) this.#updateTurn(consumer);
    return { kind: "settled", statuses };
  }

  #update(
    partition: ModelPartition,
    settings: QueueSettings,
    paused: boolean,
    revision: number,
    growingFrom: number | undefined,
  ): void {
    if (revision <= partition.revision) return;
    if (settings.partitions > partition.settings.partitions) {
      for (const { sessionId, consumerId, partitionId } of partition.consumers) {
        this.effects.queuesGrown.push({ sessionId, consumerId, partitionId });
      }
    }
    if (growingFrom !== partition.growingFrom) {
      const isOld = growingFrom !== undefined && partition.number < growingFrom;
      partition.drainTo = isOld ? partition.messages.length : undefined;
    }
    const lastedMs = partition.consumers.map((consumer) => this.#leaseMs(consumer));
    if (partition.settings.maxBytes === 0) {
      // What is there when counting begins counts for the average.
      const { messages, bytesPublished } = partition;
      for (const one of messages) one.bytes = Math.ceil(bytesPublished / messages.length);
    }
    Object.assign(partition, { settings, paused, revision, growingFrom });
    partition.keys.update(partition.messages, settings);
    this.#remember(partition);
    partition.consumers.forEach((consumer, at) => {
      if (this.#leaseMs(consumer) === lastedMs[at]) return;
      for (const message of this.held(consumer)) this.#extend(message);
    });
    this.#dropOldest(partition);
  }

  #dropOldest(partition: ModelPartition): void {
    if (partition.settings.overflow === "reject") return;
    const { maxMessages, maxBytes } = partition.settings;
    for (const message of partition.messages.filter(({ state }) => state === "ready")) {
      const { live, bytes } = held(partition);
      const isTooMany = live > shareOf(maxMessages, partition);
      const isTooLarge = bytes > shareOf(maxBytes, partition) && live > 1;
      if (!isTooMany && !isTooLarge) continue;
      message.state = "dropped";
      this.#note(partition, HappeningKind.dropped, message);
    }
  }

  #handOut(partition: ModelPartition): void {
    while (!partition.paused) {
      const ready = partition.messages.filter(({ state }) => state === "ready");
      if (ready.length === 0 || partition.turns.length === 0) return;
      const isHeldBack = ({ key, isInOrder }: Message) =>
        isHolding(partition) && (key !== undefined || isInOrder);
      if (ready.every(isHeldBack)) return;
      const turn = isHolding(partition)
        ? { key: undefined }
        : partition.keys.next(partition.messages, this.nowMs);
      if (turn === "nobody") return;
      const message = turn.key === undefined
        ? this.#choose(
          partition,
          ready.filter((message) => message.key === undefined && !isHeldBack(message)),
        )
        : partition.keys.first(ready, turn.key);
      const consumer = partition.turns.shift()!;
      if (message.deliveryCount > 0) partition.redelivered++;
      message.state = "leased";
      message.deliveryCount++;
      message.holder = consumer;
      this.#extend(message);
      partition.keys.taken(partition.messages, turn.key, this.nowMs);
      this.#noteLease(partition, HappeningKind.leased, message);
      const { sessionId, consumerId, partitionId } = consumer;
      const { offset, deliveryCount, entryIndex, position } = message;
      this.effects.deliveries.push({
        sessionId,
        consumerId,
        partitionId,
        offset,
        deliveryCount,
        entryIndex,
        position,
      });
      this.#updateTurn(consumer);
    }
  }

  #sayDrained(partition: ModelPartition): void {
    if (!partition.paused && partition.messages.some(({ state }) => state === "ready")) return;
    for (const consumer of partition.consumers) {
      if (!consumer.draining || !this.#isReceiving(consumer)) continue;
      const { sessionId, consumerId, partitionId } = consumer;
      consumer.draining = false;
      this.effects.drained.push({ sessionId, consumerId, partitionId });
    }
  }

  #detach(session: ModelSession): void {
    if (session.state !== "ended") {
      session.state = "detached";
      session.deadlineMs = this.nowMs + session.timeoutMs;
    }
    for (const consumer of this.#consumersOf(session)) {
      consumer.attached = false;
      this.#updateTurn(consumer);
    }
  }

  #endSession(session: ModelSession): void {
    const { producerRetentionMs, namedProducerRetentionMs } = this.limits;
    session.state = "ended";
    session.deadlineMs = this.nowMs +
      (session.producer === undefined ? producerRetentionMs : namedProducerRetentionMs);
  }

  #endConsumer(consumer: ModelConsumer, failure?: string): void {
    const partition = this.#partition(consumer.partitionId)!;
    partition.consumers.splice(partition.consumers.indexOf(consumer), 1);
    partition.turns = partition.turns.filter((other) => other !== consumer);
    for (const message of this.held(consumer)) {
      const what = failure === undefined ? "returned" : "sessionTimedOut";
      this.#noteLease(partition, HappeningKind[what], message);
      if (failure !== undefined) {
        this.#fail(partition, message, failure, 0);
        continue;
      }
      this.#takeOut(partition, message);
      if (message.expiresAtMs <= this.nowMs) {
        this.#expire(partition, message, message.deliveryCount);
      } else this.#putBack(partition, message);
    }
  }

  /** It is with nobody, and waits for nothing: others of its key may go. */
  #takeOut(partition: ModelPartition, message: Message): void {
    message.holder = undefined;
    message.state = "out";
    partition.keys.wake(partition.messages, message.key);
  }

  #putBack(partition: ModelPartition, message: Message): void {
    message.state = "ready";
    partition.keys.wake(partition.messages, message.key);
  }

  /** What time brings to a partition first: a lease that ends, a message that is due, or expires. */
  #firstDeadlineMs(partition: ModelPartition): number {
    const { messages, history } = partition;
    return Math.min(
      history.firstDeadlineMs(),
      ...messages.filter(({ state }) => state === "leased").map(({ deadlineMs }) => deadlineMs),
      ...messages.filter(({ state }) => state === "delayed").map(({ dueMs }) => dueMs),
      ...this.#rangesToCome(partition).map(({ expiresAtMs }) => expiresAtMs),
      ...partition.keys.rests.values(),
    );
  }

  #rangesToCome({ messages, ranges }: ModelPartition): Range[] {
    const low = messages.find(isLive)?.offset ?? messages.length;
    return ranges.filter(({ end, hadItsTurn }) => end > low && !hadItsTurn);
  }

  /** Returns how many messages were due, expired, or went to the outbox to come back. */
  #passTimeIn(partition: ModelPartition, countMax: number): number {
    const count = this.#passTimeOf(partition, countMax);
    const { history, queueName: queue, number, messages } = partition;
    history.forget(this.nowMs);
    if (history.feedMs > this.nowMs) return count;
    const target = { queue, partition: number };
    const fed = history.replaying.slice(0, Math.max(0, countMax - count));
    for (const [at, offset] of fed.entries()) {
      if (this.outbox.length * 2 >= this.limits.outboxTransfers) {
        history.feedMs = this.nowMs + 1_000;
        return count + at;
      }
      const { entryIndex, position } = messages[offset]!;
      const replayOf = { ...target, offset };
      this.outbox.push({ id: this.#nextTransferId++, target, entryIndex, position, replayOf });
      history.replaying.shift();
      this.#note(partition, HappeningKind.replayed, { offset });
    }
    return count + fed.length;
  }

  /** Returns how many messages were due or expired, where a range in which none was left counts too. */
  #passTimeOf(partition: ModelPartition, countMax: number): number {
    const ranges = this.#rangesToCome(partition)
      .filter(({ expiresAtMs }) => expiresAtMs <= this.nowMs)
      .sort((a, b) => a.expiresAtMs - b.expiresAtMs || a.start - b.start);
    const ended = partition.messages.filter(({ state, deadlineMs }) =>
      state === "leased" && deadlineMs <= this.nowMs
    );
    const leaseMs = ({ holder }: Message) => this.#leaseMs(holder!);
    ended.sort((a, b) =>
      a.deadlineMs - b.deadlineMs || leaseMs(a) - leaseMs(b) || a.leaseNumber - b.leaseNumber
    );
    for (const message of ended) {
      const consumer = message.holder!;
      this.#noteLease(partition, HappeningKind.leaseExpired, message);
      this.#fail(partition, message, "leaseExpired");
      this.#updateTurn(consumer);
    }
    partition.keys.passTime(partition.messages, this.nowMs);
    let count = 0;
    const due = partition.messages.filter(({ state, dueMs }) =>
      state === "delayed" && dueMs <= this.nowMs
    );
    for (const message of due.sort((a, b) => a.dueMs - b.dueMs || a.offset - b.offset)) {
      if (count === countMax) return count;
      this.#takeOut(partition, message);
      if (message.expiresAtMs <= this.nowMs) {
        this.#expire(partition, message, message.deliveryCount);
      } else this.#putBack(partition, message);
      count++;
    }
    for (const range of ranges) {
      if (count >= countMax) return count;
      range.hadItsTurn = true;
      const expired = partition.messages.slice(range.start, range.end)
        .filter(({ state }) => state === "ready" || state === "delayed");
      for (const message of expired) {
        const before = { ...message };
        this.#expire(partition, message, 0);
        // One that cannot go, and is delayed anyway, stays what it is.
        if (before.state === "delayed" && isLive(message)) Object.assign(message, before);
        partition.keys.wake(partition.messages, message.key);
      }
      count += Math.max(1, expired.length);
    }
    return count;
  }

  #choose(partition: ModelPartition, ready: Message[]): Message {
    const top = Math.max(...ready.map(({ priority }) => priority));
    const first = ready.find(({ priority }) => priority === top)!;
    const oldest = ready[0]!;
    const { starvationLimit } = partition.settings;
    const isStarved = starvationLimit > 0 && partition.passedOver >= starvationLimit;
    const message = isStarved ? oldest : first;
    partition.passedOver = message === oldest ? 0 : partition.passedOver + 1;
    return message;
  }

  /** A consumer has failed with a message. */
  #fail(partition: ModelPartition, message: Message, detail?: string, delayMs?: number): void {
    const { settings, queueName } = partition;
    this.#takeOut(partition, message);
    if (message.expiresAtMs <= this.nowMs) {
      return this.#expire(partition, message, message.deliveryCount);
    }
    const { offset, deliveryCount } = message;
    const isLast = settings.maxDeliveries > 0 && deliveryCount >= settings.maxDeliveries &&
      !queueName.endsWith(".dead");
    if (!isLast) {
      this.#delay(
        partition,
        message,
        delayMs ?? backoffMs(settings, partition.id, offset, deliveryCount),
      );
    } else if (this.#bury(partition, message, deliveryCount, "maxDeliveries", detail)) {
      message.state = "dead";
    } else this.#delay(partition, message, 1_000);
  }

  #expire(partition: ModelPartition, message: Message, deliveryCount: number): void {
    const { settings, queueName } = partition;
    if (!settings.deadLetterExpired || queueName.endsWith(".dead")) {
      message.state = "expired";
      this.#note(partition, HappeningKind.expired, message);
    } else if (this.#bury(partition, message, deliveryCount, "expired")) message.state = "dead";
    else {
      message.deliveryCount = deliveryCount;
      message.priority = 0;
      this.#delay(partition, message, 1_000);
    }
  }

  #delay(partition: ModelPartition, message: Message, waitMs: number): void {
    message.dueMs = this.nowMs + waitMs;
    if (waitMs > 0) message.state = "delayed";
    else this.#putBack(partition, message);
  }

  #bury(
    owner: ModelPartition,
    { offset, entryIndex, position }: Message,
    deliveryCount: number,
    reason: Death["reason"],
    detail?: string,
  ): boolean {
    if (this.outbox.length >= this.limits.outboxTransfers) return false;
    const { queueName: queue, number: partition } = owner;
    this.outbox.push({
      id: this.#nextTransferId++,
      target: { queue: `${queue}.dead`, partition: 0 },
      entryIndex,
      position,
      death: {
        queue,
        partition,
        offset,
        deliveryCount,
        reason,
        ...(detail === undefined ? {} : { detail }),
        atMs: this.nowMs,
      },
    });
    this.#note(owner, HappeningKind.dead, { offset, deliveryCount, detail: reason });
    return true;
  }

  /** Begins or ends a history. */
  #remember({ history, settings: { historyMs } }: ModelPartition): void {
    const isNew = history.windowMs === 0 && historyMs > 0;
    history.setWindow(historyMs, this.nowMs);
    if (!isNew) return;
    for (const partition of this.partitions) {
      partition.history.trim(this.#historyShare, this.clientNames);
    }
  }

  get #historyShare(): number {
    const count = this.partitions.filter(({ history }) => history.windowMs > 0).length;
    return Math.floor(this.limits.historyBytes / Math.max(1, count));
  }

  #noteLease(
    partition: ModelPartition,
    kind: HappeningKind,
    { offset, deliveryCount, holder }: Message,
    detail?: string,
  ): void {
    const { sessionId, consumerId } = holder!;
    const said = detail === undefined ? {} : { detail };
    this.#note(partition, kind, { offset, deliveryCount, sessionId, consumerId, ...said });
  }

  #note(
    { history }: ModelPartition,
    kind: HappeningKind,
    happening: Pick<Happening, "offset"> & Partial<Happening>,
  ): void {
    if (history.windowMs === 0) return;
    const { offset, count = 1, sessionId = 0, consumerId = 0, detail } = happening;
    const isAboutDelivery = sessionId !== 0 || detail !== undefined;
    history.happenings.push({
      kind,
      offset,
      count,
      index: this.#index,
      atMs: this.nowMs,
      sessionId,
      consumerId,
      deliveryCount: isAboutDelivery ? happening.deliveryCount ?? 0 : 0,
      ...(detail === undefined ? {} : { detail }),
    });
    history.trim(this.#historyShare, this.clientNames);
  }

  #extend(message: Message): void {
    message.deadlineMs = this.nowMs + this.#leaseMs(message.holder!);
    message.leaseNumber = ++this.#leaseNumber;
  }

  #leaseMs({ leaseMs, partitionId }: ModelConsumer): number {
    return leaseMs || this.#partition(partitionId)!.settings.leaseMs;
  }

  /** Who gets credit goes to the end of the line, who has none leaves it. */
  #updateTurn(consumer: ModelConsumer): void {
    const partition = this.#partition(consumer.partitionId)!;
    const hasCredit = this.#isReceiving(consumer) && this.held(consumer).length < consumer.prefetch;
    const inLine = partition.turns.includes(consumer);
    if (hasCredit && !inLine) partition.turns.push(consumer);
    if (!hasCredit) partition.turns = partition.turns.filter((other) => other !== consumer);
  }

  #isReceiving(consumer: ModelConsumer): boolean {
    return consumer.attached && this.#session(consumer.sessionId)?.state === "attached";
  }

  #leased(): Message[] {
    return this.partitions.flatMap(({ messages }) =>
      messages.filter(({ state }) => state === "leased")
    );
  }

  #partitionsById(): ModelPartition[] {
    return this.partitions.toSorted((a, b) => a.id - b.id);
  }

  #session(id: number): ModelSession | undefined {
    return this.sessions.find((session) => session.id === id);
  }

  #partition(id: number): ModelPartition | undefined {
    return this.partitions.find((partition) => partition.id === id);
  }

  #consumersOf(session: ModelSession): ModelConsumer[] {
    return this.#partitionsById().flatMap(({ consumers }) =>
      consumers.filter(({ sessionId }) => sessionId === session.id)
    );
  }

  #consumer(sessionId: number, consumerId: number, partitionId: number) {
    return this.#partition(partitionId)?.consumers.find((consumer) =>
      consumer.sessionId === sessionId && consumer.consumerId === consumerId
    );
  }
}

function isFull(partition: ModelPartition): boolean {
  const { overflow, maxMessages, maxBytes } = partition.settings;
  const { live, bytes } = held(partition);
  return overflow === "reject" &&
    (live >= shareOf(maxMessages, partition) || bytes >= shareOf(maxBytes, partition));
}

/** What waits or is leased. */
function held({ messages }: ModelPartition): { live: number; bytes: number } {
  const live = messages.filter(isLive);
  return { live: live.length, bytes: live.reduce((sum, { bytes }) => sum + bytes, 0) };
}

function shareOf(most: number, { settings, growingFrom }: ModelPartition): number {
  const partitions = growingFrom ?? settings.partitions;
  return most === 0 ? Infinity : Math.max(1, Math.floor(most / partitions));
}

function isHolding({ number, growingFrom }: ModelPartition): boolean {
  return growingFrom !== undefined && number >= growingFrom;
}

function isLive({ state }: Message): boolean {
  return state === "ready" || state === "delayed" || state === "leased";
}

function noEffects(): ModelEffects {
  return { deliveries: [], drained: [], sessionsEnded: [], consumersEnded: [], queuesGrown: [] };
}
