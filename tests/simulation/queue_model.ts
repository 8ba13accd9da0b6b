/**
 * The queues as they must be: a slow and simple model that follows the committed log, and checks each
 * reply and each delivery of the production machine against what it makes of the same commands.
 *
 * It does not decide who gets a message, only whether the machine was allowed to give it: it is the one
 * whose turn it is, its delivery count is one more than before, and the consumer is attached and has
 * credit. It keeps leases and sessions in plain maps and looks through all of them each time, so it
 * shares neither code nor cleverness with the machine.
 *
 * What becomes of messages is in `partition_model.ts`, what is on its way to other queues in
 * `outbox_model.ts`, named producers are in `producer_model.ts`, schedules in `schedule_model.ts`.
 *
 * @module
 */

import { type Entry, EntryKind } from "../../raft/mod.ts";
import type {
  Command,
  Effects,
  OpenSessionCommand,
  QueueSettings,
  Repeat,
  Reply,
  Transfer,
} from "../../queue/mod.ts";
import { SettleOperation, SettleStatus } from "../../queue/mod.ts";
import {
  commandTimestampMs,
  decodeCommand,
  decodeMessage,
  messageEnd,
  messageStart,
  publishedWith,
} from "../../wire/mod.ts";
import type { KeyOrderChecker } from "./key_order_checker.ts";
import { nameOfMessage, nameOfReplay } from "./message_name.ts";
import { OutboxModel } from "./outbox_model.ts";
import {
  isAlive,
  type MessageState,
  type ModelConsumer,
  type ModelMessage,
  ModelPartition,
  type NewMessage,
  type PartitionHost,
} from "./partition_model.ts";
import { ProducerModel } from "./producer_model.ts";
import { ScheduleModel } from "./schedule_model.ts";
import type { World } from "./world.ts";

interface ModelSession {
  readonly timeoutMs: number;
  attached: boolean;
  /** The entry that opened or attached it last. */
  attachIndex: number;
  /** While detached: when it ends. */
  deadlineMs: number;
  ended: boolean;
}

/** A batch that a client publishes, or the message of a schedule. */
interface PublishedBatch {
  readonly kind: "publish" | "fireSchedule";
  readonly partitionId: number;
  readonly count: number;
  readonly sessionId?: number;
  readonly baseSequence?: number;
  readonly partitionCount?: number;
}

/** What the shards of a cluster share. */
export interface ClusterModel {
  /** Where each message was stored first, by its name. */
  readonly places: Map<string, string>;
  /** The shards' outboxes. */
  readonly outboxes: OutboxModel[];
  readonly keyOrder: KeyOrderChecker;
}

const decoder = new TextDecoder();

/** The queues of one shard. */
export class ShardModel implements PartitionHost {
  readonly shard: number;
  readonly partitions = new Map<number, ModelPartition>();
  /** What is on its way to other queues. */
  readonly outbox: OutboxModel;
  /** Messages that were published with an ack, or came back, by name: the entry. */
  readonly posted = new Map<string, number>();
  index = 0;
  nowMs = 0;
  readonly #world: World;
  readonly #cluster: ClusterModel;
  readonly #sessions = new Map<number, ModelSession>();
  readonly #schedules = new ScheduleModel((...broken) => this.#violated(...broken));
  readonly #producers = new ProducerModel((...broken) => this.#violated(...broken));
  /** What was told of messages that were not stored, by the place of their batch. */
  readonly #repeats = new Map<string, string>();
  /** Acks that published, by session and number. */
  readonly #posts = new Set<string>();
  /** Of each session: below which number of its acks that publish it has all answers. */
  readonly #answeredBelow = new Map<number, number>();

