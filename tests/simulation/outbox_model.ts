/**
 * What is on its way from a shard to queues, there or elsewhere: messages that died, those that were
 * published with an ack, and acked ones that come back.
 *
 * Each entry of the log says by itself what must go into the outbox; the machine is asked only which id
 * each of them got. From there on a transfer arrives once, in the order of the ids of its lane, as the
 * message that it must be, and leaves the outbox only when it has arrived.
 *
 * @module
 */

import { deadLetterQueueOf, type Transfer, type TransferTarget } from "../../queue/mod.ts";
import type { Entry } from "../../raft/mod.ts";
import { type KnownDeath, nameOfDead, nameOfReplay, originOfDeath } from "./message_name.ts";

/** A message that is to go somewhere. */
interface Traveller {
  /** What it will be called there. */
  readonly name: string;
  readonly target: TransferTarget;
  readonly isDead: boolean;
}

/** A message that was acked, and is on its way back. */
export type Returning = NonNullable<Transfer["replayOf"]>;

/** The outbox of a shard. */
export class OutboxModel {
  readonly #violated: (invariant: string, entry: Entry, details: string) => never;
  /** By id. */
  readonly #waiting = new Map<number, Traveller>();
  /** Of this entry, by where they come from: they have no id yet. */
  readonly #leaving = new Map<string, Traveller>();
  readonly #arrived = new Set<number>();
  #newestId = 0;

  /** @param violated Told what broke. */
  constructor(violated: (invariant: string, entry: Entry, details: string) => never) {
    this.#violated = violated;
  }

  /** How many messages are on their way. */
  get size(): number {
    return this.#waiting.size;
  }

  /** A message has died. */
  bury(id: string, death: KnownDeath): void {
    const target = { queue: deadLetterQueueOf(death.queue), partition: 0 };
    this.#leaving.set(originOfDeath(death), { name: nameOfDead(id, death), target, isDead: true });
  }

  /** A message was published with an ack. */
  post(entryIndex: number, position: number, id: string, target: TransferTarget): void {
    this.#leaving.set(`${entryIndex}/${position}`, { name: id, target, isDead: false });
  }

  /** A message that was acked comes back. Those of a partition are told in the order in which they come. */
  revive(id: string, from: Returning): void {
    const { queue, partition } = from;
    const name = nameOfReplay(id, placeOf(from));
    this.#leaving.set(`replay ${placeOf(from)}`, {
      name,
      target: { queue, partition },
      isDead: false,
    });
  }

  /**
   * Compares what an entry has put into the outbox with what it must have put there.
   *
   * @param entry The entry.
   * @param transfers What the machine has in its outbox, as far as that came with this entry.
   */
  settle(entry: Entry, transfers: readonly Transfer[]): void {
    const lastOffsets = new Map<string, number>();
    for (const { id, target, entryIndex, position, death, replayOf } of transfers) {
      const origin = replayOf !== undefined
        ? `replay ${placeOf(replayOf)}`
        : death === undefined
        ? `${entryIndex}/${position}`
        : originOfDeath(death);
      if (replayOf !== undefined) {
        const partition = `${replayOf.queue}/${replayOf.partition}`;
        if (replayOf.offset <= (lastOffsets.get(partition) ?? -1)) {
          this.#violated("what was acked comes back in order", entry, `${id} ${origin}`);
        }
        lastOffsets.set(partition, replayOf.offset);
      }
      const traveller = this.#leaving.get(origin);
      const isSame = traveller?.target.queue === target.queue &&
        traveller.target.partition === target.partition;
      if (!isSame || id !== this.#newestId + 1) {
        this.#violated(
          "what dies or is posted goes into the outbox once",
          entry,
          `${id} ${origin}`,
        );
      }
      this.#newestId = id;
      this.#leaving.delete(origin);
      this.#waiting.set(id, traveller!);
    }
    for (const [origin, { name }] of this.#leaving) {
      this.#violated("what dies or is posted is on its way", entry, `${name}, from ${origin}`);
    }
  }

  /**
   * Messages have arrived at a partition.
   *
   * @param entry The entry that stores them.
   * @param target Where.
   * @param firstId The id of the first.
   * @param lastId The id of the last.
   * @param names What they are called there.
   * @returns How many of them are dead.
   */
  arrive(
    entry: Entry,
    target: TransferTarget,
    firstId: number,
    lastId: number,
    names: readonly string[],
  ): number {
    const lane = [...this.#waiting].filter(([id, { target: { queue, partition } }]) =>
      id >= firstId && id <= lastId && queue === target.queue && partition === target.partition
    );
    const expected = lane.map(([, { name }]) => name);
    if (names.join() !== expected.join()) {
      this.#violated("what is on its way arrives", entry, `${names} should be ${expected}`);
    }
    for (const [id, { name }] of lane) {
      if (this.#arrived.has(id)) {
        this.#violated("a message moves once", entry, `transfer ${id}, ${name}, was there before`);
      }
      this.#arrived.add(id);
    }
    return lane.filter(([, { isDead }]) => isDead).length;
  }

  /** Messages leave the outbox. */
  done(entry: Entry, ids: readonly number[]): void {
    for (const id of ids) {
      const traveller = this.#waiting.get(id);
      if (traveller === undefined) continue;
      if (!this.#arrived.has(id)) {
        this.#violated("only what has arrived leaves the outbox", entry, traveller.name);
      }
      this.#waiting.delete(id);
    }
  }
}

function placeOf({ queue, partition, offset }: Returning): string {
  return `${queue}/${partition}/${offset}`;
}
