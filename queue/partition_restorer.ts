/**
 * Fills the tables of a partition from the parts of a snapshot, one after the other, in the order in which
 * a capture gives them.
 *
 * @module
 */

import type { Backlog } from "./backlog.ts";
import type { PartitionIdentity } from "./commands.ts";
import { Consumer } from "./consumer.ts";
import type { History } from "./history.ts";
import { invariant, unreachable } from "./invariant.ts";
import type { LeaseTable } from "./lease_table.ts";
import type {
  ConsumerSnapshot,
  LeaseSnapshot,
  SnapshotPart,
  WaitingSnapshot,
} from "./machine_snapshot.ts";
import type { PartitionConsumers } from "./partition_consumers.ts";
import type { Session } from "./session_table.ts";
import type { UniqueTable } from "./unique_table.ts";

/** A part of a snapshot that is of the partition before it. */
export type PartitionContent = Exclude<
  SnapshotPart,
  {
    kind:
      | "shard"
      | "queues"
      | "sessions"
      | "producers"
      | "schedules"
      | "outbox"
      | "transfers"
      | "partition"
      | "transferMarks"
      | "end";
  }
>;

/** The sessions of a shard. */
export interface RestoredSessions {
  get(id: number): Pick<Session, "state" | "addConsumer"> | undefined;
}

/** The tables of a partition that are filled. */
export interface TablesToFill {
  readonly identity: PartitionIdentity;
  readonly backlog: Backlog;
  readonly leases: LeaseTable;
  readonly consumers: PartitionConsumers;
  /** Made for the first text. */
  uniques(): UniqueTable;
  /** Made where there is none. */
  history(): History;
  /** Told which messages are not gone, of those that are not fresh. */
  lives(offset: number): void;
}

/** Puts into a partition what a snapshot has of it. */
export class PartitionRestorer {
  readonly #tables: TablesToFill;
  readonly #sessions: RestoredSessions;
  /** In the order in which they came. */
  readonly #consumers: Consumer[] = [];

  /**
   * @param tables Where it goes.
   * @param sessions Those of its consumers, restored before.
   */
  constructor(tables: TablesToFill, sessions: RestoredSessions) {
    this.#tables = tables;
    this.#sessions = sessions;
  }

  /**
   * Takes the next part.
   *
   * @param part The part.
   */
  take(part: PartitionContent): void {
    const { backlog, consumers } = this.#tables;
    switch (part.kind) {
      case "consumers":
        for (const saved of part.consumers) this.#restoreConsumer(saved);
        return;
      case "ring":
        for (const place of part.consumers) consumers.ring.join(this.#consumerAt(place));
        return;
      case "batches":
      case "passed":
      case "expiries":
      case "sizes":
        return backlog.restorePart(part);
      case "leases":
        return this.#restoreLeases(part);
      case "uniques":
        return this.#tables.uniques().restore(part);
      case "keyed":
        backlog.restoreKeyed(part);
        for (const offset of part.offset) this.#tables.lives(offset);
        return;
      case "keyTurns":
      case "keyRests":
      case "keyRates":
        return backlog.restoreKeyed(part);
      case "returned":
        for (const [offset, count, priority] of waitingIn(part)) {
          backlog.putBack(offset, count, priority);
          this.#tables.lives(offset);
        }
        return;
      case "delayed":
        for (const [offset, count, priority, at] of waitingIn(part)) {
          backlog.delay(part.dueMs[at]!, offset, count, priority);
          this.#tables.lives(offset);
        }
        return;
      case "history":
        return this.#tables.history().restore(part);
      case "happenings":
        return this.#tables.history().restoreHappenings(part);
      case "replayable":
        return this.#tables.history().restoreReplayable(part);
      case "replaying":
        return this.#tables.history().restoreReplaying(part);
      default:
        unreachable(part);
    }
  }

  #restoreConsumer(saved: ConsumerSnapshot): void {
    const { sessionId, consumerId, prefetch, attached, draining, leaseMs = 0 } = saved;
    const { identity: { id, settings }, consumers, leases } = this.#tables;
    const session = this.#sessions.get(sessionId);
    invariant(session !== undefined, "The session of a consumer is in the snapshot");
    const consumer = new Consumer(sessionId, consumerId, id, prefetch);
    consumer.attached = attached;
    consumer.receiving = attached && session.state === "attached";
    consumer.leaseMs = leaseMs;
    consumers.add(consumer);
    consumers.setDraining(consumer, draining);
    leases.setDuration(consumer, leaseMs || settings.leaseMs, 0);
    session.addConsumer(consumer);
    this.#consumers.push(consumer);
  }

  #restoreLeases({ offset, deadlineMs, deliveryCount, holder, priority }: LeaseSnapshot): void {
    const { leases } = this.#tables;
    for (let at = 0; at < offset.length; at++) {
      const consumer = this.#consumerAt(holder[at]!);
      leases.lease(
        offset[at]!,
        deliveryCount[at]!,
        priority?.[at] ?? 0,
        consumer,
        deadlineMs[at]!,
      );
      this.#tables.lives(offset[at]!);
    }
  }

  #consumerAt(place: number): Consumer {
    const consumer = this.#consumers[place];
    invariant(consumer !== undefined, "The consumers of a partition come before what they hold");
    return consumer;
  }
}

function* waitingIn(
  { offset, deliveryCount, priority }: WaitingSnapshot,
): Generator<readonly [offset: number, deliveryCount: number, priority: number, at: number]> {
  for (let at = 0; at < offset.length; at++) {
    yield [offset[at]!, deliveryCount[at]!, priority?.[at] ?? 0, at];
  }
}
