/**
 * The queues of the catalog that are getting more partitions (decision 0028), step by step:
 *
 * ```text
 *   editQueue ─▶ added: made, in no record ── all created ─▶ known ── all old ones drained ─▶ over
 *                                              (growingFrom)
 * ```
 *
 * @module
 */

import { type CatalogQueue, countOf, type Growth } from "./catalog_queue.ts";
import type { PartitionAction, PartitionInfo, QueueInfo, Reply } from "./commands.ts";
import { invariant } from "./invariant.ts";
import { COMMAND_BOUNDS, isIntegerIn } from "./limits.ts";
import type { QueueSnapshot } from "./machine_snapshot.ts";
import { refused } from "./replies.ts";

/** What growing asks of the catalog. */
export interface GrowthHost {
  /** Takes ids and room for partitions. Gives a refusal where there is none. */
  place(firstNumber: number, count: number, shardCount: number): PartitionInfo[] | Reply;
  /** Has a shard do something about a partition. */
  ask(queue: CatalogQueue, partition: PartitionInfo, action: PartitionAction): void;
  /** Changes the record of a queue, and lets its partitions know. */
  revise(queue: CatalogQueue, change: Partial<QueueInfo>): void;
}

const NONE: readonly never[] = [];

/** Takes queues through the steps. */
export class GrowingQueues {
  readonly #host: GrowthHost;
  /** The queue of each partition that is to be drained. */
  readonly #draining = new Map<number, CatalogQueue>();

  /**
   * Begins without any.
   *
   * @param host The catalog.
   */
  constructor(host: GrowthHost) {
    this.#host = host;
  }

  /**
   * Has more partitions made for a queue.
   *
   * @param queue The queue.
   * @param more How many.
   * @param shardCount Over how many shards they go.
   * @returns Why not, if so.
   */
  begin(queue: CatalogQueue, more: number, shardCount: number): Reply | undefined {
    const { name, state } = queue.info;
    if (state === "creating") {
      return refused("queueGrowing", `Queue "${name}" is still being made`);
    }
    const count = countOf(queue);
    if (queue.growth !== undefined) {
      return refused(
        "queueGrowing",
        `Queue "${name}" is getting ${count} partitions already: it can get more when the ` +
          "messages are gone that were published before",
      );
    }
    if (!isIntegerIn(shardCount, 1, COMMAND_BOUNDS.shardCountMax)) {
      return refused("invalidArgument", `A cluster cannot have ${shardCount} shards`);
    }
    const added = this.#host.place(count, more, shardCount);
    if (!Array.isArray(added)) return added;
    queue.growth = { added, draining: new Set(), revision: 0 };
    for (const partition of added) this.#host.ask(queue, partition, "create");
    return undefined;
  }

  /**
   * All partitions that a queue was to get are there: from now on clients see them.
   *
   * @param queue The queue.
   * @param growth What it has come to.
   */
  makeKnown(queue: CatalogQueue, { added }: Growth): void {
    const { partitions: old, settings } = queue.info;
    const partitions = [...old, ...added];
    this.#host.revise(queue, {
      partitions,
      settings: { ...settings, partitions: partitions.length },
      growingFrom: old.length,
    });
    const draining = new Set(old.map(({ id }) => id));
    queue.growth = { added: NONE, draining, revision: queue.info.revision };
    for (const id of draining) this.#draining.set(id, queue);
  }

  /**
   * Notes that all is gone that was in a partition before its queue grew.
   *
   * @param partitionId The partition.
   * @param revision The revision of the queue's record that the partition knew.
   */
  drained(partitionId: number, revision: number): void {
    const queue = this.#draining.get(partitionId);
    // It may be late, and about an earlier growth.
    if (queue?.growth === undefined || revision < queue.growth.revision) return;
    queue.growth.draining.delete(partitionId);
    this.#draining.delete(partitionId);
    if (queue.growth.draining.size > 0) return;
    queue.growth = undefined;
    const { growingFrom: _, ...info } = queue.info;
    queue.info = info;
    this.#host.revise(queue, {});
  }

  /**
   * Ends the growth of a queue that is to be deleted, wherever it is.
   *
   * @param queue The queue.
   */
  forget(queue: CatalogQueue): void {
    for (const id of queue.growth?.draining ?? NONE) this.#draining.delete(id);
    queue.growth = undefined;
  }

  /**
   * Lets a queue go on growing as in a snapshot.
   *
   * @param queue The queue.
   * @param saved How far it was.
   */
  restore(queue: CatalogQueue, saved: NonNullable<QueueSnapshot["growth"]>): void {
    queue.growth = { ...saved, draining: new Set(saved.draining) };
    for (const id of saved.draining) this.#draining.set(id, queue);
  }

  /**
   * Checks the queues against the list of what is to be drained.
   *
   * @param queues All queues.
   */
  checkInvariants(queues: Iterable<CatalogQueue>): void {
    let draining = 0;
    for (const queue of queues) {
      const { info, growth } = queue;
      invariant(
        growth === undefined || (growth.added.length > 0) !== (growth.draining.size > 0),
        "A queue grows until its partitions are made, and then until the old ones are drained",
      );
      invariant(
        (info.growingFrom !== undefined) === (growth !== undefined && growth.draining.size > 0),
        "It is known of a queue that it grows as long as its old partitions are drained",
      );
      for (const id of growth?.draining ?? NONE) {
        invariant(this.#draining.get(id) === queue, "What is to be drained is on the list");
        draining++;
      }
    }
    invariant(draining === this.#draining.size, "Only what a queue waits for is to be drained");
  }
}
