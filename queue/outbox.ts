/**
 * Messages on their way from this shard to queues that may live in others: those that died, to the
 * dead-letter queue, those that were published together with an ack, and acked ones that are replayed,
 * which go to the partition that they were in.
 *
 * A transfer says which message it is, by its place in the log of this shard, and where it is to go. It
 * holds no body: the entry stays in the log for its sake. A keeper beside the leader brings transfers to
 * the shard of their target, in the order of their ids, and takes them out here when they are there:
 *
 * ```text
 *   this shard                            shard of the target
 *   bury, settleAndPublish ─▶ transfer 7
 *                             transfer 8 ──▶ transfer {7, 8}: stored, mark of this shard is 8
 *   (gone) ◀── transferDone {7, 8} ◀──────── "taken up to 8"
 * ```
 *
 * The target remembers, for each partition, the highest id that it has taken from each shard
 * (`transfer_marks.ts`). Every step may happen twice, by whoever leads: what is at or below the mark is
 * not stored again. So the place of a transfer, queue and number of the partition, never changes once it
 * is here.
 *
 * @module
 */

import type { Death, Transfer, TransferTarget } from "./commands.ts";
import { deadLetterQueueOf, isDeadLetterQueue } from "./dead_letter_queue.ts";
import { invariant } from "./invariant.ts";

/** Transfers to one partition. */
export interface TransferLane {
  readonly target: TransferTarget;
  /** In the order of their ids. */
  readonly transfers: ReadonlyMap<number, Transfer>;
}

/**
 * The transfers of one shard.
 *
 * @example A message dies
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const outbox = new Outbox(100);
 * const isTaken = outbox.bury({
 *   queue: "mail", partition: 0, offset: 17, entryIndex: 230, position: 1,
 *   deliveryCount: 10, reason: "maxDeliveries", detail: "no such address", atMs: 1_000,
 * });
 * assertEquals(isTaken, true);
 * assertEquals([...outbox.values()][0]?.target, { queue: "mail.dead", partition: 0 });
 * ```
 */
export class Outbox {
  readonly #capacity: number;
  /** By id. Ids rise, so the order of insertion is the order of ids. */
  readonly #transfers = new Map<number, Transfer>();
  /** By target, with the oldest transfer first. Follows from the above. */
  readonly #lanes = new Map<string, { target: TransferTarget; transfers: Map<number, Transfer> }>();
  #nextId = 1;

  /**
   * Makes an empty outbox.
   *
   * @param capacity How many transfers it holds.
   */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** How many transfers wait. */
  get size(): number {
    return this.#transfers.size;
  }

  /** The id that the next transfer gets. */
  get nextId(): number {
    return this.#nextId;
  }

  /** The partitions that something waits to go to. */
  get lanes(): IterableIterator<TransferLane> {
    return this.#lanes.values();
  }

  /** How many more transfers it takes. */
  get room(): number {
    return this.#capacity - this.#transfers.size;
  }

  /**
   * Finds what goes to a partition.
   *
   * @param target The partition.
   * @returns Its transfers, or `undefined` when there are none.
   */
  lane(target: TransferTarget): TransferLane | undefined {
    return this.#lanes.get(laneKey(target));
  }