  /**
   * @param shard Its number.
   * @param world Told what broke.
   * @param cluster Shared by all shards.
   */
  constructor(shard: number, world: World, cluster: ClusterModel) {
    this.shard = shard;
    this.#world = world;
    this.#cluster = cluster;
    this.outbox = new OutboxModel((...broken) => this.#violated(...broken));
    cluster.outboxes[shard] = this.outbox;
  }

  /**
   * Follows one committed entry and checks what the machine made of it.
   *
   * @param entry The entry.
   * @param reply What the machine answered.
   * @param effects What is to happen.
   * @param transfers What the machine has put into its outbox.
   */
  apply(
    entry: Entry,
    reply: Reply | undefined,
    effects: Effects,
    transfers: readonly Transfer[],
  ): void {
    if (entry.kind !== EntryKind.command || entry.data.length === 0) return;
    if (reply === undefined) {
      this.#violated("commands are applied", entry, "the machine gave no reply");
    }
    const command = decodeCommand(entry.data);
    this.#world.trace(() =>
      `shard ${this.shard} entry ${entry.index} ${JSON.stringify(command)} -> ${reply.kind}`
    );
    this.index = entry.index;
    this.nowMs = Math.max(this.nowMs, commandTimestampMs(entry.data));
    if (command.kind === "beginTerm") this.#beginTerm();
    for (const partition of this.partitions.values()) partition.passTime();
    const replaced = command.kind === "openSession"
      ? this.#producers.holder(command.producer)
      : undefined;
    for (const { sessionId } of effects.sessionsEnded) {
      if (sessionId !== replaced) this.#sessionTimedOut(entry, sessionId);
    }
    if (reply.kind === "refused") {
      if (reply.reason === "queueFull") this.#refusedFull(entry, command);
      this.count(`queue: refused ${command.kind}: ${reply.reason}`);
      this.#world.hash.text(reply.reason);
    } else {
      this.#carryOut(entry, command, reply);
    }
    this.outbox.settle(entry, transfers);
    this.#schedules.passed(this.nowMs, this.#world.nowMs, this.#world.roomSinceMs);
    this.#deliveries(entry, effects);
  }

  /** What waits: messages that are alive, or on their way to another queue. */
  waiting(): number {
    let count = this.outbox.size;
    for (const { live, history } of this.partitions.values()) count += live + history.wanted;
    return count;
  }

  died(
    ...[{ queue, number: partition }, { id, offset }, reason, deliveryCount]: Parameters<
      PartitionHost["died"]
    >
  ): void {
    this.outbox.bury(id, { queue, partition, offset, deliveryCount, reason });
  }

  revived(
    ...[{ queue, number: partition }, { id, offset }]: Parameters<PartitionHost["revived"]>
  ): void {
    const from = { queue, partition, offset };
    this.outbox.revive(id, from);
    this.posted.set(nameOfReplay(id, `${queue}/${partition}/${offset}`), this.index);
  }

  count(what: string, by?: number): void {
    this.#world.counters.add(what, by);
  }

