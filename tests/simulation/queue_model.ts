/**
 * The queues as they must be: a slow and simple model that follows the committed log, and checks each
 * reply and each delivery of the production machine against what it makes of the same commands.
 *
 * It does not decide who gets a message, only whether the machine was allowed to give it. It keeps leases
 * and sessions in plain maps and looks through all of them each time, so it shares neither code nor
 * cleverness with the machine.
 *
 * Here is what concerns the whole shard, and what is stored. What becomes of messages is in
 * `partition_model.ts`, to whom they may go in `delivery_checker.ts`, what is said about them in
 * `settle_model.ts`, what is on its way to other queues in `outbox_model.ts`; sessions are in
 * `session_model.ts`, named producers in `producer_model.ts`, schedules in `schedule_model.ts`.
 *
 * @module
 */

import { type Entry, EntryKind } from "../../raft/mod.ts";
import type { Command, Effects, QueueSettings, Repeat, Reply, Transfer } from "../../queue/mod.ts";
import { commandTimestampMs, decodeCommand } from "../../wire/mod.ts";
import { DeliveryChecker } from "./delivery_checker.ts";
import type { KeyOrderChecker } from "./key_order_checker.ts";
import { nameOfReplay } from "./message_name.ts";
import { readMessages } from "./message_reader.ts";
import { OutboxModel } from "./outbox_model.ts";
import {
  ModelPartition,
  nameOfConsumer,
  type NewMessage,
  type PartitionHost,
} from "./partition_model.ts";
import { ProducerModel } from "./producer_model.ts";
import { ScheduleModel } from "./schedule_model.ts";
import { SessionModel } from "./session_model.ts";
import { SettleModel } from "./settle_model.ts";
import type { ShardHost } from "./shard_host.ts";
import type { World } from "./world.ts";

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

/** The queues of one shard. */
export class ShardModel implements PartitionHost, ShardHost {
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
  readonly #schedules = new ScheduleModel((...broken) => this.violated(...broken));
  readonly #producers = new ProducerModel((...broken) => this.violated(...broken));
  readonly #sessions = new SessionModel(this, this.#producers);
  readonly #settles: SettleModel;
  readonly #deliveries: DeliveryChecker;
  /** What was told of messages that were not stored, by the place of their batch. */
  readonly #repeats = new Map<string, string>();

