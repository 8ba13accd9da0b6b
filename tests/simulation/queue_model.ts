/**
 * The queues as they must be: a slow and simple model that follows the committed log, and checks each
 * reply and each delivery of the production machine against what it makes of the same commands.
 *
 * It does not decide who gets a message, only whether the machine was allowed to give it: the message
 * is there, not acked, held by nobody, its delivery count is one more than before, and the consumer is
 * attached and has credit. It keeps leases and sessions in plain maps and looks through all of them
 * each time, so it shares neither code nor cleverness with the machine.
 *
 * Bodies of messages are texts that name them: `id` is the name, with the due time for those of a
 * schedule, known to occur once.
 *
 * @module
 */

import { type Entry, EntryKind } from "../../raft/mod.ts";
import type {
  Command,
  Effects,
  PublishCommand,
  QueueSettings,
  Repeat,
  Reply,
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
import { backoffMs } from "../../queue/backoff.ts";
import { nameOfMessage, ScheduleModel } from "./schedule_model.ts";
import type { World } from "./world.ts";

/** One message. */
export interface ModelMessage {
  readonly id: string;
  readonly key: string | undefined;
  /** What it is unique by. */
  readonly unique?: string | undefined;
  /** It was not stored: one that is unique by the same was alive. */
  readonly repeated?: boolean;
  /** Where it was published. */
  readonly index: number;
  readonly term: number;
  /** It is gone: acked or purged. */
  acked: boolean;
  /** On its way to the dead-letter queue. */
  dead: boolean;
  /** The entry that acked or purged it, or 0. */
  ackedIndex: number;
  /** How often it was delivered. */
  deliveryCount: number;
  /** The entry by which it was last delivered, or 0. */
  deliveredIndex: number;
  lease: Lease | undefined;
  /** While it waits for a back-off: until when; otherwise 0. */
  dueMs: number;
  /** Which application has seen each delivery, by its count. */
  readonly seen: Map<number, string>;
}

interface Lease {
  readonly consumer: ModelConsumer;
  deadlineMs: number;
}

interface ModelConsumer {
  readonly sessionId: number;
  readonly consumerId: number;
  prefetch: number;
  /** How long it holds a message; 0 for what the queue says. */
  leaseMs: number;
  /** Not since its session lost its connection. */
  attached: boolean;
}

interface ModelSession {
  readonly timeoutMs: number;
  attached: boolean;
  /** The entry that opened or attached it last. */
  attachIndex: number;
  /** While detached: when it ends. */
  deadlineMs: number;
  ended: boolean;
}

/** One partition. */
export class ModelPartition {
  readonly shard: number;
  readonly queue: string;
  readonly number: number;
  settings: QueueSettings;
  paused = false;
  revision = 0;
  readonly messages: ModelMessage[] = [];
  readonly consumers = new Map<string, ModelConsumer>();
  /** The messages that are leased, by offset. */
  readonly leased = new Map<number, ModelMessage>();
  ackedCount = 0;
  deadCount = 0;
  repeatedCount = 0;
  /** The newest message stored for each text that messages are unique by. */
  readonly uniques = new Map<string, number>();
  delayedCount = 0;
  /** Purged messages count as acked, but for this. */
  purgedCount = 0;
  /** So do dropped ones. */
  droppedCount = 0;
  /** Everything below was delivered at least once, or taken out. */
  firstDeliveries = 0;

  constructor(shard: number, queue: string, number: number, settings: QueueSettings) {
    this.shard = shard;
    this.queue = queue;
    this.number = number;
    this.settings = settings;
  }
}

const decoder = new TextDecoder();

/** The queues of one shard. */
export class ShardModel {
  readonly shard: number;
  readonly partitions = new Map<number, ModelPartition>();
  readonly #world: World;
  /** Where each message is, over all shards. */
  readonly #places: Map<string, string>;
  readonly #sessions = new Map<number, ModelSession>();
  readonly #schedules = new ScheduleModel((...broken) => this.#violated(...broken));
  /** What was told of messages that were not stored, by the place of their batch. */
  readonly #repeats = new Map<string, string>();
  /** Names of the messages that are on their way to other queues, by the ids of their transfers. */
  readonly outbox = new Map<number, string>();
  /** Of each session: below which number of its acks that publish it has all answers. */
  readonly #answeredBelow = new Map<number, number>();
  /** Messages that were published with an ack, by name: the entry. */
  readonly posted = new Map<string, number>();
  #nextTransferId = 1;
  #nowMs = 0;

  /**
   * @param shard Its number.
   * @param world Told what broke.
   * @param places Shared by all shards.
   */
  constructor(shard: number, world: World, places: Map<string, string>) {
    this.shard = shard;
    this.#world = world;
    this.#places = places;
  }

  /** Follows one committed entry and checks what the machine made of it. */
  apply(entry: Entry, reply: Reply | undefined, effects: Effects): void {
    if (entry.kind !== EntryKind.command || entry.data.length === 0) return;
    if (reply === undefined) {
      this.#violated("commands are applied", entry, "the machine gave no reply");
    }
    const command = decodeCommand(entry.data);
    this.#world.trace(() =>
      `shard ${this.shard} entry ${entry.index} ${JSON.stringify(command)} -> ${reply.kind}`
    );
    const { counters } = this.#world;
    this.#nowMs = Math.max(this.#nowMs, commandTimestampMs(entry.data));
    if (command.kind === "beginTerm") this.#beginTerm();
    this.#expire();
    for (const { sessionId } of effects.sessionsEnded) this.#sessionTimedOut(entry, sessionId);
    if (reply.kind === "refused") {
      if (reply.reason === "queueFull") this.#refusedFull(entry, command);
      counters.add(`queue: refused ${command.kind}: ${reply.reason}`);
      this.#world.hash.text(reply.reason);
    } else {
      this.#carryOut(entry, command, reply);
    }
    this.#schedules.passed(this.#nowMs, this.#world.nowMs);
    this.#deliveries(entry, effects);
  }

  /** What waits: messages that are neither acked nor dead, or on their way to another queue. */
  waiting(): number {
    let count = this.outbox.size;
    for (const { messages, ackedCount, deadCount, repeatedCount } of this.partitions.values()) {
      count += messages.length - ackedCount - deadCount - repeatedCount;
    }
    return count;
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
        for (const id of command.ids) {
          const transfer = this.outbox.get(id);
          if (transfer === undefined) continue;
          if (!this.#places.has(transfer)) {
            this.#violated("only what has arrived leaves the outbox", entry, transfer);
          }
          this.outbox.delete(id);
        }
        return;
      case "openSession":
        if (reply.kind !== "sessionOpened" || reply.sessionId !== entry.index) {
          this.#violated("sessions are named after their entry", entry, JSON.stringify(reply));
        }
        this.#sessions.set(entry.index, {
          timeoutMs: command.timeoutMs,
          attached: true,
          attachIndex: entry.index,
          deadlineMs: 0,
          ended: false,
        });
        return;
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
        this.#sessions.delete(command.sessionId);
        return this.#endConsumers((consumer) => consumer.sessionId === command.sessionId, "closed");
      case "attachConsumer": {
        const { sessionId, consumerId, partitionId, prefetch } = command;
        const partition = this.#partition(entry, partitionId);
        const name = `${sessionId}/${consumerId}`;
        const consumer = partition.consumers.get(name);
        if (consumer === undefined) {
          const { leaseMs = 0 } = command;
          const attached = true;
          partition.consumers.set(name, { sessionId, consumerId, prefetch, leaseMs, attached });
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
        const { partitionId, queueName, partitionNumber, settings } = command;
        let partition = this.partitions.get(partitionId);
        if (partition === undefined) {
          partition = new ModelPartition(this.shard, queueName, partitionNumber, settings);
          this.partitions.set(partitionId, partition);
        }
        const { revision = 0, paused = false } = command;
        return this.#update(entry, partition, settings, paused, revision);
      }
      case "updatePartition": {
        const { partitionId, settings, paused, revision } = command;
        const partition = this.#partition(entry, partitionId);
        return this.#update(entry, partition, settings, paused, revision);
      }
      case "purgePartition":
        return this.#purge(entry, command.partitionId, reply);
      case "deletePartition":
        this.partitions.delete(command.partitionId);
        return this.#schedules.forgetPartition(command.partitionId);
      case "fireSchedule":
        this.#schedules.apply(entry, command, reply, this.#nowMs);
        this.#world.counters.add("queue: schedules fired");
        return this.#publish(entry, { ...command, count: 1 }, reply);
      case "addSchedule":
      case "removeSchedule":
      case "pauseSchedule":
      case "resumeSchedule":
        return this.#schedules.apply(entry, command, reply, this.#nowMs);
      case "beginTerm":
      case "tick":
      case "createQueue":
      case "editQueue":
      case "deleteQueue":
      case "partitionSettled":
        return;
      case "removeMessage": {
        const partition = this.#partition(entry, command.partitionId);
        const message = partition.messages[command.offset];
        if (message === undefined || !isWaiting(message)) {
          this.#violated("only what waits is removed", entry, JSON.stringify(command));
        }
        removeAll(partition, [message], entry.index);
        partition.purgedCount++;
        return this.#world.counters.add("queue: messages removed");
      }
      default:
        return command satisfies never;
    }
  }

  #update(
    entry: Entry,
    partition: ModelPartition,
    settings: QueueSettings,
    paused: boolean,
    revision: number,
  ): void {
    if (revision <= partition.revision) return;
    if (settings.leaseMs !== partition.settings.leaseMs) {
      for (const { lease } of partition.leased.values()) {
        lease!.deadlineMs = this.#nowMs + settings.leaseMs;
      }
    }
    Object.assign(partition, { settings, paused, revision });
    this.#dropOldest(entry, partition);
    this.#world.counters.add(`queue: partitions ${paused ? "paused" : "changed or resumed"}`);
  }

  #purge(entry: Entry, partitionId: number, reply: Reply): void {
    const partition = this.#partition(entry, partitionId);
    const waiting = partition.messages.filter(isWaiting);
    if (reply.kind !== "purged" || reply.count !== waiting.length) {
      const what = `${JSON.stringify(reply)} for ${waiting.length} messages`;
      this.#violated("a purge removes what nobody holds", entry, what);
    }
    removeAll(partition, waiting, entry.index);
    partition.purgedCount += waiting.length;
    this.#world.counters.add("queue: messages purged", waiting.length);
  }

  #refusedFull(entry: Entry, command: Command): void {
    const partition = this.partitions.get((command as Command & { kind: "publish" }).partitionId);
    if (partition !== undefined && isFull(partition)) return;
    this.#violated("only a full queue refuses as it is full", entry, JSON.stringify(command));
  }

  #dropOldest(entry: Entry, partition: ModelPartition): void {
    if (partition.settings.overflow !== "dropOldest") return;
    const excess = liveOf(partition) - mostOf(partition);
    if (excess <= 0) return;
    const dropped = partition.messages
      .filter(({ acked, dead, repeated, dueMs, lease }) =>
        !acked && !dead && !repeated && dueMs === 0 && lease === undefined
      )
      .slice(0, excess);
    removeAll(partition, dropped, entry.index);
    partition.droppedCount += dropped.length;
    this.#world.counters.add("queue: messages dropped", dropped.length);
  }

  #publish(
    entry: Entry,
    command: Pick<PublishCommand, "partitionId" | "count"> & { readonly kind: Command["kind"] },
    reply: Reply,
  ): void {
    if (reply.kind !== "published" || reply.count !== command.count) {
      this.#violated("a publish is answered with its receipt", entry, JSON.stringify(reply));
    }
    const partition = this.#partition(entry, command.partitionId);
    const { firstOffset } = reply;
    if (command.kind === "publish" && !reply.duplicate && isFull(partition)) {
      this.#violated("a full queue takes nothing", entry, `it has ${liveOf(partition)} messages`);
    }
    if (reply.duplicate) this.#world.counters.add("queue: publishes repeated");
    else if (firstOffset !== partition.messages.length) {
      this.#violated(
        "offsets have no gaps",
        entry,
        `it stored ${firstOffset} after ${partition.messages.length - 1}`,
      );
    }
    const repeats: Repeat[] = [];
    for (let i = 0; i < command.count; i++) {
      const { key, headers, body, options: { unique } } = decodeMessage(
        entry.data,
        messageStart(entry.data, i),
        messageEnd(entry.data, i),
      );
      const id = nameOfMessage(decoder.decode(body), headers);
      const place = `${command.partitionId}/${firstOffset + i}`;
      if (reply.duplicate) {
        if (this.#places.get(id) === place) continue;
        this.#violated(
          "a repeated publish gets the first receipt",
          entry,
          `message ${id} is at ${this.#places.get(id)}, not at ${place}`,
        );
      }
      if (this.#places.has(id)) {
        this.#violated(
          "exactly-once publish",
          entry,
          `message ${id} is at ${this.#places.get(id)} and again at ${place}`,
        );
      }
      const earlier = this.#aliveWith(partition, unique);
      if (earlier !== undefined) {
        const { offset, index, term } = earlier;
        repeats.push({ position: i, offset, index, term });
        partition.repeatedCount++;
        this.#world.counters.add("queue: messages not stored, as a unique one was alive");
      } else if (unique !== undefined) partition.uniques.set(unique, firstOffset + i);
      const repeated = earlier !== undefined;
      this.#store(entry, partition, { id, key, unique, repeated }, place);
    }
    this.#checkRepeats(entry, `${command.partitionId}/${firstOffset}`, repeats, reply);
    this.#dropOldest(entry, partition);
    this.#world.counters.add("queue: messages stored", reply.duplicate ? 0 : command.count);
  }

  /** The answer tells what was not stored, and a repetition of it tells the same. */
  #checkRepeats(
    entry: Entry,
    place: string,
    repeats: readonly Repeat[],
    reply: Reply & { kind: "published" },
  ): void {
    const expected = reply.duplicate ? this.#repeats.get(place) : JSON.stringify(repeats);
    const told = JSON.stringify(reply.repeats ?? []);
    if (told !== (expected ?? "[]")) {
      this.#violated("a unique message is stored once", entry, `${told} should be ${expected}`);
    }
    if (!reply.duplicate && repeats.length > 0) this.#repeats.set(place, told);
  }

  /** The message that keeps others with its text out. */
  #aliveWith(
    partition: ModelPartition,
    unique: string | undefined,
  ): { offset: number; index: number; term: number } | undefined {
    const offset = unique === undefined ? undefined : partition.uniques.get(unique);
    if (offset === undefined) return undefined;
    const { acked, dead, index, term } = partition.messages[offset]!;
    return acked || dead ? undefined : { offset, index, term };
  }

  #store(
    { index, term }: Entry,
    partition: ModelPartition,
    message: Pick<ModelMessage, "id" | "key" | "unique" | "repeated">,
    place: string,
  ): void {
    this.#places.set(message.id, place);
    partition.messages.push({
      ...message,
      index,
      term,
      acked: false,
      dead: false,
      ackedIndex: 0,
      deliveryCount: 0,
      deliveredIndex: 0,
      lease: undefined,
      dueMs: 0,
      seen: new Map(),
    });
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
    const messages = publishedWith(entry.data);
    const ids = command.targets.map((_, i) => idIn(messages, i));
    const isOk = reply.statuses.every((status) => status === SettleStatus.ok);
    const { counters } = this.#world;
    const { sessionId, sequence } = command;
    // A copy that comes late may find that its answer is forgotten: the client has it already.
    const answeredBelow = Math.max(
      this.#answeredBelow.get(sessionId) ?? 0,
      command.answeredBelow,
    );
    this.#answeredBelow.set(sessionId, answeredBelow);
    if (ids.some((id) => this.posted.has(id))) {
      if (!isOk && sequence >= answeredBelow) {
        this.#violated("an ack that is repeated gets the same answer", entry, ids.join());
      }
      return counters.add("queue: acks that publish repeated");
    }
    const partition = this.#partition(entry, command.partitionId);
    const isHeld = command.offsets.every((offset, i) => {
      const message = partition.messages[offset];
      const lease = message?.lease;
      return lease !== undefined && lease.consumer.sessionId === command.sessionId &&
        lease.consumer.consumerId === command.consumerId &&
        message!.deliveryCount === command.deliveryCounts[i];
    });
    if (isOk !== isHeld) {
      const what = `${command.offsets} of ${partition.queue} got ${reply.statuses}`;
      this.#violated("who holds the messages acks and publishes", entry, what);
    }
    if (!isOk) return counters.add("queue: acks that publish too late");
    for (const offset of command.offsets) {
      partition.messages[offset]!.acked = true;
      partition.messages[offset]!.ackedIndex = entry.index;
      partition.ackedCount++;
      this.#release(partition, offset);
    }
    for (const id of ids) {
      this.posted.set(id, entry.index);
      this.outbox.set(this.#nextTransferId++, id);
    }
    counters.add("queue: acks that publish");
  }

  #transfer(entry: Entry, command: Command & { kind: "transfer" }, reply: Reply): void {
    if (reply.kind !== "transferred") {
      this.#violated("a transfer is answered with how far it is", entry, JSON.stringify(reply));
    }
    const { firstOffset } = reply;
    const partition = this.#partition(entry, command.partitionId);
    if (firstOffset === undefined) return this.#world.counters.add("queue: transfers repeated");
    if (firstOffset !== partition.messages.length) {
      const what = `${firstOffset} after ${partition.messages.length - 1}`;
      this.#violated("offsets have no gaps", entry, `it stored ${what}`);
    }
    for (let i = 0; i < command.count; i++) {
      const id = idIn(entry.data, i);
      if (this.#places.has(id)) {
        const where = `it is at ${this.#places.get(id)} already`;
        this.#violated("a message moves once", entry, `message ${id}: ${where}`);
      }
      const place = `${command.partitionId}/${firstOffset + i}`;
      this.#store(entry, partition, { id, key: undefined }, place);
    }
    this.#dropOldest(entry, partition);
    this.#world.counters.add("queue: messages transferred", command.count);
  }

  #settle(entry: Entry, command: Command & { kind: "settle" }, reply: Reply): void {
    if (reply.kind !== "settled") {
      this.#violated("a settle is answered with states", entry, JSON.stringify(reply));
    }
    const partition = this.#partition(entry, command.partitionId);
    const { counters } = this.#world;
    command.offsets.forEach((offset, i) => {
      const message = partition.messages[offset];
      const lease = message?.lease;
      const holds = lease !== undefined && lease.consumer.sessionId === command.sessionId &&
        lease.consumer.consumerId === command.consumerId &&
        message!.deliveryCount === command.deliveryCounts[i];
      const allowed = holds || message?.acked === true || message?.dead === true ||
        message?.repeated === true;
      const ok = reply.statuses[i] === SettleStatus.ok;
      if (ok !== allowed) {
        this.#violated(
          ok ? "only the holder settles" : "the holder can settle",
          entry,
          `offset ${offset} delivery ${command.deliveryCounts[i]} of consumer ` +
            `${command.sessionId}/${command.consumerId} got status ${reply.statuses[i]}; acked ` +
            `${message?.acked}, delivered ${message?.deliveryCount} times, held by ` +
            (lease === undefined ? "nobody" : nameOf(lease.consumer)),
        );
      }
      if (!ok) counters.add("queue: settles too late");
      if (!holds) return;
      switch (command.operation) {
        case SettleOperation.ack:
          message!.acked = true;
          message!.ackedIndex = entry.index;
          partition.ackedCount++;
          counters.add("queue: messages acked");
          return this.#release(partition, offset);
        case SettleOperation.nack:
          counters.add("queue: messages nacked");
          return this.#fail(command.partitionId, partition, offset, command.delayMs);
        case SettleOperation.reject:
          counters.add("queue: messages rejected");
          return this.#die(partition, offset);
        case SettleOperation.extend:
          counters.add("queue: leases extended");
          lease.deadlineMs = this.#nowMs + leaseMsOf(lease.consumer, partition);
          return;
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
      if (message.acked) this.#violated("no delivery after an ack", entry, what);
      if (message.dead) this.#violated("no delivery of a dead message", entry, what);
      if (message.dueMs > 0) {
        this.#violated("no delivery before its time", entry, `${what}: due at ${message.dueMs}`);
      }
      if (message.lease !== undefined) {
        const holder = nameOf(message.lease.consumer);
        this.#violated("a message has one holder", entry, `${what}; ${holder} holds it`);
      }
      if (deliveryCount !== message.deliveryCount + 1) {
        const counts = `count ${deliveryCount} after ${message.deliveryCount}`;
        this.#violated("delivery counts rise by one", entry, `${what}: ${counts}`);
      }
      if (message.index !== deliveries.entryIndex[i]) {
        this.#violated("deliveries name the entry", entry, `${what}: ${deliveries.entryIndex[i]}`);
      }
      if (message.repeated) this.#violated("no delivery of what was not stored", entry, what);
      if (deliveryCount === 1) {
        while (isPassed(partition.messages[partition.firstDeliveries]!)) {
          partition.firstDeliveries++;
        }
        if (offset !== partition.firstDeliveries) {
          const expected = `before ${partition.firstDeliveries}`;
          this.#violated("first in, first out", entry, `${what} ${expected}`);
        }
        partition.firstDeliveries++;
      } else this.#world.counters.add("queue: redeliveries");
      const consumer = partition.consumers.get(name);
      if (consumer === undefined) this.#violated("only consumers are served", entry, what);
      if (!consumer.attached || this.#sessions.get(consumer.sessionId)?.attached !== true) {
        this.#violated("only attached consumers are served", entry, what);
      }
      this.#world.trace(() => `queue: delivery ${deliveryCount} of ${what}`);
      message.deliveryCount = deliveryCount;
      message.deliveredIndex = entry.index;
      message.lease = { consumer, deadlineMs: this.#nowMs + leaseMsOf(consumer, partition) };
      partition.leased.set(offset, message);
      let held = 0;
      for (const { lease } of partition.leased.values()) if (lease!.consumer === consumer) held++;
      if (held > consumer.prefetch) {
        this.#violated(
          "credit is kept",
          entry,
          `${what}: it holds ${held} of ${consumer.prefetch}`,
        );
      }
    }
  }

  #beginTerm(): void {
    this.#schedules.beginTerm();
    for (const [id, session] of this.#sessions) if (!session.ended) this.#detach(id, session);
    for (const partition of this.partitions.values()) {
      for (const { lease } of partition.leased.values()) {
        lease!.deadlineMs = this.#nowMs + leaseMsOf(lease!.consumer, partition);
      }
    }
  }

  #expire(): void {
    for (const [partitionId, partition] of this.partitions) {
      for (const [offset, { lease }] of partition.leased) {
        if (lease!.deadlineMs > this.#nowMs) continue;
        this.#world.counters.add("queue: leases expired");
        this.#fail(partitionId, partition, offset);
      }
      if (partition.delayedCount === 0) continue;
      for (const message of partition.messages) {
        if (message.dueMs === 0 || message.dueMs > this.#nowMs) continue;
        message.dueMs = 0;
        partition.delayedCount--;
      }
    }
  }

  #sessionTimedOut(entry: Entry, sessionId: number): void {
    const session = this.#sessions.get(sessionId);
    if (session === undefined || session.ended || session.attached) {
      this.#violated("only detached sessions end", entry, `session ${sessionId}`);
    }
    if (session.deadlineMs > this.#nowMs) {
      const early = session.deadlineMs - this.#nowMs;
      this.#violated("sessions live to their time-out", entry, `${sessionId} is ${early} ms early`);
    }
    this.#world.counters.add("queue: sessions timed out");
    session.ended = true;
    this.#endConsumers((consumer) => consumer.sessionId === sessionId, "timedOut");
  }

  #detach(id: number, session: ModelSession): void {
    session.attached = false;
    session.deadlineMs = this.#nowMs + session.timeoutMs;
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
        for (const [offset, { lease }] of partition.leased) {
          if (lease!.consumer !== consumer) continue;
          if (how === "closed") this.#release(partition, offset);
          else this.#fail(partitionId, partition, offset, 0);
        }
      }
    }
  }

  /** A consumer has failed with a message: it waits for its back-off, or dies. */
  #fail(id: number, partition: ModelPartition, offset: number, delayMs?: number): void {
    const message = partition.messages[offset]!;
    const { settings } = partition;
    const { deliveryCount } = message;
    if (settings.maxDeliveries > 0 && deliveryCount >= settings.maxDeliveries) {
      return this.#die(partition, offset);
    }
    this.#release(partition, offset);
    const waitMs = delayMs ?? backoffMs(settings, id, offset, deliveryCount);
    if (waitMs === 0) return;
    message.dueMs = this.#nowMs + waitMs;
    partition.delayedCount++;
    this.#world.counters.add("queue: messages backing off");
  }

  #die(partition: ModelPartition, offset: number): void {
    this.#release(partition, offset);
    partition.messages[offset]!.dead = true;
    partition.deadCount++;
    this.#nextTransferId++;
    this.#world.counters.add("queue: messages dead");
  }

  #release(partition: ModelPartition, offset: number): void {
    partition.messages[offset]!.lease = undefined;
    partition.leased.delete(offset);
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