  #carryOut(entry: Entry, command: Command, reply: Exclude<Reply, { kind: "refused" }>): void {
    switch (command.kind) {
      case "publish":
        return this.#publish(entry, command, reply);
      case "settle":
        return this.#settle(entry, command, reply);
      case "settleAndPublish":
        return this.#settleAndPublish(entry, command, reply);
      case "transfer":
        return this.#transfer(entry, command, reply);
      case "transferDone":
        return this.outbox.done(entry, command.ids);
      case "openSession":
        return this.#openSession(entry, command, reply);
      case "attachSession": {
        const session = this.#sessions.get(command.sessionId);
        if (session === undefined) {
          this.#violated("only known sessions are attached", entry, `${command.sessionId}`);
        }
        session.attached = true;
        session.attachIndex = entry.index;
        session.ended = false;
        return;
      }
      case "detachSession": {
        const session = this.#sessions.get(command.sessionId);
        const isNewest = session?.attachIndex === command.attachIndex;
        if (session !== undefined && !session.ended && isNewest) {
          this.#detach(command.sessionId, session);
        }
        return;
      }
      case "closeSession":
        return this.#closeSession(command.sessionId);
      case "attachConsumer": {
        const { sessionId, consumerId, partitionId, prefetch, leaseMs = 0 } = command;
        const { consumers } = this.#partition(entry, partitionId);
        const name = `${sessionId}/${consumerId}`;
        const consumer = consumers.get(name);
        if (consumer === undefined) {
          const state = { attached: true, held: 0 };
          if (leaseMs > 0) this.count("queue: consumers with leases of their own");
          consumers.set(name, { sessionId, consumerId, prefetch, leaseMs, ...state });
        } else {
          consumer.prefetch = prefetch;
          consumer.attached = true;
        }
        return;
      }
      case "detachConsumer":
        return this.#endConsumers(
          (consumer, partitionId) =>
            consumer.sessionId === command.sessionId &&
            consumer.consumerId === command.consumerId && partitionId === command.partitionId,
          "closed",
        );
      case "createPartition": {
        const { partitionId: id, queueName: queue, partitionNumber: number, settings } = command;
        let partition = this.partitions.get(id);
        if (partition === undefined) {
          partition = new ModelPartition({ shard: this.shard, id, queue, number }, settings, this);
          partition.growingFrom = command.growingFrom;
          partition.cameLater = partition.isHolding;
          if (partition.cameLater) this.count("queue: partitions that came later");
          this.partitions.set(id, partition);
        }
        const { revision = 0, paused = false } = command;
        return this.#update(partition, settings, paused, revision, command.growingFrom);
      }
      case "updatePartition": {
        const { partitionId, settings, paused, revision, growingFrom } = command;
        const partition = this.#partition(entry, partitionId);
        return this.#update(partition, settings, paused, revision, growingFrom);
      }
      case "purgePartition": {
        const purged = this.#partition(entry, command.partitionId).purge();
        if (reply.kind === "purged" && reply.count === purged) return;
        const what = `${JSON.stringify(reply)} for ${purged} messages`;
        return this.#violated("a purge removes what nobody holds", entry, what);
      }
      case "deletePartition":
        this.partitions.delete(command.partitionId);
        return this.#schedules.forgetPartition(command.partitionId);
      case "fireSchedule":
        this.#schedules.apply(entry, command, reply, this.nowMs);
        this.count("queue: schedules fired");
        return this.#publish(entry, { ...command, count: 1 }, reply);
      case "addSchedule":
      case "removeSchedule":
      case "pauseSchedule":
      case "resumeSchedule":
        return this.#schedules.apply(entry, command, reply, this.nowMs);
      case "beginTerm":
      case "tick":
      case "createQueue":
      case "editQueue":
      case "deleteQueue":
      case "partitionSettled":
        return;
      case "removeMessage":
        if (this.#partition(entry, command.partitionId).remove(command.offset)) return;
        return this.#violated("only what waits is removed", entry, JSON.stringify(command));
      case "replay": {
        const { partitionId, sinceMs, untilIndex } = command;
        const count = this.#partition(entry, partitionId).history.replay(sinceMs, untilIndex);
        if (reply.kind === "replayed" && reply.count === count) return;
        const what = `${JSON.stringify(reply)} for ${count} messages`;
        return this.#violated("a replay brings back what was acked since", entry, what);
      }
      default:
        return command satisfies never;
    }
  }

  #openSession(entry: Entry, command: OpenSessionCommand, reply: Reply): void {
    if (reply.kind !== "sessionOpened" || reply.sessionId !== entry.index) {
      this.#violated("sessions are named after their entry", entry, JSON.stringify(reply));
    }
    const before = this.#producers.opened(entry, command, reply);
    if (before !== undefined) {
      this.#forgetSession(before);
      this.count("queue: producers that go on");
    }
    this.#sessions.set(entry.index, {
      timeoutMs: command.timeoutMs,
      attached: true,
      attachIndex: entry.index,
      deadlineMs: 0,
      ended: false,
    });
  }

  #update(
    partition: ModelPartition,
    settings: QueueSettings,
    paused: boolean,
    revision: number,
    growingFrom: number | undefined,
  ): void {
    if (revision <= partition.revision) return;
    if (settings.partitions > partition.settings.partitions) partition.grownIndex = this.index;
    if (growingFrom !== partition.growingFrom) {
      const wasHolding = partition.isHolding;
      partition.grow(growingFrom);
      if (wasHolding && !partition.isHolding) this.count("queue: partitions that hold no longer");
    }
    const isRenewed = settings.leaseMs !== partition.settings.leaseMs;
    Object.assign(partition, { paused, revision });
    partition.update(settings);
    partition.keys.update(settings);
    if (settings.historyMs === 0) partition.history.end();
    if (isRenewed) partition.renewLeases(({ leaseMs }) => leaseMs === 0);
    partition.dropOldest();
    this.count(`queue: partitions ${paused ? "paused" : "changed or resumed"}`);
  }

  #refusedFull(entry: Entry, command: Command): void {
    const partition = this.partitions.get((command as Command & { kind: "publish" }).partitionId);
    if (partition === undefined || partition.isFull) return;
    this.#violated("only a full queue refuses as it is full", entry, JSON.stringify(command));
  }

  #publish(
    entry: Entry,
    command: PublishedBatch,
    reply: Reply,
  ): void {
    if (reply.kind !== "published" || reply.count !== command.count) {
      this.#violated("a publish is answered with its receipt", entry, JSON.stringify(reply));
    }
    const { partitionId, sessionId, baseSequence } = command;
    const partition = this.#partition(entry, partitionId);
    const { firstOffset } = reply;
    const place = `${partitionId}/${firstOffset}`;
    const messages = this.#read(entry, partition, command.count);
    const { partitionCount = 0 } = command;
    const knewFewer = partitionCount > 0 && partitionCount < partition.settings.partitions;
    if (reply.duplicate) {
      this.count("queue: publishes repeated");
      // A copy of what was refused and placed anew, so late that others have its numbers: it stores nothing,
      // and nobody waits for its answer.
      if (knewFewer && reply.index > partition.grownIndex) return;
      messages.forEach(({ id }, i) => {
        if (this.#cluster.places.get(id) === `${partitionId}/${firstOffset + i}`) return;
        const where = `${this.#cluster.places.get(id)}, not at ${place}+${i}`;
        const what = `message ${id} is at ${where}`;
        this.#violated("a repeated publish gets the first receipt", entry, what);
      });
      return this.#checkRepeats(entry, this.#repeats.get(place) ?? "[]", reply.repeats);
    }
    if (knewFewer) {
      const what = `${partitionCount} of ${partition.settings.partitions} were known`;
      this.#violated("who does not know all partitions chooses again", entry, what);
    }
    if (command.kind === "publish" && partition.isFull) {
      this.#violated("a full queue takes nothing", entry, `it has ${partition.live} messages`);
    }
    const twice = messages.find(({ id }) => this.#cluster.places.has(id));
    if (twice !== undefined) {
      const where = `${this.#cluster.places.get(twice.id)} and again at ${place}`;
      this.#violated("exactly-once publish", entry, `message ${twice.id} is at ${where}`);
    }
    const repeats = JSON.stringify(this.#store(entry, partition, firstOffset, messages));
    this.#checkRepeats(entry, repeats, reply.repeats);
    this.#repeats.set(place, repeats);
    if (sessionId !== undefined) {
      const names = messages.map(({ id }) => id);
      if (this.#producers.published(entry, sessionId, partitionId, baseSequence!, names)) {
        this.count("queue: messages of named producers", names.length);
      }
    }
    this.count("queue: messages stored", messages.length);
  }

  /** The answer tells what was not stored, and a repetition of it tells the same. */
  #checkRepeats(entry: Entry, expected: string, repeats: readonly Repeat[] = []): void {
    const told = JSON.stringify(repeats);
    if (told === expected) return;
    this.#violated("a unique message is stored once", entry, `${told} should be ${expected}`);
  }

  /** Reads the messages of a command, as they are published to a partition now. */
  #read(entry: Entry, { settings }: ModelPartition, count: number): NewMessage[] {
    const { index, term, data } = entry;
    const share = Math.ceil((messageEnd(data, count - 1) - messageStart(data, 0)) / count);
    return Array.from({ length: count }, (_, i) => {
      const [start, end] = [messageStart(data, i), messageEnd(data, i)];
      const { options, key, ...rest } = decodeMessage(data, start, end);
      const { delayMs = 0, atMs = this.nowMs + delayMs, ttlMs = 0, priority = 0, unique } = options;
      const livesMs = Math.min(ttlMs || Infinity, settings.ttlMs || Infinity);
      const expiresAtMs = this.nowMs + livesMs;
      const id = nameIn(rest);
      const times = { dueMs: atMs, expiresAtMs };
      return { id, key, index, term, priority, ...times, unique, bytes: end - start, share };
    });
  }

  /** @returns What was not stored. */
  #store(
    entry: Entry,
    partition: ModelPartition,
    firstOffset: number,
    messages: readonly NewMessage[],
  ): Repeat[] {
    if (firstOffset !== partition.messages.length) {
      const what = `it stored ${firstOffset} after ${partition.messages.length - 1}`;
      this.#violated("offsets have no gaps", entry, what);
    }
    const repeats: Repeat[] = [];
    for (const [position, message] of messages.entries()) {
      const { places } = this.#cluster;
      if (!places.has(message.id)) {
        places.set(message.id, `${partition.id}/${firstOffset + position}`);
      }
      const earlier = partition.store(message);
      const broken = this.#cluster.keyOrder.stored(partition, partition.messages.at(-1)!);
      if (broken !== undefined) this.#violated("a key is stored in its order", entry, broken);
      if (earlier === undefined) continue;
      const { offset, index, term } = earlier;
      repeats.push({ position, offset, index, term });
    }
    partition.dropOldest();
    return repeats;
  }

  /** An ack that publishes: everything where all leases are held, and nothing otherwise. */
  #settleAndPublish(
    entry: Entry,
    command: Command & { kind: "settleAndPublish" },
    reply: Reply,
  ): void {
    if (reply.kind !== "settled") {
      this.#violated("a settle is answered with states", entry, JSON.stringify(reply));
    }
    const isOk = reply.statuses.every((status) => status === SettleStatus.ok);
    const { sessionId, sequence } = command;
    const name = `${sessionId}/${sequence}`;
    // A copy that comes late may find that its answer is forgotten: the client has it already.
    const answeredBelow = Math.max(
      this.#answeredBelow.get(sessionId) ?? 0,
      command.answeredBelow,
    );
    this.#answeredBelow.set(sessionId, answeredBelow);
    if (this.#posts.has(name)) {
      if (!isOk && sequence >= answeredBelow) {
        this.#violated("an ack that is repeated gets the same answer", entry, name);
      }
      return this.count("queue: acks that publish repeated");
    }
    const partition = this.#partition(entry, command.partitionId);
    const isHeld = command.offsets.every((_, i) => holdsOf(partition, command, i) !== undefined);
    if (isOk !== isHeld) {
      const what = `${command.offsets} of ${partition.queue} got ${reply.statuses}`;
      this.#violated("who holds the messages acks and publishes", entry, what);
    }
    if (!isOk) return this.count("queue: acks that publish too late");
    this.#posts.add(name);
    for (const offset of command.offsets) partition.ack(partition.messages[offset]!);
    const messages = publishedWith(entry.data);
    for (const [position, target] of command.targets.entries()) {
      const start = messageStart(messages, position);
      const id = nameIn(decodeMessage(messages, start, messageEnd(messages, position)));
      this.posted.set(id, entry.index);
      this.outbox.post(entry.index, position, id, target);
    }
    this.count("queue: acks that publish");
  }

  #transfer(entry: Entry, command: Command & { kind: "transfer" }, reply: Reply): void {
    if (reply.kind !== "transferred") {
      this.#violated("a transfer is answered with how far it is", entry, JSON.stringify(reply));
    }
    const { firstOffset } = reply;
    const { sourceShard, firstId, lastId } = command;
    const partition = this.#partition(entry, command.partitionId);
    if (firstOffset === undefined) return this.count("queue: transfers repeated");
    const messages = this.#read(entry, partition, command.count);
    const names = messages.map(({ id }) => id);
    const { queue, number } = partition;
    const target = { queue, partition: number };
    const dead = this.#cluster.outboxes[sourceShard]!.arrive(entry, target, firstId, lastId, names);
    this.#store(entry, partition, firstOffset, messages);
    this.count("queue: messages transferred", command.count);
    this.count("queue: dead letters stored", dead);
  }

  #settle(entry: Entry, command: Command & { kind: "settle" }, reply: Reply): void {
    if (reply.kind !== "settled") {
      this.#violated("a settle is answered with states", entry, JSON.stringify(reply));
    }
    const partition = this.#partition(entry, command.partitionId);
    command.offsets.forEach((offset, i) => {
      const message = partition.messages[offset];
      const held = holdsOf(partition, command, i);
      const allowed = held !== undefined || message !== undefined && !isAlive(message);
      const ok = reply.statuses[i] === SettleStatus.ok;
      if (ok !== allowed) {
        const { state, deliveryCount, lease } = message ?? {};
        this.#violated(
          ok ? "only the holder settles" : "the holder can settle",
          entry,
          `offset ${offset} delivery ${command.deliveryCounts[i]} of consumer ` +
            `${command.sessionId}/${command.consumerId} got status ${reply.statuses[i]}; it is ` +
            `${state}, delivered ${deliveryCount} times, held by ` +
            (lease === undefined ? "nobody" : nameOf(lease.consumer)),
        );
      }
      if (!ok) this.count("queue: settles too late");
      if (held === undefined) return;
      switch (command.operation) {
        case SettleOperation.ack:
          return partition.ack(held);
        case SettleOperation.nack:
          this.count("queue: messages nacked");
          return partition.fail(held, command.delayMs);
        case SettleOperation.reject:
          return partition.reject(held);
        case SettleOperation.extend: {
          this.count("queue: leases extended");
          const { lease } = held;
          lease!.deadlineMs = this.nowMs + partition.leaseMsOf(lease!.consumer);
          return;
        }
        default:
          return command.operation satisfies never;
      }
    });
  }

  #deliveries(entry: Entry, { deliveries }: Effects): void {
    for (let i = 0; i < deliveries.count; i++) {
      const partition = this.#partition(entry, deliveries.partitionId[i]!);
      const offset = deliveries.offset[i]!;
      const deliveryCount = deliveries.deliveryCount[i]!;
      const name = `${deliveries.sessionId[i]}/${deliveries.consumerId[i]}`;
      const message = partition.messages[offset];
      const what = `${partition.queue}/${partition.number} offset ${offset} to ${name}`;
      if (message === undefined) this.#violated("only messages are delivered", entry, what);
      if (partition.paused) this.#violated("a paused queue delivers nothing", entry, what);
      if (message.state !== "ready") {
        const { lease, dueMs } = message;
        const details = lease === undefined
          ? `due at ${dueMs}`
          : `${nameOf(lease.consumer)} has it`;
        this.#violated(UNDELIVERABLE[message.state], entry, `${what}; ${details}`);
      }
      if (deliveryCount !== message.deliveryCount + 1) {
        const counts = `count ${deliveryCount} after ${message.deliveryCount}`;
        this.#violated("delivery counts rise by one", entry, `${what}: ${counts}`);
      }
      if (message.index !== deliveries.entryIndex[i]) {
        this.#violated("deliveries name the entry", entry, `${what}: ${deliveries.entryIndex[i]}`);
      }
      if (partition.isHeldBack(message)) {
        this.#violated("a key that may have moved waits for its older messages", entry, what);
      }
      const broken = deliveryCount > 1
        ? undefined
        : this.#cluster.keyOrder.delivered(partition, message);
      if (broken !== undefined) {
        this.#violated("a key is delivered in its order", entry, `${what}: ${broken}`);
      }
      if (partition.keys.has(offset)) {
        const broken = partition.keys.delivered(message, this.nowMs);
        if (broken !== undefined) this.#violated(broken[0], entry, `${what}: ${broken[1]}`);
        this.count("queue: deliveries of keys that take turns");
      } else {
        const next = partition.ready.next(partition.settings.starvationLimit)!;
        if (next !== message) {
          const before = `offset ${next.offset} of priority ${next.priority} comes before it`;
          this.#violated(
            "in order of priority, then first in, first out",
            entry,
            `${what}; ${before}`,
          );
        }
      }
      if (deliveryCount > 1) this.count("queue: redeliveries");
      const consumer = partition.consumers.get(name);
      if (consumer === undefined) this.#violated("only consumers are served", entry, what);
      if (!consumer.attached || this.#sessions.get(consumer.sessionId)?.attached !== true) {
        this.#violated("only attached consumers are served", entry, what);
      }
      this.#world.trace(() => `queue: delivery ${deliveryCount} of ${what}`);
      partition.deliver(message, consumer);
      if (consumer.held > consumer.prefetch) {
        const credit = `it holds ${consumer.held} of ${consumer.prefetch}`;
        this.#violated("credit is kept", entry, `${what}: ${credit}`);
      }
    }
  }

  #beginTerm(): void {
    this.#schedules.beginTerm();
    for (const [id, session] of this.#sessions) if (!session.ended) this.#detach(id, session);
    for (const partition of this.partitions.values()) partition.renewLeases(() => true);
  }

  #sessionTimedOut(entry: Entry, sessionId: number): void {
    const session = this.#sessions.get(sessionId);
    if (session === undefined || session.ended || session.attached) {
      this.#violated("only detached sessions end", entry, `session ${sessionId}`);
    }
    if (session.deadlineMs > this.nowMs) {
      const early = session.deadlineMs - this.nowMs;
      this.#violated("sessions live to their time-out", entry, `${sessionId} is ${early} ms early`);
    }
    this.count("queue: sessions timed out");
    session.ended = true;
    this.#endConsumers((consumer) => consumer.sessionId === sessionId, "timedOut");
  }

  #closeSession(id: number): void {
    const session = this.#sessions.get(id);
    if (session === undefined || !this.#producers.isNamed(id)) return this.#forgetSession(id);
    // Its numbers stay known.
    session.ended = true;
    this.#endConsumers(({ sessionId }) => sessionId === id, "closed");
  }

  #forgetSession(id: number): void {
    this.#sessions.delete(id);
    this.#endConsumers(({ sessionId }) => sessionId === id, "closed");
  }

  #detach(id: number, session: ModelSession): void {
    session.attached = false;
    session.deadlineMs = this.nowMs + session.timeoutMs;
    for (const { consumers } of this.partitions.values()) {
      for (const consumer of consumers.values()) {
        if (consumer.sessionId === id) consumer.attached = false;
      }
    }
  }

  #endConsumers(
    which: (consumer: ModelConsumer, partitionId: number) => boolean,
    how: "closed" | "timedOut",
  ): void {
    for (const [partitionId, partition] of this.partitions) {
      for (const [name, consumer] of partition.consumers) {
        if (!which(consumer, partitionId)) continue;
        partition.consumers.delete(name);
        for (const message of partition.leased) {
          if (message.lease!.consumer !== consumer) continue;
          if (how === "closed") partition.giveBack(message);
          else partition.fail(message, 0);
        }
      }
    }
  }

  #partition(entry: Entry, id: number): ModelPartition {
    const partition = this.partitions.get(id);
    if (partition === undefined) this.#violated("partitions exist", entry, `partition ${id}`);
    return partition;
  }

  #violated(invariant: string, entry: Entry, details: string): never {
    throw this.#world.violated(
      invariant,
      `shard ${this.shard}, entry ${entry.index} of term ${entry.term}: ${details}`,
    );
  }
}

