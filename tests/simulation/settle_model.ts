/**
 * What consumers say about the messages that they hold, as it must be taken: who holds a message settles
 * it, and nobody else does.
 *
 * @module
 */

import { type Command, type Reply, SettleOperation, SettleStatus } from "../../queue/mod.ts";
import type { Entry } from "../../raft/mod.ts";
import { namesPublishedWith } from "./message_reader.ts";
import type { OutboxModel } from "./outbox_model.ts";
import {
  isAlive,
  type ModelMessage,
  type ModelPartition,
  nameOfConsumer,
} from "./partition_model.ts";
import type { ShardHost } from "./shard_host.ts";

type SettleCommand = Command & { kind: "settle" };
type SettleAndPublishCommand = Command & { kind: "settleAndPublish" };

/** The acks and other words of consumers of a shard. */
export class SettleModel {
  readonly #host: ShardHost;
  readonly #outbox: OutboxModel;
  /** Told of messages that are published with an ack: name and entry. */
  readonly #onPosted: (name: string, index: number) => void;
  /** Acks that published, by session and number. */
  readonly #posts = new Set<string>();
  /** Of each session: below which number of its acks that publish it has all answers. */
  readonly #answeredBelow = new Map<number, number>();

  constructor(
    host: ShardHost,
    outbox: OutboxModel,
    onPosted: (name: string, index: number) => void,
  ) {
    this.#host = host;
    this.#outbox = outbox;
    this.#onPosted = onPosted;
  }

  settle(entry: Entry, command: SettleCommand, reply: Reply): void {
    if (reply.kind !== "settled") {
      this.#host.violated("a settle is answered with states", entry, JSON.stringify(reply));
    }
    const partition = this.#host.partition(entry, command.partitionId);
    command.offsets.forEach((offset, i) => {
      const message = partition.messages[offset];
      const held = holdsOf(partition, command, i);
      const allowed = held !== undefined || message !== undefined && !isAlive(message);
      const ok = reply.statuses[i] === SettleStatus.ok;
      if (ok !== allowed) {
        const { state, deliveryCount, lease } = message ?? {};
        this.#host.violated(
          ok ? "only the holder settles" : "the holder can settle",
          entry,
          `offset ${offset} delivery ${command.deliveryCounts[i]} of consumer ` +
            `${command.sessionId}/${command.consumerId} got status ${reply.statuses[i]}; it is ` +
            `${state}, delivered ${deliveryCount} times, held by ` +
            (lease === undefined ? "nobody" : nameOfConsumer(lease.consumer)),
        );
      }
      if (!ok) this.#host.count("queue: settles too late");
      if (held !== undefined) this.#carryOut(partition, held, command);
    });
  }

  /** An ack that publishes: everything where all leases are held, and nothing otherwise. */
  settleAndPublish(entry: Entry, command: SettleAndPublishCommand, reply: Reply): void {
    if (reply.kind !== "settled") {
      this.#host.violated("a settle is answered with states", entry, JSON.stringify(reply));
    }
    const isOk = reply.statuses.every((status) => status === SettleStatus.ok);
    const { sessionId, sequence, targets } = command;
    const name = `${sessionId}/${sequence}`;
    // A copy that comes late may find that its answer is forgotten: the client has it already.
    const answeredBelow = Math.max(
      this.#answeredBelow.get(sessionId) ?? 0,
      command.answeredBelow,
    );
    this.#answeredBelow.set(sessionId, answeredBelow);
    if (this.#posts.has(name)) {
      if (!isOk && sequence >= answeredBelow) {
        this.#host.violated("an ack that is repeated gets the same answer", entry, name);
      }
      return this.#host.count("queue: acks that publish repeated");
    }
    const partition = this.#host.partition(entry, command.partitionId);
    const isHeld = command.offsets.every((_, i) => holdsOf(partition, command, i) !== undefined);
    if (isOk !== isHeld) {
      const what = `${command.offsets} of ${partition.queue} got ${reply.statuses}`;
      this.#host.violated("who holds the messages acks and publishes", entry, what);
    }
    if (!isOk) return this.#host.count("queue: acks that publish too late");
    this.#posts.add(name);
    for (const offset of command.offsets) partition.ack(partition.messages[offset]!);
    for (const [position, id] of namesPublishedWith(entry, targets.length).entries()) {
      this.#onPosted(id, entry.index);
      this.#outbox.post(entry.index, position, id, targets[position]!);
    }
    this.#host.count("queue: acks that publish");
  }

  #carryOut(partition: ModelPartition, held: ModelMessage, command: SettleCommand): void {
    switch (command.operation) {
      case SettleOperation.ack:
        return partition.ack(held);
      case SettleOperation.nack:
        this.#host.count("queue: messages nacked");
        return partition.fail(held, command.delayMs);
      case SettleOperation.reject:
        return partition.reject(held);
      case SettleOperation.extend: {
        this.#host.count("queue: leases extended");
        const { lease } = held;
        lease!.deadlineMs = this.#host.nowMs + partition.leaseMsOf(lease!.consumer);
        return;
      }
      default:
        return command.operation satisfies never;
    }
  }
}

/** The message that a settle command is about, if whoever says so holds it. */
function holdsOf(
  { messages }: ModelPartition,
  { sessionId, consumerId, offsets, deliveryCounts }: SettleCommand | SettleAndPublishCommand,
  at: number,
): ModelMessage | undefined {
  const message = messages[offsets[at]!];
  const consumer = message?.lease?.consumer;
  const holds = consumer?.sessionId === sessionId && consumer.consumerId === consumerId &&
    message!.deliveryCount === deliveryCounts[at];
  return holds ? message : undefined;
}
