/**
 * Checks what clients are told against what the committed log says.
 *
 * The log is followed by a {@linkcode ShardModel} each shard, from the first node that applies an
 * entry; whatever an application hears afterwards must already be true there: a confirmed message is
 * stored at the place of its receipt, a confirmed ack holds, and a delivery that reaches an application
 * was made, with this count, and reaches no second one.
 *
 * @module
 */

import type { Entry } from "../../raft/mod.ts";
import type { QueueInfo, Reply, ShardMachine, Transfer } from "../../queue/mod.ts";
import type { Shard } from "../../broker/mod.ts";
import type { MessageProperties } from "../../client/message_properties.ts";
import { Conservation } from "./conservation.ts";
import { KeyOrderChecker } from "./key_order_checker.ts";
import type { OutboxModel } from "./outbox_model.ts";
import { isAlive, type ModelMessage, type ModelPartition } from "./partition_model.ts";
import { ShardModel } from "./queue_model.ts";
import { ReadChecker } from "./read_checker.ts";
import type { World } from "./world.ts";

/** Where something is, as clients are told. */
export interface Place {
  readonly partition: number;
  readonly offset: number;
  readonly term: number;
  readonly index: number;
}

/** A message as an application got it. */
export interface SeenDelivery extends Place {
  readonly id: string;
  readonly deliveryCount: number;
}

/** A publish as its caller sees it. */
export interface PublishRecord {
  readonly id: string;
  readonly queue: string;
  /** Who published, and the how manieth of its messages to this queue it is. */
  readonly publisher: string;
  readonly number: number;
  /** What it is published with. */
  readonly asked: MessageProperties;
  state: "underWay" | "confirmed" | "notApplied" | "maybeApplied";
  place?: Place;
}

/** All queues of a cluster, and what clients know of them. */
export class QueueChecker {
  readonly shards: ShardModel[];
  readonly publishes: PublishRecord[] = [];
  readonly #world: World;
  readonly #places = new Map<string, string>();
  readonly #keyOrder = new KeyOrderChecker();
  /** What clients read. */
  readonly reads: ReadChecker;
  readonly #conservation: Conservation[];
  /** By shard: the newest transfer that was seen in its outbox. */
  readonly #sent: number[] = [];
  readonly #notForwarded: string[] = [];