/** Messages that nobody holds are gone, oldest first. */
function removeAll(
  partition: ModelPartition,
  gone: readonly ModelMessage[],
  index: number,
): void {
  for (const message of gone) {
    message.acked = true;
    message.ackedIndex = index;
    if (message.dueMs > 0) partition.delayedCount--;
    message.dueMs = 0;
  }
  partition.ackedCount += gone.length;
}

/** Whether a message is in the queue, and nobody holds it. */
function isWaiting({ acked, dead, repeated, lease }: ModelMessage): boolean {
  return !acked && !dead && !repeated && lease === undefined;
}

/** Whether it will never be delivered for the first time. */
function isPassed({ repeated, acked, deliveryCount }: ModelMessage): boolean {
  return repeated === true || acked && deliveryCount === 0;
}

function liveOf(
  { messages, ackedCount, deadCount, repeatedCount }: ModelPartition,
): number {
  return messages.length - ackedCount - deadCount - repeatedCount;
}

function mostOf({ settings: { maxMessages, partitions } }: ModelPartition): number {
  return maxMessages === 0 ? Infinity : Math.max(1, Math.floor(maxMessages / partitions));
}

function isFull(partition: ModelPartition): boolean {
  return partition.settings.overflow === "reject" && liveOf(partition) >= mostOf(partition);
}

function leaseMsOf({ leaseMs }: ModelConsumer, { settings }: ModelPartition): number {
  return leaseMs || settings.leaseMs;
}

function nameOf(consumer: ModelConsumer): string {
  return `${consumer.sessionId}/${consumer.consumerId}`;
}

/** The name of a message of a command. */
function idIn(command: Uint8Array, position: number): string {
  const start = messageStart(command, position);
  const { headers, body } = decodeMessage(command, start, messageEnd(command, position));
  return nameOfMessage(decoder.decode(body), headers);
}