/** What a delivery breaks of a message that is not ready. */
const UNDELIVERABLE = {
  delayed: "no delivery before its time",
  leased: "a message has one holder",
  acked: "no delivery after an ack",
  dead: "no delivery of a dead message",
  expired: "no delivery of what has expired",
  dropped: "no delivery of what was dropped",
  purged: "no delivery of what was purged",
  repeated: "no delivery of what was not stored",
} as const satisfies Record<Exclude<MessageState, "ready">, string>;

/** The message that a settle command is about, if whoever says so holds it. */
function holdsOf(
  { messages }: ModelPartition,
  { sessionId, consumerId, offsets, deliveryCounts }: {
    readonly sessionId: number;
    readonly consumerId: number;
    readonly offsets: ArrayLike<number>;
    readonly deliveryCounts: ArrayLike<number>;
  },
  at: number,
): ModelMessage | undefined {
  const message = messages[offsets[at]!];
  const consumer = message?.lease?.consumer;
  const holds = consumer?.sessionId === sessionId && consumer.consumerId === consumerId &&
    message!.deliveryCount === deliveryCounts[at];
  return holds ? message : undefined;
}

function nameOf(consumer: ModelConsumer): string {
  return `${consumer.sessionId}/${consumer.consumerId}`;
}

/** What a message is called. */
function nameIn(
  { body, headers }: Pick<ReturnType<typeof decodeMessage>, "body" | "headers">,
): string {
  return nameOfMessage(decoder.decode(body), headers);
}