  /**
   * Takes over a message that died, and brings it to the dead-letter queue of its queue. The caller takes
   * it out of its partition in the same command; its entry stays alive through the outbox.
   *
   * @param death Which message, and why it died; not in a dead-letter queue, from where nothing goes on.
   * @returns Whether it was taken. If not, the outbox is full: the message must stay where it is, and be
   *   buried later. The caller lets it wait for `FULL_RETRY_MS` and be delivered (or expire) once more.
   */
  bury(death: Death): boolean {
    invariant(!isDeadLetterQueue(death.queue), "Nothing dies in a dead-letter queue");
    if (this.room <= 0) return false;
    const target = { queue: deadLetterQueueOf(death.queue), partition: 0 };
    const { queue, partition, offset, entryIndex, position } = death;
    const { deliveryCount, reason, detail, atMs } = death;
    this.#add({
      id: this.#nextId++,
      target,
      entryIndex,
      position,
      death: {
        queue,
        partition,
        offset,
        deliveryCount,
        reason,
        ...(detail === undefined ? {} : { detail }),
        atMs,
      },
    });
    return true;
  }

  /**
   * Takes over a message that was published with an ack. There must be room for it.
   *
   * @param target Where to.
   * @param entryIndex The entry of the command.
   * @param position The place of the message in it.
   */
  post(target: TransferTarget, entryIndex: number, position: number): void {
    invariant(this.room > 0, "Whoever posts a message has looked for room");
    this.#add({ id: this.#nextId++, target, entryIndex, position });
  }

  /**
   * Takes over a message that is brought back to where it was. Half of the outbox is kept free of them.
   *
   * @param target Where it was, and goes.
   * @param offset Its offset there.
   * @param entryIndex The entry that holds it.
   * @param position Its place there.
   * @returns Whether it was taken; if not, there is no room at the moment.
   */
  revive(target: TransferTarget, offset: number, entryIndex: number, position: number): boolean {
    if (this.#transfers.size * 2 >= this.#capacity) return false;
    const replayOf = { ...target, offset };
    this.#add({ id: this.#nextId++, target, entryIndex, position, replayOf });
    return true;
  }

  /**
   * Takes out a transfer that has arrived; one that is not here has been taken out before.
   *
   * @param id Its id.
   */
  done(id: number): void {
    const transfer = this.#transfers.get(id);
    if (transfer === undefined) return;
    this.#transfers.delete(id);
    const key = laneKey(transfer.target);
    const { transfers } = this.#lanes.get(key)!;
    transfers.delete(id);
    if (transfers.size === 0) this.#lanes.delete(key);
  }

  /**
   * Goes over the transfers in the order of their ids.
   *
   * @returns An iterator.
   */
  values(): IterableIterator<Transfer> {
    return this.#transfers.values();
  }

  /** The oldest entry of the log that a transfer needs, or `undefined` when there is none. */
  get firstEntryIndex(): number | undefined {
    let first: number | undefined;
    for (const { entryIndex } of this.#transfers.values()) {
      if (entryIndex < (first ?? Infinity)) first = entryIndex;
    }
    return first;
  }

  /**
   * Takes the count of ids from a snapshot.
   *
   * @param nextId The id that the next transfer gets.
   */
  restoreNextId(nextId: number): void {
    this.#nextId = nextId;
  }

  /**
   * Adds a transfer as it was in a snapshot, in the order of their ids.
   *
   * @param transfer The transfer.
   */
  restore(transfer: Transfer): void {
    this.#add(transfer);
  }

  /** Checks everything that must hold between two commands. */
  checkInvariants(): void {
    invariant(this.#transfers.size <= this.#capacity, "An outbox holds no more than it may");
    let lastId = 0;
    for (const [id, transfer] of this.#transfers) {
      invariant(transfer.id === id && id > lastId, "Transfers are in the order of their ids");
      invariant(
        this.#lanes.get(laneKey(transfer.target))?.transfers.get(id) === transfer,
        "A transfer is in the lane of its target",
      );
      lastId = id;
    }
    invariant(lastId < this.#nextId, "The next id is a new one");
    let inLanes = 0;
    for (const { transfers } of this.#lanes.values()) {
      invariant(transfers.size > 0, "Only lanes with transfers are kept");
      let lastOfLane = 0;
      for (const id of transfers.keys()) {
        invariant(id > lastOfLane, "The transfers of a lane are in the order of their ids");
        lastOfLane = id;
      }
      inLanes += transfers.size;
    }
    invariant(inLanes === this.#transfers.size, "Every lane holds transfers of the outbox");
  }

  #add(transfer: Transfer): void {
    const { id, target } = transfer;
    this.#transfers.set(id, transfer);
    const key = laneKey(target);
    const lane = this.#lanes.get(key);
    if (lane === undefined) this.#lanes.set(key, { target, transfers: new Map([[id, transfer]]) });
    else lane.transfers.set(id, transfer);
  }
}

/** How long a message that should die waits when the outbox is full, in milliseconds. */
export const FULL_RETRY_MS = 1_000;

function laneKey({ queue, partition }: TransferTarget): string {
  return `${partition}/${queue}`;
}