  /**
   * @param shard Its number.
   * @param world Told what broke.
   * @param cluster Shared by all shards.
   */
  constructor(shard: number, world: World, cluster: ClusterModel) {
    this.shard = shard;
    this.#world = world;
    this.#cluster = cluster;
    this.outbox = new OutboxModel((...broken) => this.violated(...broken));
    cluster.outboxes[shard] = this.outbox;
    this.#settles = new SettleModel(this, this.outbox, (name, at) => this.posted.set(name, at));
    this.#deliveries = new DeliveryChecker(this, this.#sessions, cluster.keyOrder, world);
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
      this.violated("commands are applied", entry, "the machine gave no reply");
    }
    const command = decodeCommand(entry.data);
    this.#world.trace(() =>
      `shard ${this.shard} entry ${entry.index} ${JSON.stringify(command)} -> ${reply.kind}`
    );
    this.index = entry.index;
    this.nowMs = Math.max(this.nowMs, commandTimestampMs(entry.data));
    if (command.kind === "beginTerm") {
      this.#schedules.beginTerm();
      this.#sessions.beginTerm();
      for (const partition of this.partitions.values()) partition.renewLeases(() => true);
    }
    for (const partition of this.partitions.values()) partition.passTime();
    const replaced = command.kind === "openSession"
      ? this.#producers.holder(command.producer)
      : undefined;
    for (const { sessionId } of effects.sessionsEnded) {
      if (sessionId !== replaced) this.#sessions.timedOut(entry, sessionId);
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
    this.#deliveries.check(entry, effects);
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

  partition(entry: Entry, id: number): ModelPartition {
    const partition = this.partitions.get(id);
    if (partition === undefined) this.violated("partitions exist", entry, `partition ${id}`);
    return partition;
  }

  violated(invariant: string, entry: Entry, details: string): never {
    throw this.#world.violated(
      invariant,
      `shard ${this.shard}, entry ${entry.index} of term ${entry.term}: ${details}`,
    );
  }

  #carryOut(entry: Entry, command: Command, reply: Exclude<Reply, { kind: "refused" }>): void {
    switch (command.kind) {
      case "publish":
        return this.#publish(entry, command, reply);
      case "settle":
        return this.#settles.settle(entry, command, reply);
      case "settleAndPublish":
        return this.#settles.settleAndPublish(entry, command, reply);
      case "transfer":
        return this.#transfer(entry, command, reply);
      case "transferDone":
        return this.outbox.done(entry, command.ids);
      case "openSession":
        return this.#sessions.opened(entry, command, reply);
      case "attachSession":
        return this.#sessions.attached(entry, command);
      case "detachSession":
        return this.#sessions.detached(command);
      case "closeSession":
        return this.#sessions.closed(command.sessionId);
      case "attachConsumer": {
        const { sessionId, consumerId, partitionId, prefetch, leaseMs = 0 } = command;
        const { consumers } = this.partition(entry, partitionId);
        const name = nameOfConsumer(command);
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
      case "detachConsumer": {
        const partition = this.partitions.get(command.partitionId);
        const consumer = partition?.consumers.get(nameOfConsumer(command));
        if (consumer !== undefined) partition!.endConsumer(consumer, "closed");
        return;
      }
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
        const partition = this.partition(entry, partitionId);
        return this.#update(partition, settings, paused, revision, growingFrom);
      }
      case "purgePartition": {
        const purged = this.partition(entry, command.partitionId).purge();
        if (reply.kind === "purged" && reply.count === purged) return;
        const what = `${JSON.stringify(reply)} for ${purged} messages`;
        return this.violated("a purge removes what nobody holds", entry, what);
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
        if (this.partition(entry, command.partitionId).remove(command.offset)) return;
        return this.violated("only what waits is removed", entry, JSON.stringify(command));
      case "replay": {
        const { partitionId, sinceMs, untilIndex } = command;
        const count = this.partition(entry, partitionId).history.replay(sinceMs, untilIndex);
        if (reply.kind === "replayed" && reply.count === count) return;
        const what = `${JSON.stringify(reply)} for ${count} messages`;
        return this.violated("a replay brings back what was acked since", entry, what);
      }
      default:
        return command satisfies never;
    }
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
    this.violated("only a full queue refuses as it is full", entry, JSON.stringify(command));
  }

  #publish(
    entry: Entry,
    command: PublishedBatch,
    reply: Reply,
  ): void {
    if (reply.kind !== "published" || reply.count !== command.count) {
      this.violated("a publish is answered with its receipt", entry, JSON.stringify(reply));
    }
    const { partitionId, sessionId, baseSequence } = command;
    const partition = this.partition(entry, partitionId);
    const { firstOffset } = reply;
    const place = `${partitionId}/${firstOffset}`;
    const messages = readMessages(entry, partition.settings, this.nowMs, command.count);
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
        this.violated("a repeated publish gets the first receipt", entry, what);
      });
      return this.#checkRepeats(entry, this.#repeats.get(place) ?? "[]", reply.repeats);
    }
    if (knewFewer) {
      const what = `${partitionCount} of ${partition.settings.partitions} were known`;
      this.violated("who does not know all partitions chooses again", entry, what);
    }
    if (command.kind === "publish" && partition.isFull) {
      this.violated("a full queue takes nothing", entry, `it has ${partition.live} messages`);
    }
    const twice = messages.find(({ id }) => this.#cluster.places.has(id));
    if (twice !== undefined) {
      const where = `${this.#cluster.places.get(twice.id)} and again at ${place}`;
      this.violated("exactly-once publish", entry, `message ${twice.id} is at ${where}`);
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
    this.violated("a unique message is stored once", entry, `${told} should be ${expected}`);
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
      this.violated("offsets have no gaps", entry, what);
    }
    const repeats: Repeat[] = [];
    for (const [position, message] of messages.entries()) {
      const { places } = this.#cluster;
      if (!places.has(message.id)) {
        places.set(message.id, `${partition.id}/${firstOffset + position}`);
      }
      const earlier = partition.store(message);
      const broken = this.#cluster.keyOrder.stored(partition, partition.messages.at(-1)!);
      if (broken !== undefined) this.violated("a key is stored in its order", entry, broken);
      if (earlier === undefined) continue;
      const { offset, index, term } = earlier;
      repeats.push({ position, offset, index, term });
    }
    partition.dropOldest();
    return repeats;
  }

  #transfer(entry: Entry, command: Command & { kind: "transfer" }, reply: Reply): void {
    if (reply.kind !== "transferred") {
      this.violated("a transfer is answered with how far it is", entry, JSON.stringify(reply));
    }
    const { firstOffset } = reply;
    const { sourceShard, firstId, lastId } = command;
    const partition = this.partition(entry, command.partitionId);
    if (firstOffset === undefined) return this.count("queue: transfers repeated");
    const messages = readMessages(entry, partition.settings, this.nowMs, command.count);
    const names = messages.map(({ id }) => id);
    const { queue, number } = partition;
    const target = { queue, partition: number };
    const dead = this.#cluster.outboxes[sourceShard]!.arrive(entry, target, firstId, lastId, names);
    this.#store(entry, partition, firstOffset, messages);
    this.count("queue: messages transferred", command.count);
    this.count("queue: dead letters stored", dead);
  }
}
