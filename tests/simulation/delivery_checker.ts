/**
 * Checks each delivery: the message is the one whose turn it is, its delivery count is one more than
 * before, and the consumer is attached and has credit.
 *
 * @module
 */

import type { Effects } from "../../queue/mod.ts";
import type { Entry } from "../../raft/mod.ts";
import type { KeyOrderChecker } from "./key_order_checker.ts";
import {
  type MessageState,
  type ModelMessage,
  type ModelPartition,
  nameOfConsumer,
} from "./partition_model.ts";
import type { ShardHost } from "./shard_host.ts";
import type { World } from "./world.ts";

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

/** Knows whose session is attached. */
export interface SessionKnower {
  isAttached(sessionId: number): boolean;
}

/** Checks the deliveries of a shard. */
export class DeliveryChecker {
  readonly #host: ShardHost;
  readonly #sessions: SessionKnower;
  readonly #keyOrder: KeyOrderChecker;
  readonly #world: World;

  constructor(host: ShardHost, sessions: SessionKnower, keyOrder: KeyOrderChecker, world: World) {
    this.#host = host;
    this.#sessions = sessions;
    this.#keyOrder = keyOrder;
    this.#world = world;
  }

  /** Checks what an entry hands out, and notes who has it. */
  check(entry: Entry, { deliveries }: Effects): void {
    for (let i = 0; i < deliveries.count; i++) {
      const partition = this.#host.partition(entry, deliveries.partitionId[i]!);
      const offset = deliveries.offset[i]!;
      const deliveryCount = deliveries.deliveryCount[i]!;
      const name = `${deliveries.sessionId[i]}/${deliveries.consumerId[i]}`;
      const message = partition.messages[offset];
      const what = `${partition.queue}/${partition.number} offset ${offset} to ${name}`;
      if (message === undefined) this.#host.violated("only messages are delivered", entry, what);
      if (partition.paused) this.#host.violated("a paused queue delivers nothing", entry, what);
      if (message.state !== "ready") {
        const { lease, dueMs } = message;
        const details = lease === undefined
          ? `due at ${dueMs}`
          : `${nameOfConsumer(lease.consumer)} has it`;
        this.#host.violated(UNDELIVERABLE[message.state], entry, `${what}; ${details}`);
      }
      if (deliveryCount !== message.deliveryCount + 1) {
        const counts = `count ${deliveryCount} after ${message.deliveryCount}`;
        this.#host.violated("delivery counts rise by one", entry, `${what}: ${counts}`);
      }
      if (message.index !== deliveries.entryIndex[i]) {
        const index = deliveries.entryIndex[i];
        this.#host.violated("deliveries name the entry", entry, `${what}: ${index}`);
      }
      this.#checkTurn(entry, partition, message, what);
      if (deliveryCount > 1) this.#host.count("queue: redeliveries");
      const consumer = partition.consumers.get(name);
      if (consumer === undefined) this.#host.violated("only consumers are served", entry, what);
      if (!consumer.attached || !this.#sessions.isAttached(consumer.sessionId)) {
        this.#host.violated("only attached consumers are served", entry, what);
      }
      this.#world.trace(() => `queue: delivery ${deliveryCount} of ${what}`);
      partition.deliver(message, consumer);
      if (consumer.held > consumer.prefetch) {
        const credit = `it holds ${consumer.held} of ${consumer.prefetch}`;
        this.#host.violated("credit is kept", entry, `${what}: ${credit}`);
      }
    }
  }

  /** It is this message's turn. */
  #checkTurn(
    entry: Entry,
    partition: ModelPartition,
    message: ModelMessage,
    what: string,
  ): void {
    if (partition.isHeldBack(message)) {
      this.#host.violated("a key that may have moved waits for its older messages", entry, what);
    }
    const disorder = message.deliveryCount > 0
      ? undefined
      : this.#keyOrder.delivered(partition, message);
    if (disorder !== undefined) {
      this.#host.violated("a key is delivered in its order", entry, `${what}: ${disorder}`);
    }
    if (partition.keys.has(message.offset)) {
      const broken = partition.keys.delivered(message, this.#host.nowMs);
      if (broken !== undefined) this.#host.violated(broken[0], entry, `${what}: ${broken[1]}`);
      return this.#host.count("queue: deliveries of keys that take turns");
    }
    const next = partition.ready.next(partition.settings.starvationLimit)!;
    if (next === message) return;
    this.#host.violated(
      "in order of priority, then first in, first out",
      entry,
      `${what}; offset ${next.offset} of priority ${next.priority} comes before it`,
    );
  }
}