  constructor(world: World, shardCount: number) {
    this.#world = world;
    const outboxes: OutboxModel[] = [];
    this.shards = Array.from(
      { length: shardCount },
      (_, id) =>
        new ShardModel(id, world, { places: this.#places, outboxes, keyOrder: this.#keyOrder }),
    );
    this.#conservation = this.shards.map(({ shard }) => new Conservation(shard, world));
    this.reads = new ReadChecker(world, this.#conservation);
  }

  /** An entry was applied for the first time anywhere. */
  applied({ id, machine }: Shard, entry: Entry, reply: Reply | undefined): void {
    const model = this.shards[id]!;
    model.apply(entry, reply, machine.effects, this.#sentBy(id, machine));
    if (machine.outboxSize !== model.outbox.size) {
      const counts = `${machine.outboxSize} of ${model.outbox.size}`;
      this.#world.violated("what is on its way is in the outbox", `shard ${id}: ${counts}`);
    }
    this.#conservation[id]!.record(entry.index, model.partitions);
    const mayChangeCatalog = id === 0 && (reply?.kind === "queue" || reply?.kind === "ok");
    this.reads.applied(id, entry.index, mayChangeCatalog ? machine.queues() : undefined);
  }

  /** What an entry has put into the outbox. */
  #sentBy(shard: number, machine: ShardMachine): Transfer[] {
    const before = this.#sent[shard] ?? 0;
    if (machine.newestTransferId === before) return [];
    this.#sent[shard] = machine.newestTransferId;
    return [...machine.transferLanes()]
      .flatMap(({ transfers }) => [...transfers.values()].filter(({ id }) => id > before))
      .sort((a, b) => a.id - b.id);
  }

  /** A replica has the state after an entry that was applied somewhere before, or is now. */
  stepped(node: number, { id, machine }: Shard, index: number): void {
    this.#conservation[id]!.check(node, index, machine);
  }

  /** Whether a queue was made. */
  has(queue: string): boolean {
    return this.#partition(queue, 0) !== undefined;
  }

  /** A client was told that a queue is changed: each partition that is still there has heard of it. */
  edited({ name, revision, partitions }: QueueInfo): void {
    for (const { id, shard } of partitions) {
      const partition = this.shards[shard]!.partitions.get(id);
      if (partition === undefined || partition.revision >= revision) continue;
      const what = `${name}/${partition.number} has ${partition.revision} of ${revision}`;
      this.#world.violated("a change is told when it is carried out", what);
    }
  }

  /** A client begins to publish a message. */
  publishing(
    queue: string,
    publisher: string,
    number: number,
    id: string,
    asked: MessageProperties = {},
  ): PublishRecord {
    const record: PublishRecord = { id, queue, publisher, number, asked, state: "underWay" };
    this.publishes.push(record);
    this.#keyOrder.publishing(record);
    return record;
  }

  /** A client was told that a message is stored. */
  confirmed(record: PublishRecord, place: Place): void {
    record.state = "confirmed";
    const message = this.#message(record.queue, place.partition, place.offset);
    // The place of another message is the answer where that one has the same text.
    const isOther = message !== undefined && message.id !== record.id;
    const { unique } = record.asked;
    const isRepeat = isOther && unique !== undefined && message.unique === unique;
    if (!isRepeat) record.place = place;
    if (
      message === undefined || isOther && !isRepeat || message.index !== place.index ||
      message.term !== place.term
    ) {
      const found = message === undefined ? "nothing" : `${message.id} of entry ${message.index}`;
      this.#world.violated(
        "a confirmed message is stored where its receipt says",
        `${record.id} in ${record.queue} ${placeText(place)}: there is ${found}`,
      );
    }
    this.#told(record.queue, place, place.index);
    this.#world.counters.add("client: publishes confirmed");
  }

  /** A client was told that a publish failed. */
  refused(record: PublishRecord, maybeApplied: boolean): void {
    record.state = maybeApplied ? "maybeApplied" : "notApplied";
    if (!maybeApplied && this.#places.has(record.id)) {
      this.#world.violated(
        "a publish that surely failed is not stored",
        `${record.id} in ${record.queue} is at ${this.#places.get(record.id)}`,
      );
    }
    const how = maybeApplied ? "with unknown fate" : "surely";
    this.#world.counters.add(`client: publishes failed ${how}`);
  }

  /** An application got a message. */
  delivered(queue: string, consumer: string, seen: SeenDelivery): void {
    const message = this.#message(queue, seen.partition, seen.offset);
    const what = `${consumer} got ${seen.id} of ${queue} ${placeText(seen)}, ` +
      `delivery ${seen.deliveryCount}`;
    if (message === undefined || message.id !== seen.id || message.index !== seen.index) {
      this.#world.violated("what is delivered was published", what);
      return;
    }
    if (seen.deliveryCount > message.deliveryCount || seen.deliveryCount < 1) {
      const count = `${message.deliveryCount} were made`;
      this.#world.violated("what arrives was delivered", `${what}: ${count}`);
    }
    const other = message.seen.get(seen.deliveryCount);
    if (other !== undefined) {
      const who = `${what}: ${other} had it`;
      this.#world.violated("a delivery reaches one application, once", who);
    }
    message.seen.set(seen.deliveryCount, consumer);
    if (seen.deliveryCount === message.deliveryCount) {
      this.#told(queue, seen, message.deliveredIndex);
    }
    this.#world.trace(() => what);
    if (!isAlive(message)) this.#world.counters.add("client: stale deliveries of what is gone");
    this.#world.counters.add("client: deliveries");
    if (seen.deliveryCount > 1) this.#world.counters.add("client: redeliveries");
  }

  /** A client was told that an ack is done. */
  acked(queue: string, consumer: string, seen: SeenDelivery): void {
    const message = this.#message(queue, seen.partition, seen.offset);
    if (message === undefined || isAlive(message)) {
      this.#world.violated(
        "a confirmed ack holds",
        `${consumer} acked ${seen.id} of ${queue} ${placeText(seen)}, and it is ${message?.state}`,
      );
    }
    this.#told(queue, seen, message?.goneIndex ?? 0);
    this.#world.counters.add("client: acks confirmed");
  }

  /** A client was told that a message is out of its queue: by its own request, or before. */
  removed(queue: string, { partition, offset, id }: Place & { readonly id: string }): void {
    const message = this.#message(queue, partition, offset);
    if (message?.id !== id || isAlive(message)) {
      const what = `${id} of ${queue} at ${partition}/${offset} is in its queue`;
      this.#world.violated("a removed message is gone", what);
    }
    this.#told(queue, { partition }, message?.goneIndex ?? 0);
  }

  /** A client was told that an ack is done, and that something was published with it. */
  forwarded(id: string): void {
    if (!this.#wasPosted(id)) {
      this.#world.violated("what was published with a confirmed ack is on its way", id);
    }
    this.#world.counters.add("client: acks that publish confirmed");
  }

  /** A client was told that an ack surely failed: nothing was, or will be, published with it. */
  notForwarded(id: string): void {
    this.#notForwarded.push(id);
  }

  #wasPosted(id: string): boolean {
    return this.shards.some(({ posted }) => posted.has(id));
  }

  /** Messages stored and not acked. */
  waiting(): number {
    return this.shards.reduce((sum, shard) => sum + shard.waiting(), 0);
  }

  /** Where messages wait, for people. */
  describeWaiting(): string {
    const places: string[] = [];
    for (const { partitions } of this.shards) {
      for (const [id, { queue, number, live, counts }] of partitions) {
        if (live === 0) continue;
        const { leased, delayed } = counts;
        const what = `${live}, ${leased} leased, ${delayed} delayed`;
        places.push(`partition ${id} (${queue}/${number}): ${what}`);
      }
    }
    return places.join("; ");
  }

  /** Publishes that nobody has answered yet. */
  underWay(): number {
    return this.publishes.filter(({ state }) => state === "underWay").length;
  }

  /** Checks what must hold when everything is over. */
  checkEnd(): void {
    this.#checkOrder();
    for (const id of this.#notForwarded) {
      if (!this.#wasPosted(id)) continue;
      this.#world.violated("nothing is published with an ack that surely failed", id);
    }
    for (const { posted } of this.shards) {
      for (const id of posted.keys()) {
        if (this.#places.has(id)) continue;
        this.#world.violated("what is published with an ack, or comes back, arrives", id);
      }
    }
    for (const record of this.publishes) {
      if (record.state === "notApplied" && this.#places.has(record.id)) {
        this.#world.violated("a publish that surely failed is not stored", record.id);
      }
    }
  }

  /**
   * Confirmed messages of one publisher lie in each partition in the order they were published; in one that
   * came later, where some had to be placed anew, those of each key do.
   */
  #checkOrder(): void {
    const last = new Map<string, PublishRecord>();
    for (const record of this.publishes) {
      if (record.place === undefined) continue;
      const { publisher, queue, place: { partition }, asked } = record;
      const cameLater = this.#partition(queue, partition)?.cameLater === true;
      const key = JSON.stringify([
        publisher,
        queue,
        partition,
        cameLater ? asked.key ?? asked.unique : null,
      ]);
      const before = last.get(key);
      if (before !== undefined && before.place!.offset >= record.place.offset) {
        this.#world.violated(
          "order of a publisher",
          `${before.id} at ${placeText(before.place!)} was published before ${record.id} at ` +
            placeText(record.place),
        );
      }
      last.set(key, record);
    }
  }

  /** A client knows from now on what an entry did to a queue. */
  #told(queue: string, { partition }: Pick<Place, "partition">, index: number): void {
    const shard = this.#partition(queue, partition)?.shard;
    if (shard !== undefined) this.reads.told(shard, index);
  }

  #message(queue: string, partition: number, offset: number): ModelMessage | undefined {
    return this.#partition(queue, partition)?.messages[offset];
  }

  #partition(queue: string, number: number): ModelPartition | undefined {
    for (const { partitions } of this.shards) {
      for (const partition of partitions.values()) {
        if (partition.queue === queue && partition.number === number) return partition;
      }
    }
    return undefined;
  }
}

function placeText({ partition, offset, term, index }: Place): string {
  return `partition ${partition} offset ${offset} (entry ${index} of term ${term})`;
}
